#!/usr/bin/python3
"""What `prove` says of whole and of damaged images, beside a reckoning of its own.

Needs squashfs-tools, squashfs-tools-ng and root, for device files. Argument: the build directory.
"""

import io
import os
import random
import re
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

BUILD = Path("build")
BLOCK = 128 << 10
NOBODY_ELSE = 54321  # a user without other processes


def make_crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = make_crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Tree:
    """A tree of files, as a tar and as the line that it should give."""

    def __init__(self):
        self.entries = {}
        self.links = {}

    def add(self, path, kind, mode=0o644, mtime=1_000_000_000, content=b"", target="", attributes=None):
        self.entries[path] = (kind, mode, mtime, content, target, attributes or {})

    def link(self, path, to):
        self.entries[path] = self.entries[to]
        self.links[path] = to

    def line(self):
        total = size = 0
        for path, (kind, mode, mtime, content, target, attributes) in self.entries.items():
            inside = crc32c(content if kind == "f" else target.encode()) if kind in "fl" else 0
            values = sum(crc32c(name.encode() + b"\0" + value) for name, value in attributes.items())
            length = len(content) if kind == "f" else 0
            text = f"{kind} {mode:o} {mtime} {length} {inside:08x} {values & 0xFFFFFFFF:08x}"
            total += crc32c(path.encode() + b"\0" + text.encode())
            size += length
        return f"names {len(self.entries)} bytes {size} sum {total & (1 << 64) - 1:016x}\n"

    def tar(self):
        kinds = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE,
                 "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "p": tarfile.FIFOTYPE}
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path, (kind, mode, mtime, content, target, attributes) in self.entries.items():
                info = tarfile.TarInfo(path)
                info.mode, info.mtime, info.type = mode, mtime, kinds[kind]
                if path in self.links:
                    info.type, info.linkname = tarfile.LNKTYPE, self.links[path]
                    tar.addfile(info)
                    continue
                info.linkname, info.devmajor, info.devminor = target, 7, 300
                info.size = len(content)
                info.pax_headers = {f"SCHILY.xattr.{name}": value.decode()
                                    for name, value in attributes.items()}
                tar.addfile(info, io.BytesIO(content))
        return out.getvalue()


def colourful_tree():
    rng = random.Random(4)
    text = rng.randbytes(3 * BLOCK)
    tree = Tree()
    tree.add("empty", "f")
    tree.add("dir", "d", 0o2755, 1)
    tree.add("dir/none", "d", 0o1777, 2**31 - 1)
    tree.add("dir/ende é", "f", 0o4755, 7, b"one line\n", attributes={"user.a": b"x", "user.b": b"y" * 900})
    tree.add("dir/same", "f", content=b"z", attributes={"user.a": b"x", "user.b": b"y" * 900})
    tree.add("dir/link", "l", 0o777, 5, target="../no/where")
    tree.add("dir/long", "l", 0o777, 5, target="x/" * 1500)
    tree.add("null", "c", 0o666)
    tree.add("disk", "b", 0o660)
    tree.add("pipe", "p", 0o600, attributes={"user.pipe": b"1"})
    tree.add("big", "f", content=text)
    tree.add("bigger", "f", content=text + b"and a tail")
    tree.add("tail", "f", content=text[:BLOCK + 1])
    tree.add("holes", "f", content=b"a" + bytes(3 * BLOCK) + b"b" + bytes(2 * BLOCK + 5))
    tree.add("zeros", "f", content=bytes(2 * BLOCK))
    tree.link("hard", "bigger")
    tree.link("dir/hard", "bigger")
    tree.add("many", "d", 0o755)
    for i in range(1500):
        tree.add(f"many/{i:05}" + "n" * (i % 200), "f", content=b"%d" % i)
    return tree


def prove(image, **options):
    return subprocess.run([BUILD / "prove", str(image)], capture_output=True, timeout=120, **options)


