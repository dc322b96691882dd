#!/usr/bin/python3
"""Plays the launcher for image servers whose image files are still being filled.

Needs root, squashfs-tools and util-linux; runs in a mount and pid namespace of its own.
Argument: the build directory. LAYERCAKE_FUZZ: how many damaged images to try (default 60).
"""

import contextlib
import errno
import hashlib
import io
import os
import random
import shutil
import signal
import struct
import subprocess
import sysconfig
import tarfile
import tempfile
import threading
import time
import unittest
from pathlib import Path

import namespaces

ABSENT, PRESENT, GIVEN_UP = range(3)
URGENT, AHEAD, TOUCHED, LOST = range(4)
WAIT_SECONDS = 120
SANITIZER_FOUND = 99  # exit code, by ASAN_OPTIONS of `make asan`
SANITIZED = "ASAN_OPTIONS" in os.environ


def wait_for(what, condition, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Filling:
    """An image file with holes, its map and FIFOs, as docs/protocol.md has them."""

    def __init__(self, directory, image, seed=1, low=16 << 10, high=256 << 10):
        self.source = Path(image).read_bytes()
        self.directory = Path(directory)
        self.directory.mkdir()
        self.file, self.map, self.wanted, self.arrived = (
            str(self.directory / name) for name in ("image", "map", "wanted", "arrived"))
        rng = random.Random(seed)
        self.ends = []
        while not self.ends or self.ends[-1] < len(self.source):
            start = self.ends[-1] if self.ends else 0
            self.ends.append(min(len(self.source), start + rng.randint(low, high)))
        with open(self.file, "wb") as file:
            file.truncate(len(self.source))
        with open(self.map, "wb") as file:
            file.write(b"LCKMAP\0\1" + struct.pack("<IIQ", len(self.ends), 0, len(self.source)))
            file.write(b"".join(struct.pack("<Q", end) for end in self.ends))
            file.write(bytes(len(self.ends)))

    def chunk_at(self, offset):
        return next(i for i, end in enumerate(self.ends) if offset < end)

    def state(self, chunk):
        with open(self.map, "rb") as file:
            return os.pread(file.fileno(), 1, 24 + 8 * len(self.ends) + chunk)[0]

    def set_state(self, chunk, state):
        with open(self.map, "r+b") as file:
            os.pwrite(file.fileno(), bytes([state]), 24 + 8 * len(self.ends) + chunk)

    def deliver(self, chunk):
        start = self.ends[chunk - 1] if chunk else 0
        with open(self.file, "r+b") as file:
            os.pwrite(file.fileno(), self.source[start:self.ends[chunk]], start)
        self.set_state(chunk, PRESENT)

    def present_bytes(self):
        return sum(end - (self.ends[i - 1] if i else 0)
                   for i, end in enumerate(self.ends) if self.state(i) == PRESENT)

    def feed(self, withheld=(), delay=0.0, give_up=(), background=False, seed=1):
        """Serves what is wanted, in random order; never returns."""
        rng = random.Random(seed)
        wanted = os.open(self.wanted, os.O_RDWR | os.O_NONBLOCK)
        arrived = os.open(self.arrived, os.O_RDWR | os.O_NONBLOCK)
        waiting = []
        while True:
            try:
                records = os.read(wanted, 4096)
            except BlockingIOError:
                records = b""
            waiting += [chunk for chunk, _ in struct.iter_unpack("<II", records)]
            if not waiting and background:
                waiting = [c for c in range(len(self.ends)) if self.state(c) == ABSENT][:1]
            waiting = [c for c in dict.fromkeys(waiting)
                       if c not in withheld and self.state(c) == ABSENT]
            if not waiting:
                time.sleep(0.001)
                continue
            chunk = waiting.pop(rng.randrange(len(waiting)))
            time.sleep(rng.random() * 2 * delay)
            if chunk in give_up:
                self.set_state(chunk, GIVEN_UP)
            else:
                self.deliver(chunk)
            with contextlib.suppress(BlockingIOError):
                os.write(arrived, b"!")

    @contextlib.contextmanager
    def fed(self, **how):
        pid = self.start_feeding(**how)
        try:
            yield
        finally:
            self.stop_feeding(pid)

    def start_feeding(self, **how):
        pid = os.fork()
        if pid == 0:
            try:
                self.feed(**how)
            finally:
                os._exit(1)
        return pid

    @staticmethod
    def stop_feeding(pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class Server:
    def __init__(self, mount, *arguments, options=(), under=()):
        self.mount = Path(mount)
        self.mount.mkdir(exist_ok=True)
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*under, str(BUILD / "imageserver"), *options, arguments[0], str(mount),
             *map(str, arguments[1:])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors)
        self.said = self.process.stdout.readline()

    def words(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", self.mount], stderr=subprocess.DEVNULL, check=False)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        found = self.words() if self.process.returncode == SANITIZER_FOUND else None
        self.process.stdout.close()
        self.errors.close()
        assert found is None, found


def in_time(function, *arguments, seconds=WAIT_SECONDS):
    """Runs it in a thread; returns its result or the OSError, and how long it took."""
    result = []

    def run():
        start = time.monotonic()
        try:
            value = function(*arguments)
        except OSError as error:
            value = error
        result.append((value, time.monotonic() - start))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not result:
        raise AssertionError(f"{function} {arguments}: not within {seconds} s")
    return result[0]


def tree_digest(tree):
    tar = subprocess.Popen(["tar", "-c", "--sort=name", "-C", tree, "."], stdout=subprocess.PIPE)
    digest = hashlib.sha256()
    for block in iter(lambda: tar.stdout.read(1 << 20), b""):
        digest.update(block)
    tar.stdout.close()
    return digest.hexdigest() if tar.wait() == 0 else f"tar: {tar.returncode}"


def make_tree(tree):
    rng = random.Random(7)
    tree.mkdir()
    library = sysconfig.get_path("stdlib")
    for source in ("/usr/share/perl", f"{library}/json", f"{library}/email"):
        if Path(source).exists():
            shutil.copytree(source, tree / Path(source).name, symlinks=True)
    many = tree / "many"
    many.mkdir()
    for i in range(3000):
        (many / f"file-{i}-{'x' * (i % 90)}").write_bytes(rng.randbytes(i % 400))
    (tree / "large").write_bytes(rng.randbytes(24 << 20))
    (tree / "zeros").write_bytes(b"begin" + bytes(3 << 20) + b"end")
    (tree / "empty").touch()
    (tree / "link").symlink_to("x" * 4000)
    os.link(tree / "large", tree / "hard")
    os.mkfifo(tree / "fifo")
    os.mknod(tree / "device", 0o600 | 0o020000, os.makedev(1, 3))
    os.chown(tree / "empty", 1234567, 76543)
    os.setxattr(tree / "large", "user.colour", b"blue")
    os.setxattr(tree / "large", "user.shape", b"round" * 20)


def pack(tree, image, *options):
    subprocess.run(["mksquashfs", tree, image, "-noappend", "-quiet", "-no-progress",
                    "-comp", "zstd", *options], check=True, stdout=subprocess.DEVNULL)


class Streaming(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="layercake-streaming."))
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.tree = cls.top / "tree"
        make_tree(cls.tree)
        cls.image = cls.top / "image.sqfs"
        pack(cls.tree, cls.image)
        cls.digest = tree_digest(cls.tree)

    def setUp(self):
        self.work = Path(tempfile.mkdtemp(dir=self.top))

    def serving(self, filling, limit=60, under=()):
        return Server(self.work / "mount", filling.file, filling.map, filling.wanted,
                      filling.arrived, limit, under=under)

    def test_complete_image_is_served_as_it_is(self):
        with Server(self.work / "mount", str(self.image)) as server:
            self.assertEqual(server.said, b"mounted\n")
            self.assertEqual(tree_digest(server.mount), self.digest)
            large = server.mount / "large"
            self.assertEqual(sorted(os.listxattr(large)), ["user.colour", "user.shape"])
            self.assertEqual(os.getxattr(large, "user.shape"), b"round" * 20)
            with self.assertRaises(OSError) as caught:
                os.getxattr(large, "user.none")
            self.assertEqual(caught.exception.errno, errno.ENODATA)
            self.assertEqual(os.listxattr(server.mount / "empty"), [])
            self.assertEqual(os.statvfs(server.mount).f_bsize, 131072)
            with self.assertRaises(OSError) as caught:
                open(large, "r+b")
            self.assertEqual(caught.exception.errno, errno.EROFS)
            self.assertFalse((server.mount / "none").exists())
            subprocess.run(["umount", server.mount], check=True)
            self.assertEqual(server.process.wait(10), 0)
            self.assertEqual(server.words(), "")

    def test_sixteen_readers_see_the_tree_while_launchers_come_and_go(self):
        filling = Filling(self.work / "filling", self.image)
        with self.serving(filling) as server:
            self.assertEqual(server.said, b"mounted\n")
            digests = []
            readers = [threading.Thread(target=lambda: digests.append(tree_digest(server.mount)))
                       for _ in range(16)]
            for reader in readers:
                reader.start()
            for part in (0.05, 0.3, 0.6):
                with filling.fed(delay=0.004, seed=part):
                    wait_for("image fills",
                             lambda: filling.present_bytes() > part * len(filling.source))
                self.await_second_asking(filling)  # with nobody there
            with filling.fed(delay=0.002):
                for reader in readers:
                    reader.join(WAIT_SECONDS)
            self.assertEqual(digests, [self.digest] * 16)
            self.assertEqual(server.words(), "")
            diff = subprocess.run(["diff", "-r", "--no-dereference", self.tree / "many",
                                   server.mount / "many"], check=False)
            self.assertEqual(diff.returncode, 0)

    def test_what_is_read_first_is_told_once_also_when_it_is_there(self):
        filling = Filling(self.work / "filling", self.image, low=64 << 10, high=64 << 10)
        for chunk in range(len(filling.ends)):
            filling.deliver(chunk)
        large = filling.chunk_at(self.chunk_of_large()) + 20
        with self.serving(filling) as server:
            offset = (filling.ends[large] - self.chunk_of_large()) & ~0x1ffff
            self.read_at(server.mount / "large", offset)
            told = self.told(filling)
            self.assertEqual({urgency for _, urgency in told}, {TOUCHED})
            chunks = [chunk for chunk, _ in told]
            self.assertEqual(len(chunks), len(set(chunks)))
            self.assertTrue({0, large} <= set(chunks), chunks)
            self.assertLess(len(chunks), len(filling.ends) / 4)
            self.read_at(server.mount / "large", offset + 4096)
            self.assertFalse(set(self.told(filling)) & set(told))

    def await_said(self, filling, urgency):
        wait_for("server says it", lambda: urgency in [each for _, each in self.told(filling)])

    @staticmethod
    def told(filling):
        wanted = os.open(filling.wanted, os.O_RDWR | os.O_NONBLOCK)
        try:
            return list(struct.iter_unpack("<II", os.read(wanted, 65536)))
        except BlockingIOError:
            return []
        finally:
            os.close(wanted)

    def test_chunk_that_never_comes_is_an_io_error_and_other_files_work(self):
        filling = Filling(self.work / "filling", self.image, low=64 << 10, high=64 << 10)
        with self.serving(filling, limit=2) as server:
            with filling.fed():
                os.listdir(server.mount)
            large = filling.chunk_at(self.chunk_of_large())
            withheld = range(large + 20, large + 60)
            with filling.fed(withheld=withheld):
                lost = server.mount / "large"
                began = (filling.ends[large + 20] - filling.ends[large] + (1 << 20)) & ~0xfffff
                readers = [threading.Thread(target=in_time, daemon=True,
                                            args=(self.read_at, lost, began + i * 4096))
                           for i in range(0, 300, 7)]
                for reader in readers:
                    reader.start()
                for path in ("many", "perl", "json"):
                    self.assertEqual(tree_digest(server.mount / path),
                                     tree_digest(self.tree / path))
                result, took = in_time(self.read_at, lost, began)
                self.assertIsInstance(result, OSError)
                self.assertEqual(result.errno, errno.EIO)
                self.assertLess(took, 10)
                for reader in readers:
                    reader.join(WAIT_SECONDS)
                self.assertIn("did not come in 2 s", server.words())
                self.assertLess(server.words().count("\n"), 5)
            in_time(self.read_at, lost, began)
            self.await_said(filling, LOST)
            with filling.fed():
                self.assertEqual(tree_digest(server.mount), self.digest)

    def test_chunk_that_is_given_up_is_an_io_error_at_once(self):
        filling = Filling(self.work / "filling", self.image)
        with self.serving(filling) as server:
            with filling.fed():
                os.listdir(server.mount)
            lost = filling.chunk_at(self.chunk_of_large() + (8 << 20))
            with filling.fed(give_up=[lost]):
                result, took = in_time((server.mount / "large").read_bytes)
                self.assertIsInstance(result, OSError)
                self.assertEqual(result.errno, errno.EIO)
                self.assertLess(took, 30)
            filling.set_state(lost, 7)
            result, _ = in_time((server.mount / "large").read_bytes)
            self.assertIsInstance(result, OSError)
            filling.deliver(lost)
            with filling.fed():
                self.assertEqual((server.mount / "large").read_bytes(),
                                 (self.tree / "large").read_bytes())

    def test_a_task_that_waits_can_be_killed(self):
        filling = Filling(self.work / "filling", self.image, low=8 << 10, high=8 << 10)
        with self.serving(filling, limit=600) as server:
            with filling.fed():
                os.stat(server.mount)
            waiting = subprocess.Popen(["cat", server.mount / "large"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            self.await_second_asking(filling)
            self.assertIsNone(waiting.poll())
            waiting.kill()
            self.assertEqual(waiting.wait(30), -signal.SIGKILL)

    def test_waits_for_the_first_chunk_are_limited_too(self):
        filling = Filling(self.work / "filling", self.image)
        with self.serving(filling, limit=1) as server:
            result, took = in_time(os.stat, server.mount)
            self.assertIsInstance(result, OSError)
            self.assertLess(took, 10)
            self.assertEqual(server.process.wait(10), 75)
            self.assertRegex(server.words(), r"chunk \d+ of \d+ did not come in 1 s")

    def test_a_first_chunk_that_was_given_up_is_not_called_damage(self):
        filling = Filling(self.work / "filling", self.image)
        for chunk in range(len(filling.ends)):
            filling.set_state(chunk, GIVEN_UP)
        with self.serving(filling) as server:
            self.assertEqual(server.process.wait(10), 75)
            self.assertIn("was given up", server.words())

    def test_a_server_whose_mount_ends_before_the_image_is_there_ends_too(self):
        filling = Filling(self.work / "filling", self.image)
        with self.serving(filling, limit=600) as server:
            self.await_second_asking(filling)
            subprocess.run(["umount", "--lazy", server.mount], check=True)
            self.assertEqual(server.process.wait(10), 0)

    def test_what_is_no_image_is_told_as_such(self):
        nothing = self.work / "nothing"
        nothing.write_bytes(bytes(1 << 20))
        with Server(self.work / "mount", str(nothing)) as server:
            self.assertEqual(server.process.wait(10), 65)
            self.assertIn("it is not a squashfs file", server.words())

    def test_a_count_without_room_for_it_is_refused_before_it_takes_memory(self):
        image = self.work / "counts.sqfs"
        bad = bytearray(self.image.read_bytes())
        struct.pack_into("<I", bad, 16, 0xFFFFFFFF)
        struct.pack_into("<Q", bad, 40, len(bad) + (70 << 20))
        image.write_bytes(bad)
        os.truncate(image, len(bad) + (70 << 20))
        with Server(self.work / "mount", str(image)) as server:
            self.assertEqual(server.process.wait(10), 65)

    def test_a_name_that_linux_forbids_does_not_leave_the_server(self):
        tree = self.work / "names"
        tree.mkdir()
        (tree / "first").touch()
        (tree / "second").write_bytes(b"x" * 70000)
        image = self.work / "names.sqfs"
        pack(tree, image, "-noI", "-noD", "-noF")
        good = image.read_bytes()
        name = good.index(b"first", struct.unpack_from("<Q", good, 72)[0])
        for size in (0xEFFF, 255):
            bad = bytearray(good)
            struct.pack_into("<H", bad, name - 2, size)
            image.write_bytes(bad)
            with Server(self.work / "mount", str(image)) as server:
                for question in (lambda: os.listdir(server.mount), lambda: os.stat(server.mount / "second")):
                    result, _ = in_time(question)
                    self.assertIsInstance(result, OSError)
                    self.assertEqual(result.errno, errno.EIO)
                self.assertIsNone(server.process.poll())

    def test_attributes_that_overlays_go_by_are_not_served(self):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as out:
            info = tarfile.TarInfo("file")
            info.pax_headers = {"SCHILY.xattr.trusted.overlay.redirect": "/other",
                                "SCHILY.xattr.user.colour": "blue",
                                "SCHILY.xattr.security.label": "x"}
            out.addfile(info)
        image = self.work / "attributes.sqfs"
        subprocess.run(["tar2sqfs", "-q", image], input=tar.getvalue(), check=True)
        with Server(self.work / "mount", str(image)) as server:
            file = server.mount / "file"
            self.assertEqual(sorted(os.listxattr(file)), ["security.label", "user.colour"])
            self.assertEqual(os.getxattr(file, "security.label"), b"x")
            with self.assertRaises(OSError) as caught:
                os.getxattr(file, "trusted.overlay.redirect")
            self.assertEqual(caught.exception.errno, errno.ENODATA)

    def test_without_memory_servers_end_before_jobs_and_wait_for_no_disk(self):
        io_flusher = 0x180000  # PF_MEMALLOC_NOIO, PF_LOCAL_THROTTLE; linux/sched.h
        resource_capability = 1 << 24  # which root needs for that, and lacks in some containers
        status = Path("/proc/self/status").read_text()
        may = int(status.partition("CapEff:\t")[2].split()[0], 16) & resource_capability
        filling = Filling(self.work / "filling", self.image)
        with self.serving(filling) as server:
            process = Path(f"/proc/{server.process.pid}")
            self.assertEqual((process / "oom_score_adj").read_text(), "500\n")
            for task in (process / "task").iterdir():
                flags = int((task / "stat").read_text().rpartition(")")[2].split()[6])
                self.assertEqual(flags & io_flusher, io_flusher if may else 0)

    @unittest.skipIf(SANITIZED, "the sanitizer needs more memory than a server may have")
    def test_memory_of_one_server_is_limited(self):
        with Server(self.work / "mount", str(self.image)) as server:
            limits = Path(f"/proc/{server.process.pid}/limits").read_text()
            self.assertRegex(limits, r"Max data size +201326592 +201326592 ")
            self.assertRegex(limits, r"Max core file size +0 +0 ")

    @unittest.skipIf(SANITIZED, "the sanitizer needs more memory than a server may have")
    def test_without_memory_for_its_chunks_a_server_says_so_and_ends(self):
        blank = self.work / "blank"
        blank.write_bytes(bytes(1 << 20))
        filling = Filling(self.work / "filling", blank, low=1, high=1)
        with self.serving(filling, under=("prlimit", f"--data={12 << 20}")) as server:
            self.assertEqual(server.process.wait(10), 70)
            self.assertEqual(server.words(),
                             "imageserver: cannot remember 1048576 chunks: no memory\n")

    def test_server_joins_the_cgroup_it_is_given(self):
        """In whatever hierarchy there is; a plain file stands in where there is none."""
        procs = self.work / "procs"
        for hierarchy in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
            cgroup = Path(hierarchy) / f"layercake-test-{os.urandom(4).hex()}"
            with contextlib.suppress(OSError):
                cgroup.mkdir()
                self.addCleanup(cgroup.rmdir)
                if (cgroup / "cgroup.procs").exists():
                    procs = cgroup / "cgroup.procs"
                    break
        else:
            procs.touch()
        with Server(self.work / "mount", str(self.image), options=("--cgroup", procs)) as server:
            self.assertEqual(server.said, b"mounted\n", server.words())
            if procs.parent == cgroup:
                lines = Path(f"/proc/{server.process.pid}/cgroup").read_text().splitlines()
                self.assertTrue(any(line.endswith(cgroup.name) for line in lines), lines)
            else:
                self.assertEqual(procs.read_text(), "0")

    def test_a_cgroup_that_cannot_be_joined_is_an_error(self):
        missing = self.work / "no-such-cgroup"
        with Server(self.work / "mount", str(self.image), options=("--cgroup", missing)) as server:
            self.assertEqual(server.process.wait(10), 70)
            self.assertIn(str(missing), server.words())
            self.assertFalse(os.path.ismount(server.mount))

    def test_server_asks_for_what_is_read_and_for_metadata_ahead(self):
        filling = Filling(self.work / "filling", self.image)
        with self.serving(filling) as server:
            with filling.fed():
                self.assertEqual((server.mount / "zeros").read_bytes()[:5], b"begin")
            self.assertLess(filling.present_bytes(), len(filling.source) / 4)
            self.assertEqual(filling.state(len(filling.ends) - 1), PRESENT)

    def test_bad_maps_are_refused(self):
        filling = Filling(self.work / "filling", self.image)
        good = Path(filling.map).read_bytes()
        for bad in (b"", good[:-1], good + b"\0", b"X" + good[1:],
                    good[:16] + struct.pack("<Q", len(filling.source) + 1) + good[24:],
                    good[:24] + struct.pack("<Q", 1 << 62) + good[32:]):
            Path(filling.map).write_bytes(bad)
            with self.serving(filling) as server:
                self.assertEqual(server.process.wait(10), 74)
                self.assertIn("not a map of chunks", server.words())
                self.assertFalse(os.path.ismount(server.mount))
        Path(filling.map).write_bytes(good)
        os.truncate(filling.file, 4096)
        with self.serving(filling) as server:
            self.assertEqual(server.process.wait(10), 74)
            self.assertIn("another size", server.words())

    def test_server_has_nothing_to_lose(self):
        filling = Filling(self.work / "filling", self.image)
        with self.serving(filling) as server:
            for task in Path(f"/proc/{server.process.pid}/task").iterdir():
                status = (task / "status").read_text()
                for line in ("Seccomp:\t2", "NoNewPrivs:\t1", "CapPrm:\t0000000000000000",
                             "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
                             "Uid:\t65534\t65534\t65534\t65534", "Groups:\t \n"):
                    self.assertIn(line, status)
            open_files = sorted(os.readlink(entry) for entry in
                                Path(f"/proc/{server.process.pid}/fd").iterdir())
            self.assertEqual(len(open_files), 7, open_files)

    def test_damaged_images_hang_nobody(self):
        rng = random.Random(20)
        small = self.work / "small"
        small.mkdir()
        for path in ("json", "email"):
            shutil.copytree(self.tree / path, small / path)
        (small / "data").write_bytes(rng.randbytes(300000))
        (small / "link").symlink_to("data")
        os.setxattr(small / "data", "user.colour", b"blue")
        image = self.work / "small.sqfs"
        # Uncompressed metadata: more of the damage is understood.
        pack(small, image, "-noI", "-noId", "-noX")
        good = image.read_bytes()
        inodes = struct.unpack_from("<Q", good, 64)[0]
        refused = crashed = 0
        for i in range(int(os.environ.get("LAYERCAKE_FUZZ", "60"))):
            bad = bytearray(good)
            if i % 10 == 9:
                del bad[rng.randrange(len(bad)):]
            for _ in range(rng.choice((1, 3, 30))):
                low = rng.choice((0, inodes, inodes))
                at = min(rng.randrange(low, len(good) if low else 96), len(bad) - 1)
                bad[at] = rng.choice((0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)))
            image.write_bytes(bad)
            with Server(self.work / "mount", str(image)) as server:
                walk = subprocess.Popen(
                    ["sh", "-c", "find . -ls; tar -c --xattrs . | cat"],
                    cwd=self.work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    start_new_session=True, preexec_fn=lambda: self.enter(server.mount))
                try:
                    walk.wait(60)
                except subprocess.TimeoutExpired:
                    (Path("/var/tmp") / f"layercake-hang-{i}.sqfs").write_bytes(bad)
                    os.killpg(walk.pid, signal.SIGKILL)
                    self.fail(f"damaged image {i} hangs its reader")
                refused += server.process.poll() == 65
                crashed += (server.process.poll() or 0) < 0
        self.assertGreater(refused, 0)
        self.assertEqual(0, crashed)

    def await_second_asking(self, filling):
        """Somebody waits, and the server has asked again for what it asked before."""
        asked = {}
        wanted = os.open(filling.wanted, os.O_RDWR | os.O_NONBLOCK)

        def look():
            with contextlib.suppress(BlockingIOError):
                for chunk, urgency in struct.iter_unpack("<II", os.read(wanted, 4096)):
                    if urgency == URGENT:
                        asked[chunk] = asked.get(chunk, 0) + 1
            return max(asked.values(), default=0) > 1

        wait_for("server asks again", look)
        os.close(wanted)

    @staticmethod
    def enter(directory):
        with contextlib.suppress(OSError):
            os.chdir(directory)

    @staticmethod
    def read_at(path, offset):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            return os.pread(fd, 4096, offset)
        finally:
            os.close(fd)

    def chunk_of_large(self):
        """Where in the image file the (incompressible) large file begins."""
        return self.image.read_bytes().index((self.tree / "large").read_bytes()[:131072])


if __name__ == "__main__":
    BUILD = namespaces.enter()
    unittest.main()
