"""Images for the benchmarks: a Debian with python3, numpy and scipy, and files that do not compress, up to a size.

The Debian comes from the machine's own package sources, once, to target/bench/scipy.tar; what is made of it stays
beside it. Packed, it has 0.28 GB, some 31,000 files, of which half are for compilers, which scipy's packages bring. A smaller
image has not those, nor perl nor tests; the smallest has 0.1 GB.
"""

import os
import random
import shutil
import subprocess

import bench

DEBIAN = os.path.join(bench.RESULTS, "scipy.tar")
WHOLE_BYTES = 280_000_000
PAD_BYTES = 4_000_000
# As layercake does it.
PACK = "-noappend -comp zstd -Xcompression-level 3 -b 131072 -noI -all-root -no-xattrs -no-progress -quiet".split()
STRIP = """
    rm -rf usr/include usr/lib/gcc usr/share/doc usr/share/locale usr/share/man usr/share/perl usr/lib/python3.11/config-*
    rm -rf usr/bin/*-linux-gnu-* usr/bin/perl* usr/lib/*/perl* usr/lib/*/gprofng usr/lib/*/*.a usr/lib/*/*/*.a
    rm -rf usr/lib/*/libasan* usr/lib/*/libtsan* usr/lib/*/liblsan* usr/lib/*/libubsan* usr/lib/*/libperl* usr/lib/*/libisl*
    rm -rf usr/lib/*/libgprofng* usr/lib/*/libpython3*
    find usr -depth -type d -name tests -exec rm -rf {} +
"""


def squashfs(gigabytes):
    """The path of an image of that size, packed as layercake packs."""
    return _made(gigabytes, "sqfs", lambda tree, file: _run("mksquashfs", tree, file, *PACK))


def tar(gigabytes):
    """The path of the same as a tar, not compressed."""
    return _made(gigabytes, "tar", lambda tree, file: _run("tar", "-C", tree, "-cf", file, "."))


def push(path, name):
    """alice pushes the squashfs file at a path on the machine."""
    with open(path) as file:
        words = [bench.CLUSTER, "as", "alice", "layercake", "push", "-", name]
        done = subprocess.run(words, stdin=file, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        bench.die(f"cannot push {path}: {done.stdout}")


def _made(gigabytes, kind, pack):
    path = os.path.join(bench.RESULTS, f"scipy-{gigabytes:g}.{kind}")
    if not os.path.exists(path):
        tree = path + ".tree"
        shutil.rmtree(tree, ignore_errors=True)
        _make_tree(tree, int(gigabytes * 1e9))
        pack(tree, path + ".new")
        os.rename(path + ".new", path)
        shutil.rmtree(tree)
    return path


def _make_tree(tree, size):
    _bootstrap()
    os.makedirs(tree)
    _run("tar", "-C", tree, "--exclude=./dev/*", "-xf", DEBIAN)
    if size < WHOLE_BYTES:
        _run("sh", "-ec", STRIP, cwd=tree)
    _run("mksquashfs", tree, tree + ".sqfs", *PACK)
    packed = os.path.getsize(tree + ".sqfs")
    os.remove(tree + ".sqfs")
    os.mkdir(tree + "/srv/pad")
    # The same files in every image, so that the larger has the chunks of the smaller and a store room for both.
    for number in range(max(0, size - packed) // PAD_BYTES):
        with open(f"{tree}/srv/pad/{number:04}", "wb") as file:
            file.write(random.Random(number).randbytes(PAD_BYTES))


def _bootstrap():
    if not os.path.exists(DEBIAN):
        os.makedirs(bench.RESULTS, exist_ok=True)
        _run("mmdebstrap", "--quiet", "--format=tar", "--variant=apt", "--include=python3-scipy", "bookworm", DEBIAN + ".new")
        os.rename(DEBIAN + ".new", DEBIAN)


def _run(*words, cwd=None):
    if subprocess.run(words, cwd=cwd).returncode:
        bench.die(f"cannot make an image: {words[0]} failed, see above")
