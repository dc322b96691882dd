#!/usr/bin/python3
"""What `pack` makes of descriptions, good and bad ones, as `prove` and unsquashfs read it.

Needs squashfs-tools. Argument: the build directory. LAYERCAKE_FUZZ: how many damaged descriptions to
try (default 1500).
"""

import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BUILD = Path("build")
PACK = None
ROUNDS = int(os.environ.get("LAYERCAKE_FUZZ", "1500"))


def name(text):
    return struct.pack("B", len(text)) + text


def content(data):
    return b"C" + struct.pack(">Q", len(data)) + data


def with_holes(size, *parts):
    """A part is so many zeros and the bytes that follow them."""
    return (
        b"H" + struct.pack(">Q", size) + b"".join(struct.pack(">QQ", zeros, len(data)) + data for zeros, data in parts)
    )


def attributes(**values):
    described = b"".join(
        name(b"user." + key.encode()) + struct.pack(">I", len(value)) + value for key, value in values.items()
    )
    return struct.pack(">H", len(values)) + described


def directory(called, *entries, mode=0o755, mtime=1, extended=attributes()):
    return b"D" + name(called) + struct.pack(">HI", mode, mtime) + extended + b"".join(entries) + b"E"


def regular(called, number, links=1, mode=0o644, mtime=2, extended=attributes()):
    return b"F" + name(called) + struct.pack(">HIII", mode, mtime, links, number) + extended


def symbolic(called, target, links=1):
    return b"S" + name(called) + struct.pack(">IIH", 3, links, len(target)) + target


def fifo(called, links=1):
    return b"P" + name(called) + struct.pack(">HII", 0o600, 4, links)


def hard(called, inode):
    return b"H" + name(called) + struct.pack(">I", inode)


def described(contents, *entries):
    return packed(map(content, contents), *entries)


def packed(contents, *entries):
    return b"lcpack1\n" + b"".join(contents) + b"T" + b"".join(entries) + b"E"


BYTES = random.Random(1).randbytes(300_000)
GOOD = described(
    [b"first", BYTES, b"", bytes(500_000), BYTES, b"first"],
    directory(b"d", regular(b"a", 0, links=2, extended=attributes(a=b"b", c=b"")), regular(b"b", 1), mode=0o1777),
    directory(b"e", directory(b"f", hard(b"g", 0)), extended=attributes(a=b"b")),
    regular(b"h", 2),
    regular(b"i", 3),
    regular(b"j", 4),
    regular(b"k", 5),
    symbolic(b"l", b"d/a", links=2),
    hard(b"m", 1),
    fifo(b"n"),
)


