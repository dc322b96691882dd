#!/usr/bin/python3
"""What `unpack` writes of whole and of hostile images.

Needs squashfs-tools, tar and root, for device files. Argument: the build directory.
"""

import io
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

BUILD = Path("build")
DAMAGED, BEYOND = 65, 69
FLIPS = int(os.environ.get("LAYERCAKE_FUZZ", "150"))


def unpack(image, *options):
    return subprocess.run([BUILD / "unpack", *options, image], capture_output=True)


class Unpacking(unittest.TestCase):
    def setUp(self):
        self.work = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.work)
        self.tree = self.work / "tree"
        self.tree.mkdir()

    def image(self, *options):
        image = self.work / "image.sqfs"
        subprocess.run(["mksquashfs", self.tree, image, "-noappend", "-quiet", "-no-progress", *options], check=True,
                       stdout=subprocess.DEVNULL)
        return image

    def plain_image(self):
        """With names as they are, to be changed."""
        return self.image("-noI", "-noId", "-noD", "-noF", "-noX")

    def replaced(self, image, old, new):
        data = image.read_bytes()
        self.assertEqual(data.count(old), 1, old)
        image.write_bytes(data.replace(old, new))

    def refused(self, image, cause):
        done = unpack(image)
        self.assertEqual(done.returncode, DAMAGED, done.stderr)
        self.assertIn(cause, done.stderr.decode())
        self.assertEqual(done.stderr.count(b"\n"), 1)
        self.assertFalse(done.stdout.endswith(bytes(1024)), "the tar has an end")

    def fill(self):
        (self.tree / "a").mkdir()
        (self.tree / "a" / "data").write_bytes(random.Random(1).randbytes(300_001) + bytes(400_000))
        (self.tree / "a" / "empty").write_bytes(b"")
        os.link(self.tree / "a" / "data", self.tree / "again")
        os.symlink("../.." + "/long" * 40, self.tree / "a" / "link")
        deep = self.tree / ("d" * 200) / ("e" * 200)
        deep.mkdir(parents=True)
        (deep / ("f" * 255)).write_text("deep")
        (self.tree / os.fsdecode(b"caf\xe9\nx")).write_text("bytes")
        (self.tree / "tool").write_text("tool")
        (self.tree / "tool").chmod(0o6755)
        os.mkfifo(self.tree / "fifo", 0o600)
        os.mknod(self.tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(self.tree / "many", stat.S_IFBLK | 0o600, os.makedev(259, 70_000))
        os.setxattr(self.tree / "tool", "user.note", b"a\0b")
        for path in self.tree.rglob("*"):
            os.utime(path, (0, 1_234_567_890), follow_symlinks=False)
        return self.image()

    def test_a_tree_comes_back_as_it_was(self):
        image = self.fill()
        done = unpack(image)
        self.assertEqual(done.returncode, 0, done.stderr)
        back = self.work / "back"
        back.mkdir()
        subprocess.run(["tar", "-xp", "--xattrs", "-C", back], input=done.stdout, check=True)
        self.assertEqual(self.listed(self.tree), self.listed(back))
        for special in ("fifo", "null", "many"):
            (self.tree / special).unlink()
            (back / special).unlink()
        subprocess.run(["diff", "-r", "--no-dereference", self.tree, back], check=True)
        self.assertTrue((back / "again").samefile(back / "a" / "data"))
        self.assertEqual(os.getxattr(back / "tool", "user.note"), b"a\0b")

    def listed(self, tree):
        return sorted((path.relative_to(tree), os.lstat(path).st_mode, os.lstat(path).st_mtime, os.lstat(path).st_rdev)
                      for path in tree.rglob("*"))

    def test_every_image_makes_the_same_bytes_each_time(self):
        image = self.fill()
        self.assertEqual(unpack(image).stdout, unpack(image).stdout)

    def test_ones_own_has_no_devices_and_lends_no_id(self):
        done = unpack(self.fill(), "--mine")
        self.assertEqual(done.returncode, 0, done.stderr)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            modes = {member.name: member.mode for member in tar}
            self.assertFalse(any(member.isdev() and not member.isfifo() for member in tar))
        self.assertEqual(modes["tool"], 0o755)
        self.assertIn("fifo", modes)
        self.assertNotIn("null", modes)

    def test_a_link_and_a_directory_of_one_name_are_refused(self):
        os.symlink("/tmp", self.tree / "aaaa-x")
        (self.tree / "aaab-x").mkdir()
        (self.tree / "aaab-x" / "planted").write_text("x")
        image = self.plain_image()
        self.assertEqual(unpack(image).returncode, 0, "in order")
        self.replaced(image, b"aaab-x", b"aaaa-x")
        self.refused(image, "out of order")

    def test_names_that_lead_out_are_refused(self):
        for name in (b"../x", b"/etc", b"a\0bc"):
            with self.subTest(name=name):
                shutil.rmtree(self.tree)
                self.tree.mkdir()
                (self.tree / "zzzz").write_text("x")
                image = self.plain_image()
                self.replaced(image, b"zzzz", name)
                self.refused(image, "")

    def test_what_is_cut_off_has_no_end(self):
        image = self.fill()
        os.truncate(image, image.stat().st_size // 2)
        self.refused(image, "")

    def test_what_is_damaged_somewhere_ends_well(self):
        image = self.fill()
        whole = image.read_bytes()
        chance = random.Random(2)
        for _ in range(FLIPS):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                # Where the numbers are: at the beginning and the end.
                place = chance.choice((chance.randrange(96), chance.randrange(max(96, len(data) - 3000), len(data))))
                data[place] = chance.randrange(256)
            image.write_bytes(data)
            self.assertIn(unpack(image).returncode, (0, DAMAGED, BEYOND))


if __name__ == "__main__":
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=0)