class WithDirectory(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.image = self.directory / "image"

    def pack_tar(self, tree, *options):
        subprocess.run(["tar2sqfs", "-q", "-f", *options, self.image], input=tree.tar(), check=True)

    def pack_directory(self, *options, files=None):
        source = self.directory / "source"
        source.mkdir()
        for name, content in (files or {"one": b"1" * 5000, "two": b"2"}).items():
            path = source / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        subprocess.run(["mksquashfs", source, self.image, "-quiet", "-no-progress", *options],
                       check=True, stdout=subprocess.DEVNULL)

    def super_field(self, format, at):
        return struct.unpack_from(format, self.image.read_bytes(), at)[0]

    def change(self, at, data):
        with open(self.image, "r+b") as file:
            file.seek(at)
            file.write(data)

    def assert_damaged(self, cause, image=None):
        result = prove(image or self.image)
        self.assertEqual(65, result.returncode, result)
        self.assertEqual(b"", result.stdout)
        self.assertRegex(result.stderr.decode(), rf'\Aprove: cannot read "[^"\n]*": [^\n]*{cause}[^\n]*\n\Z')


class WholeImages(WithDirectory):
    def assert_proved(self, line):
        result = prove(self.image)
        self.assertEqual((0, line, ""), (result.returncode, result.stdout.decode(), result.stderr.decode()))

    def test_everything_of_a_tar_is_counted_whatever_its_blocks_and_compression(self):
        tree = colourful_tree()
        line = tree.line()
        for options in ("-c zstd", "-c gzip -b 4096", "-c xz -b 1M", "-c lz4 --no-tail-packing"):
            with self.subTest(options):
                self.pack_tar(tree, *options.split())
                self.assert_proved(line)

    def test_mksquashfs_packs_the_same_as_tar2sqfs(self):
        tree = for_linux(colourful_tree())
        line = tree.line()
        source = self.directory / "source"
        source.mkdir()
        subprocess.run(["tar", "-xp", "--xattrs", "--xattrs-include=user.*", "-C", source],
                       input=tree.tar(), check=True)
        for name in ("-noI -noD -noF", "-always-use-fragments -comp zstd", "-no-fragments -no-duplicates"):
            with self.subTest(name):
                subprocess.run(["mksquashfs", source, self.image, "-noappend", "-quiet", "-no-progress",
                                *name.split()], check=True, stdout=subprocess.DEVNULL)
                self.assert_proved(line)

    def test_one_process_says_what_several_say(self):
        tree = colourful_tree()
        self.pack_tar(tree)
        one = {next(iter(os.sched_getaffinity(0)))}
        result = prove(self.image, preexec_fn=lambda: os.sched_setaffinity(0, one))
        self.assertEqual(tree.line(), result.stdout.decode())

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one processor has one process")
    def test_a_limit_of_processes_is_kept(self):
        tree = colourful_tree()
        self.pack_tar(tree)
        program = self.directory / "prove"
        shutil.copy(BUILD / "prove", program)
        self.directory.chmod(0o755)

        def limit(processes):
            resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
            os.setresgid(NOBODY_ELSE, NOBODY_ELSE, NOBODY_ELSE)
            os.setresuid(NOBODY_ELSE, NOBODY_ELSE, NOBODY_ELSE)

        for processes, code, line in ((2, 0, tree.line()), (1, 70, "")):
            with self.subTest(processes):
                result = subprocess.run([program, self.image], capture_output=True, timeout=120,
                                        preexec_fn=lambda: limit(processes))
                self.assertEqual((code, line), (result.returncode, result.stdout.decode()), result)
        self.assertIn(b"cannot start a process", result.stderr)

    def test_an_empty_image_has_no_names(self):
        self.pack_tar(Tree())
        self.assert_proved("names 0 bytes 0 sum 0000000000000000\n")

    def test_holes_count_as_zeros(self):
        self.pack_directory(files={"a": b""})
        source = self.directory / "source"
        os.truncate(source / "a", 1 << 31)
        self.image.unlink()
        subprocess.run(["mksquashfs", source, self.image, "-quiet", "-no-progress", "-b", "1M"],
                       check=True, stdout=subprocess.DEVNULL)
        result = prove(self.image)
        self.assertRegex(result.stdout.decode(), r"\Anames 1 bytes 2147483648 sum 0{8}[0-9a-f]{8}\n\Z")


def for_linux(tree):
    """Linux allows user.* of files and directories only."""
    other = Tree()
    other.links = tree.links
    for path, (kind, mode, mtime, content, target, attributes) in tree.entries.items():
        other.entries[path] = (kind, mode, mtime, content, target, attributes if kind == "f" else {})
    return other


class DamagedImages(WithDirectory):
    def test_what_is_no_squashfs_file_is_refused(self):
        for content in (b"", b"hsqs", b"no image" * 1000):
            self.image.write_bytes(content)
            self.assert_damaged("it is not a squashfs file")

    def test_a_truncated_file_is_refused(self):
        self.pack_directory("-nopad")
        for size in (self.image.stat().st_size - 1, 97, 96):
            os.truncate(self.image, size)
            self.assert_damaged("the file ends before the image does")

    def test_lzma_and_unknown_compressions_are_refused(self):
        self.pack_directory()
        self.change(20, struct.pack("<H", 2))
        self.assert_damaged("lzma")
        self.change(20, struct.pack("<H", 7))
        self.assert_damaged("compression is unknown")

    def test_hostile_superblocks_are_refused(self):
        self.pack_directory()
        whole = self.image.read_bytes()
        for cause, at, data in (
                ("version", 28, "<H3"), ("size of its blocks", 12, "<I0"), ("size of its blocks", 12, "<I131073"),
                ("size of its blocks", 22, "<H16"), ("size of its blocks", 22, "<H40"),
                ("more records", 16, f"<I{2**32 - 1}"), ("more records", 26, "<H65535"),
                ("more inodes", 4, f"<I{2**32 - 1}"), ("number of inodes", 4, "<I4"),
                ("number of an inode", 4, "<I2"), ("tables overlap", 26, "<H0"),
                ("tables overlap", 64, "<Q95"), ("tables overlap", 72, f"<Q{2**63}"),
                ("tables overlap", 48, f"<Q{2**40}"), ("inode lies outside", 32, f"<Q{2**47}"),
                ("outside its block", 32, "<Q8190"), ("file ends before", 40, f"<Q{2**62}")):
            with self.subTest(cause, at=at, data=data):
                self.image.write_bytes(whole)
                self.change(at, struct.pack(data[:2], int(data[2:])))
                self.assert_damaged(cause)

    def test_a_count_that_the_file_has_no_room_for_takes_no_memory(self):
        self.pack_directory()
        self.change(16, struct.pack("<I", 2**26))
        end = self.super_field("<Q", 40)
        self.change(40, struct.pack("<Q", end + (64 << 20)))
        os.truncate(self.image, end + (64 << 20))
        self.assert_damaged("")

    def test_names_that_linux_forbids_are_refused(self):
        self.pack_directory("-noI")
        whole = self.image.read_bytes()
        name = whole.index(b"\0\0\0onetwo"[3:6], self.super_field("<Q", 72))
        for size, data, cause in ((0xEFFF, b"one", "longer than 255"), (255, b"one", "longer than 255"),
                                  (2, b"o/e", "slash"), (2, b"o\0e", "slash"), (1, b"..", "slash"),
                                  (0, b".", "slash")):
            with self.subTest(cause, size=size):
                self.image.write_bytes(whole)
                self.change(name - 2, struct.pack("<H", size) + data)
                self.assert_damaged(cause)

    def test_attributes_that_linux_forbids_are_refused(self):
        source = self.directory / "attributes"
        source.mkdir()
        (source / "file").write_bytes(b"1")
        os.setxattr(source / "file", "user.colour", b"b" * 2000)
        subprocess.run(["mksquashfs", source, self.image, "-quiet", "-no-progress", "-noI", "-noX"],
                       check=True, stdout=subprocess.DEVNULL)
        whole = self.image.read_bytes()
        name = whole.index(b"colour")
        value = whole.index(b"b" * 2000)
        for cause, where, data in (("longer than 255", name - 2, struct.pack("<H", 300)),
                                   ("larger than 64", value - 4, struct.pack("<I", 65537)),
                                   ("ends too early", value - 4, struct.pack("<I", 65536)),
                                   ("unknown kind", name - 4, struct.pack("<H", 3)),
                                   ("a NUL", name, b"\0")):
            with self.subTest(cause):
                self.image.write_bytes(whole)
                self.change(where, data)
                self.assert_damaged(cause)

    def test_names_out_of_order_are_refused(self):
        self.pack_directory("-noI", files={"one": b"1", "two": b"2"})
        name = self.image.read_bytes().index(b"one", self.super_field("<Q", 72))
        self.change(name, b"zzz")
        self.assert_damaged("out of order")

    def test_an_index_that_leads_elsewhere_is_refused(self):
        files = {f"d/{i:04}" + "n" * 50: b"" for i in range(1000)}
        self.pack_directory("-noI", files=files)
        image = self.image.read_bytes()
        end = self.super_field("<Q", 72)
        at = image.rindex(b"n" * 50, 0, end) - 4
        self.assertEqual(0, prove(self.image).returncode)
        for where, data in ((at, b"9"), (at - 4, b"\xff\xff"), (at - 12, b"\1"), (at - 8, b"\1")):
            with self.subTest(where - at):
                self.image.write_bytes(image)
                self.change(where, data)
                self.assert_damaged("index")

    def test_an_index_of_blocks_that_are_not_full_is_refused(self):
        # Names are looked up as if they were: the first block ends before the part that the index leads to.
        self.pack_directory("-noI", files={f"{i:04}" + "n" * 50: b"" for i in range(140)})
        image = self.image.read_bytes()
        start, moved = self.super_field("<Q", 72), 100
        second = start + 2 + 8192
        rest = struct.unpack_from("<H", image, second)[0] & 0x7FFF
        mark = image.rindex(b"n" * 50, 0, start) - 4 - 12
        self.assertGreater(struct.unpack_from("<II", image, mark), (8192 - moved, 0))
        self.assertEqual(0, prove(self.image).returncode)
        self.change(mark + 4, struct.pack("<I", 2 + 8192 - moved))
        self.change(start, struct.pack("<H", 0x8000 | 8192 - moved))
        self.change(second - moved, struct.pack("<H", 0x8000 | moved + rest) + image[second - moved:second])
        self.assert_damaged("index")

    def test_a_directory_that_holds_itself_is_refused(self):
        self.pack_directory("-noI", files={"sub/file": b"1"})
        image = self.image.read_bytes()
        name = image.index(b"sub", self.super_field("<Q", 72))
        # The entry of "sub" gets the place and the number of the root's inode.
        root = self.super_field("<Q", 32)
        inode = self.super_field("<Q", 64) + 2 + (root & 0xFFFF)
        number = struct.unpack_from("<I", image, inode + 12)[0]
        base = struct.unpack_from("<I", image, name - 12)[0]
        self.change(name - 8, struct.pack("<Hh", root & 0xFFFF, number - base))
        self.assert_damaged("in several places")

    def test_a_damaged_block_is_named_by_its_file(self):
        content = random.Random(1).randbytes(BLOCK // 2) * 4
        self.pack_directory("-comp", "zstd", "-no-fragments", files={"d/f": content, "good": b"1"})
        self.change(96, bytes(4))  # where a zstd frame begins
        self.assert_damaged("cannot be decompressed")
        self.assertIn(b'cannot read "/d/f"', prove(self.image).stderr)

    def test_a_damaged_fragment_is_noticed(self):
        files = {f"{i}": random.Random(i).randbytes(100) * 50 for i in range(50)}
        self.pack_directory("-comp", "zstd", files=files)
        self.change(96, bytes(4))
        self.assert_damaged("cannot be decompressed")

    def test_a_fragment_that_is_too_short_is_noticed(self):
        self.pack_directory("-noI", files={"one": b"1" * 5000, "two": b"2" * 50})
        at = self.super_field("<Q", 64) + 2
        image = self.image.read_bytes()
        for offset in range(at, len(image)):
            if struct.unpack_from("<HH", image, offset)[0] == 2 and struct.unpack_from("<I", image, offset + 28)[0] == 5000:
                self.change(offset + 24, struct.pack("<I", 51))
                break
        self.assert_damaged("outside its fragment")

    def test_control_characters_of_names_do_not_reach_the_terminal(self):
        self.pack_directory("-noI", "-noD", "-no-fragments", files={"o\x1be": b"1" * 5000})
        at = self.super_field("<Q", 64) + 2
        self.change(at + 28, struct.pack("<I", 5001))
        result = prove(self.image)
        self.assertEqual(65, result.returncode)
        self.assertIn(b'"/o?e"', result.stderr)

    def test_any_change_is_noticed_or_harmless(self):
        """Of metadata and data that are stored as they are."""
        tree = Tree()
        tree.add("a", "f", content=b"content of a")
        tree.add("b", "l", 0o777, target="to")
        self.pack_tar(tree, "-c", "zstd")
        line = tree.line().encode()
        whole = self.image.read_bytes()
        noticed = 0
        for at in range(96, self.super_field("<Q", 40)):
            self.image.write_bytes(whole)
            self.change(at, bytes([whole[at] ^ 1]))
            result = prove(self.image)
            self.assertIn(result.returncode, (0, 65), result)
            noticed += result.returncode == 65 or result.stdout != line
        self.assertGreater(noticed, 60)


class Refusals(WithDirectory):
    def assert_beyond(self, cause):
        result = prove(self.image)
        self.assertEqual((69, b""), (result.returncode, result.stdout), result)
        self.assertEqual(f'prove: cannot read "{self.image}": {cause}, which is more than can be proved\n',
                         result.stderr.decode())

    def test_files_of_too_many_bytes_are_not_called_damaged(self):
        source = self.directory / "source"
        source.mkdir()
        (source / "0").touch()
        os.truncate(source / "0", 1 << 30)
        for i in range(1, 2049):
            os.link(source / "0", source / f"{i}")
        subprocess.run(["mksquashfs", source, self.image, "-quiet", "-no-progress", "-b", "1M"],
                       check=True, stdout=subprocess.DEVNULL)
        self.assert_beyond("its files are more than 2 TiB")

    def test_a_missing_file_is_66(self):
        result = prove(self.image)
        self.assertEqual(66, result.returncode)
        self.assertIn(b"No such file", result.stderr)

    def test_a_fifo_or_a_directory_is_refused_at_once(self):
        os.mkfifo(self.image)
        self.assert_damaged("not a regular file")
        self.assert_damaged("not a regular file", self.directory)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)) if len(sys.argv) > 1 else BUILD
    unittest.main()