class Packing(unittest.TestCase):
    def setUp(self):
        self.holder = tempfile.TemporaryDirectory()
        self.addCleanup(self.holder.cleanup)
        self.image = Path(self.holder.name) / "image"

    def pack(self, description, *before):
        self.image.unlink(missing_ok=True)
        return subprocess.run([*before, PACK, self.image], input=description, capture_output=True, timeout=60)

    def prove(self):
        return subprocess.run([BUILD / "prove", self.image], capture_output=True, timeout=60)

    def assert_refused(self, description, complaint):
        result = self.pack(description)
        self.assertEqual(70, result.returncode, result)
        self.assertEqual(1, result.stderr.count(b"\n"), result)
        self.assertIn(complaint, result.stderr)

    def test_a_tree_of_all_kinds_is_read_as_it_was_described(self):
        self.assertEqual(0, self.pack(GOOD).returncode)
        proved = self.prove()
        self.assertEqual(0, proved.returncode, proved)
        self.assertTrue(proved.stdout.startswith(b"names 13 bytes 1100015 "), proved)
        unpacked = Path(self.holder.name) / "tree"
        subprocess.run(["unsquashfs", "-q", "-n", "-d", unpacked, self.image], check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(BYTES, (unpacked / "j").read_bytes())
        self.assertEqual(bytes(500_000), (unpacked / "i").read_bytes())
        self.assertEqual((unpacked / "d/a").stat().st_ino, (unpacked / "e/f/g").stat().st_ino)
        self.assertEqual(b"b", os.getxattr(unpacked / "e", "user.a"))
        self.assertLess(self.image.stat().st_size, 320_000, "equal files are there once")

    def test_holes_are_the_zeros_that_they_stand_for(self):
        block = 128 << 10
        for parts in (
            [(5, b"x")],
            [(block, b"")],
            [(0, b"x" * block), (2 * block, b"")],
            [(block - 1, b""), (2, b"y" * 3)],
            [(3 * block + 1, b"x"), (block - 2, BYTES), (7 * block, b"z" * 100), (0, b"z")],
            [(0, BYTES[:block]), (block, BYTES[:block]), (5 * block, b""), (block + 9, b"")],
        ):
            data = b"".join(bytes(zeros) + part for zeros, part in parts)
            proofs = set()
            for one in (content(data), with_holes(len(data), *parts)):
                self.assertEqual(0, self.pack(packed([one, one], regular(b"a", 0), regular(b"b", 1))).returncode)
                proved = self.prove()
                self.assertEqual(0, proved.returncode, proved)
                proofs.add(proved.stdout)
            self.assertEqual(1, len(proofs), parts[0])

    def test_a_hole_of_a_terabyte_is_no_work(self):
        size = (1 << 40) + 1
        self.assertEqual(0, self.pack(packed([with_holes(size, (size, b""))], regular(b"a", 0))).returncode)
        self.assertTrue(self.prove().stdout.startswith(b"names 1 bytes %d " % size))
        self.assertLess(self.image.stat().st_size, 40 << 20)

    def test_the_number_of_processors_does_not_matter(self):
        images = set()
        for processors in ("0", f"0-{os.cpu_count() - 1}"):
            self.assertEqual(0, self.pack(GOOD, "taskset", "-c", processors).returncode)
            images.add(self.image.read_bytes())
        for processors, code in (("1", 0), ("7", 0), ("0", 64), ("-1", 64), ("2x", 64), ("", 64)):
            self.image.unlink(missing_ok=True)
            result = subprocess.run([PACK, self.image, processors], input=GOOD, capture_output=True)
            self.assertEqual(code, result.returncode, result)
            if code == 0:
                images.add(self.image.read_bytes())
                self.assertEqual(0, subprocess.run([BUILD / "prove", self.image, processors]).returncode)
        self.assertEqual(1, len(images))

    def test_what_exists_is_not_written_over(self):
        self.image.write_text("mine")
        result = subprocess.run([PACK, self.image], input=GOOD, capture_output=True)
        self.assertEqual(70, result.returncode)
        self.assertEqual("mine", self.image.read_text())

    def test_impossible_trees_are_refused(self):
        for description, complaint in (
            (b"", b"ends too early"),
            (b"something", b"begins otherwise"),
            (GOOD[:-1], b"ends too early"),
            (GOOD + b"E", b"something follows"),
            (described([], fifo(b"b"), fifo(b"a")), b"out of order"),
            (described([], fifo(b"a"), fifo(b"a")), b"out of order"),
            (described([], fifo(b"a/b")), b"impossible name"),
            (described([], fifo(b"..")), b"impossible name"),
            (described([], fifo(b"")), b"impossible name"),
            (described([], fifo(b"a\0b")), b"impossible name"),
            (described([], regular(b"a", 0)), b"impossible content"),
            (described([b"x"]), b"a content that no file has"),
            (described([b"x"], regular(b"a", 0), regular(b"b", 0)), b"impossible content"),
            (described([b"x"], regular(b"a", 0, links=2)), b"a hard link too few"),
            (described([], hard(b"a", 0)), b"a hard link too many"),
            (described([], fifo(b"a", links=2), hard(b"b", 0), hard(b"c", 0)), b"a hard link too many"),
            (described([], symbolic(b"a", b"")), b"impossible link"),
            (described([], b"X"), b"no known kind"),
            (packed([with_holes(5, (6, b""))], regular(b"a", 0)), b"impossible part"),
            (packed([with_holes(5, (4, b"xy"))], regular(b"a", 0)), b"impossible part"),
            (packed([with_holes(5, (0, b""))], regular(b"a", 0)), b"impossible part"),
            (packed([with_holes(1 << 63, (1 << 63, b""))], regular(b"a", 0)), b"too long"),
            (described([], directory(b"a", mode=0o10000)), b"impossible mode"),
            (b"lcpack1\nT" + (b"D" + name(b"a") + struct.pack(">HIH", 0, 0, 0)) * 5000, b"in one another"),
        ):
            with self.subTest(complaint=complaint):
                self.assert_refused(description, complaint)

    def test_whatever_is_described_it_is_refused_or_a_whole_image(self):
        draw = random.Random(2)
        small = described(
            [b"first", b"second"],
            directory(b"d", regular(b"a", 0, links=2, extended=attributes(a=b"b"))),
            hard(b"h", 0),
            regular(b"i", 1),
            symbolic(b"l", b"d/a"),
            fifo(b"n"),
        )
        packed = 0
        for _ in range(ROUNDS):
            bad = bytearray(small)
            for _ in range(draw.randrange(1, 4)):
                at = draw.randrange(8, len(bad))
                bad[at] = draw.choice((draw.randrange(256), bad[draw.randrange(len(bad))], bad[at] ^ 1, 0))
            if draw.random() < 0.1:
                del bad[draw.randrange(len(bad)) :]
            result = self.pack(bytes(bad))
            self.assertIn(result.returncode, (0, 70), (result, bytes(bad)))
            if result.returncode == 0:
                packed += 1
                proved = self.prove()
                self.assertEqual(0, proved.returncode, (proved, bytes(bad)))
        self.assertGreater(packed, ROUNDS / 20)


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 else BUILD
    PACK = BUILD / "pack"
    unittest.main()
