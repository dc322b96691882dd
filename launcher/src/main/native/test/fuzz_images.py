#!/usr/bin/python3
"""Makes an image to be damaged: small, with one of each kind. Arguments: small or plain, and the file."""

import io
import random
import subprocess
import sys
import tarfile


def tree(kind):
    """Blocks, holes, fragments, links, attributes, a directory with an index.

    What is to be damaged as it is stored comes first and last, the bulk is for reading too much of.
    """
    content = random.Random(3)
    special = [("user.x", "1")] if kind == "small" else []
    many = 270 if kind == "small" else 150
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def add(name, kind=tarfile.REGTYPE, data=b"", target="", attributes=()):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.mode = kind, len(data), target, 0o755
            info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in attributes}
            tar.addfile(info, io.BytesIO(data))

        add("dir", tarfile.DIRTYPE)
        add("dir/sub", tarfile.DIRTYPE, attributes=[("user.colour", "red" * 200)])
        add("dir/sub/file", data=b"text" * 50, attributes=[("user.colour", "red" * 200), ("user.x", "y" * 500)])
        add("dir/link", tarfile.SYMTYPE, target="sub/" * 20)
        add("dir/marked", tarfile.SYMTYPE, target="to", attributes=special)
        add("dir/blocks", data=content.randbytes(20000))
        add("dir/holes", data=b"a" + bytes(40000) + b"b")
        add("dir/zeros", data=bytes(8192))
        add("dir/hard", tarfile.LNKTYPE, target="dir/blocks")
        add("null", tarfile.CHRTYPE)
        add("many", tarfile.DIRTYPE)
        add("pipe", tarfile.FIFOTYPE, attributes=special)
        for i in range(many):
            add(f"many/{i:03}" + "x" * 24, data=b"%d" % i if i % 50 == 0 else b"")
    return out.getvalue()


def main(kind, image):
    subprocess.run(["tar2sqfs", "-q", "-f", "-b", "4096", "-c", "zstd", image], input=tree(kind), check=True)
    if kind == "plain":
        subprocess.run(["unsquashfs", "-no-progress", "-quiet", "-f", "-d", image + ".tree", image],
                       check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["mksquashfs", image + ".tree", image, "-noappend", "-quiet", "-no-progress", "-b", "4096",
                        "-noI", "-noD", "-noF", "-noX", "-noId", "-always-use-fragments"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", image + ".tree"], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
