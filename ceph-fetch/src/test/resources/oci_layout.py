"""oci_layout.py DIRECTORY CASE [FILES]: writes an OCI image layout for a test, without any container tool."""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

DEEP = "deep/" + "/".join(["d" * 50] * 6)


# Extended attributes as docker writes them, and some that mean nothing on another machine.
ATTRIBUTES = {"user.text": b"value", "user.bytes": bytes(range(256)), "user.50%": b"half"}
FOREIGN = {"security.capability": b"\1\0\0\2" + bytes(16), "trusted.mark": b"x"}


def d(path, mode=0o755, attributes={}):
    return path, tarfile.DIRTYPE, mode, b"", "", attributes


def f(path, data=b"", mode=0o644, attributes={}):
    return path, tarfile.REGTYPE, mode, data, "", attributes


def link(path, target):
    return path, tarfile.SYMTYPE, 0o777, b"", target, {}


def hard(path, target):
    return path, tarfile.LNKTYPE, 0o644, b"", target, {}


def other(path, kind):
    return path, kind, 0o666, b"", "", {}


def good(files):
    """Each way in which a layer can change what is below."""
    many = [d("many"), *(d("many/%02d" % n) for n in range(100))]
    many += [f("many/%02d/f%05d" % (n % 100, n), b"%d " % n * (n % 97)) for n in range(files)]
    odd = [f("new\nline", b"nl"), f("bad\udcff\udcfe", b"bytes"), d("d\udcc3x"), f("d\udcc3x/" + "y" * 120, b"both")]
    return [
        [d("bin"), f("bin/sh", b"#!shell\n", 0o755), d("etc"), f("etc/keep", b"keep"), f("etc/gone"), d("var"),
         d("var/cache"), f("var/cache/a"), d("var/cache/b"), f("var/cache/b/c"), f("file2dir", b"was a file"),
         d("dir2file"), f("dir2file/x"), d("usr"), d("usr/lib"), link("lib", "usr/lib"),
         f("orig", b"linked data" * 1000), f("long" + "n" * 150), *odd, *many],
        [f("etc/.wh.gone"), f("var/cache/.wh..wh..opq"), f("var/cache/new", b"new"), hard("link1", "orig"),
         d("file2dir"), f("file2dir/inside", b"inside"), f("marked", b"m", 0o644, {**ATTRIBUTES, **FOREIGN}),
         d("labelled", 0o755, {"user.layer": b"2", "user.lost": b"2"})],
        [f(".wh.dir2file"), f("dir2file", b"now a file"), f("usr/lib/so", b"so", 0o4755), f("etc/keep", b"changed"), hard("marked2", "marked"),
         d("labelled", 0o755, {"user.layer": b"3"})],
        [f(".wh.orig"), hard("link2", "link1"), f("file2dir", b"a file again"), d("etc", 0o700)],
        [f(".wh.file2dir"), d("file2dir"), f("file2dir/again", b"again"), f("many/07/.wh.f00007"), d("deep"),
         *(d(DEEP[: 4 + 51 * n]) for n in range(1, 7)), f(DEEP + "/leaf", b"leaf"), link("sym", "../../../etc/keep"),
         f(".wh.never-was")],
    ]


