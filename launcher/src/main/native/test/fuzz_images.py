#!/usr/bin/python3
"""Makes the images that a fuzzer begins with: tiny ones, with one of each kind. Argument: the folder for them.

Metadata that is compressed would hide what it says from the fuzzer: one image is compressed, so that
decompressing is tried, and the others are stored as they are.
"""

import io
import os
import random
import subprocess
import sys
import tarfile
import tempfile

PLAIN = ["-noI", "-noD", "-noF", "-noX", "-noId"]
COLOUR = ("user.colour", "red" * 10)


class Tree:
    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, kind=tarfile.REGTYPE, data=b"", target="", attributes=()):
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname, info.mode = kind, len(data), target, 0o755
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in attributes}
        self.tar.addfile(info, io.BytesIO(data))

    def image(self, *options, block="64K"):
        """The image's bytes; the same at each call. With small blocks, caches are large tables."""
        self.tar.close()
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "image")
            # Through mksquashfs and not tar2sqfs, which does not store metadata as it is.
            subprocess.run(["mksquashfs", "-", path, "-tar", "-quiet", "-no-progress", "-nopad", "-b", block,
                            "-mkfs-time", "0", "-all-time", "0", "-processors", "1", *options],
                           input=self.bytes.getvalue(), check=True)
            with open(path, "rb") as file:
                return file.read()


def kinds():
    """Each kind of inode, with and without attributes, of which two share a value."""
    tree = Tree()
    tree.add("dir", tarfile.DIRTYPE, attributes=[COLOUR])
    tree.add("dir/file", data=b"text" * 5, attributes=[COLOUR, ("user.x", "y" * 50)])
    tree.add("dir/other", data=b"other")
    tree.add("dir/link", tarfile.SYMTYPE, target="sub/" * 5)
    tree.add("marked", tarfile.SYMTYPE, target="to", attributes=[("user.x", "1"), ("security.y", "2")])
    tree.add("hard", tarfile.LNKTYPE, target="dir/file")
    for name, kind in (("null", tarfile.CHRTYPE), ("disk", tarfile.BLKTYPE), ("pipe", tarfile.FIFOTYPE)):
        tree.add(name, kind)
        tree.add(name + "2", kind, attributes=[COLOUR])
    return tree


def blocks():
    """Files of whole blocks, holes, and ends in fragments and in blocks of their own."""
    tree = Tree()
    tree.add("blocks", data=random.Random(3).randbytes(8300))
    tree.add("holes", data=b"a" + bytes(12300) + b"b")
    tree.add("zeros", data=bytes(8192))
    tree.add("linked", tarfile.LNKTYPE, target="blocks")
    return tree


def long():
    """A file whose list of blocks is so long that it is entered in the middle."""
    tree = Tree()
    tree.add("file", data=b"a" + bytes(2200 * 4096) + b"b")
    return tree


def many():
    """A directory with an index: its list takes two blocks, and two parts, which have 256 names at most."""
    tree = Tree()
    for i in range(262):
        tree.add(f"{i:03}" + "x" * 22, tarfile.FIFOTYPE)
    return tree


def main(folder):
    seeds = {
        "kinds": kinds().image(*PLAIN),
        "no-fragments": kinds().image(*PLAIN, "-no-fragments", "-no-exports"),
        "blocks": blocks().image(*PLAIN, block="4K"),
        "long": long().image(*PLAIN, block="4K"),
        "index": many().image(*PLAIN),
        "compressed": kinds().image("-comp", "zstd"),
    }
    os.makedirs(folder, exist_ok=True)
    for name, image in seeds.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(image)


if __name__ == "__main__":
    main(*sys.argv[1:])