CASES = {
    "good": good,
    # As a package manager leaves it: no link leads from one layer to another.
    "upgrade": lambda files: [
        [d("bin"), f("bin/sh", b"old", 0o755), hard("bin/dash", "bin/sh"), d("var"), d("var/log"), f("var/log/a", b"a"),
         d("tmp"), f("tmp/x", b"x"), d("opt"), f("opt/y", b"y"), f("opt2", b"2"), d("etc"), f("etc/keep", b"keep")],
        [f("bin/sh", b"new", 0o755), hard("bin/dash", "bin/sh"), f("var/.wh.log"), f("tmp/.wh..wh..opq"), f("tmp/z", b"z"),
         f("opt", b"a file"), d("opt2"), f("opt2/in", b"in"), f("etc/more", b"more"), d("ch"),
         f("ch/environment", b"A=b c\nB=d\n")],
    ],
    # On what other tools have stumbled: a directory that becomes a link, with a whiteout in it first; an opaque whiteout
    # behind what is new; AUFS's own files; an entry of the root; absolute hard links; directories without an entry.
    "stumbling": lambda files: [
        [d("/"), d("bin"), f("bin/sh", b"#!shell\n", 0o755), d("conf"), f("conf/x", b"x"), d("cache"), f("cache/old"),
         d(".wh..wh.plnk"), f(".wh..wh.plnk/1.2", b"aufs"), f(".wh..wh.plnk/3.4", b"other"),
         f(".wh..wh.aufs"), hard("plink", ".wh..wh.plnk/1.2"), hard("deep/made/sh", "/bin/sh")],
        [f("conf/.wh.x"), link("conf", "bin"), f("cache/new", b"new"), f("cache/.wh..wh..opq"), hard("deep/two/sh", "/deep/made/sh")],
    ],
    # A layer names a file by a link to its directory, which another has made.
    "linked-way": lambda files: [
        [d("usr"), d("usr/lib"), f("usr/lib/so", b"old"), link("lib", "usr/lib")],
        [f("lib/so", b"new")],
    ],
    "climbing": lambda files: [[f("a/../../out")]],
    "absolute": lambda files: [[f("/etc/out")]],
    "missing-link": lambda files: [[hard("a", "nothing")]],
    "endless-link": lambda files: [[link("a", "b"), link("b", "a"), f("a/x")]],
    "twice": lambda files: [[f("a/x", b"1"), d("b"), f("a/x", b"2")]],
    "file-and-directory": lambda files: [[f("a", b"1"), f("a/x", b"2")]],
    "described-late": lambda files: [[f("a/x", b"1"), d("a", 0o700), d("a", 0o750, ATTRIBUTES), hard("a/x", "a/x")]],
    "kinds": lambda files: [
        [d("d", 0o3777), f("d/set", b"s", 0o6755, {**ATTRIBUTES, **FOREIGN}), other("d/pipe", tarfile.FIFOTYPE),
         other("d/null", tarfile.CHRTYPE), other("d/disk", tarfile.BLKTYPE), hard("d/null2", "d/null"),
         hard("d/pipe2", "d/pipe")],
    ],
    # Followed inside the image, these are files below its root.
    "leading-out": lambda files: [[link("up", "../../.."), link("top", "/tmp"), f("up/out"), f("top/out")]],
}


def tar(entries):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for path, kind, mode, content, target, attributes in entries:
            info = tarfile.TarInfo(path)
            info.type, info.mode, info.linkname, info.size = kind, mode, target, len(content)
            info.mtime, info.uid, info.gid = 1000000000 + len(path), 1234, 5678
            info.pax_headers = {
                "SCHILY.xattr." + name: value.decode("utf-8", "surrogateescape") for name, value in attributes.items()
            }
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def main(out, case, files="300"):
    os.makedirs(out + "/blobs/sha256")

    def blob(content, media):
        digest = hashlib.sha256(content).hexdigest()
        with open(out + "/blobs/sha256/" + digest, "wb") as file:
            file.write(content)
        return {"mediaType": "application/vnd.oci.image." + media, "digest": "sha256:" + digest, "size": len(content)}

    def document(content, media):
        return blob(json.dumps(content).encode(), media + ".v1+json")

    tars = [tar(entries) for entries in CASES[case](int(files))]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/opt/bin:/bin", "A=b c"],
            "WorkingDir": "/work",
            "Entrypoint": ["/bin/sh"],
            "Cmd": ["-c", "true"],
            "User": "1000",
            "Labels": {"org.example": "x y"},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]},
        "history": [{"created_by": "test"} for _ in tars],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": document(config, "config"),
        "layers": [blob(gzip.compress(t, mtime=0), "layer.v1.tar+gzip") for t in tars],
    }
    named = document(manifest, "manifest")
    named["annotations"] = {"org.opencontainers.image.ref.name": "t"}
    with open(out + "/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [named]}, file)
    with open(out + "/oci-layout", "w") as file:
        file.write('{"imageLayoutVersion":"1.0.0"}')


main(*sys.argv[1:])
