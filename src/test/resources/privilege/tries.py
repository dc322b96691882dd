#!/usr/bin/python3
"""What a task or a session tries in a container to gain what its user does not have.

Prints a line for each try: "held NAME", or "GAINED NAME: WHAT". The image is that of PrivilegeTriesIT;
/ro is a directory that all may write to, mounted read-only; /lc is the node's run directory.
"""
import ctypes
import os
import shutil
import stat
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 2, 4, 32, 4096
MNT_DETACH, CLONE_NEWNS, CLONE_NEWUSER = 2, 0x20000, 0x10000000
HOME = os.path.expanduser("~" + os.environ["USER"])
# Where a task may write in one container or another.
PLACES = ["/", HOME, "/tmp", "/dev/shm", "/run"]
DEVICES = [("disk", stat.S_IFBLK, 8, 0), ("loop", stat.S_IFBLK, 7, 0), ("memory", stat.S_IFCHR, 1, 1)]
# All capabilities, permitted and effective, capability(7).
CAPABILITIES = struct.pack("<IIIII", 0x02000001, 0xFFFFFFFF, 0, 0x1FF, 0)
KEPT = ("Uid", "Gid", "Groups", "NoNewPrivs", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")

tries = []


def attempt(function):
    tries.append(function)
    return function


def check(call, act, *arguments):
    ctypes.set_errno(0)
    if call(*arguments) < 0:
        raise OSError(ctypes.get_errno(), act)


def mount(source, target, kind, flags, options=None):
    words = [word.encode() if word else None for word in (source, target, kind)]
    check(LIBC.mount, "mount", *words, ctypes.c_ulong(flags), options.encode() if options else None)


def status(path="/proc/self/status"):
    with open(path) as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if line.startswith(KEPT))


def status_of(program):
    said = subprocess.run(["cat", "/proc/self/status"], executable=program, capture_output=True, text=True)
    return dict(line.split(":\t", 1) for line in said.stdout.splitlines() if line.startswith(KEPT))


MINE = status()


def refused(name, act, *arguments, **more):
    """What an act has gained that must fail."""
    try:
        act(*arguments, **more)
    except (OSError, ValueError):
        return None
    return f"{name} was possible"


def attempted(act, *arguments, **more):
    """Whether an act that is harmless, or must have no effect, has succeeded."""
    return refused("", act, *arguments, **more) is not None


def running(program):
    try:
        found = status_of(program)
    except OSError:
        return None
    return f"{program} has {found}" if found and found != MINE else None


def write(path, text="0"):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def in_child(act):
    """What an act has gained that changes its own process."""
    read, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            gained = act()
        except OSError:
            gained = None
        except BaseException as failure:  # a mistake of ours is no success
            gained = f"the try failed: {failure!r}"
        os.write(said, (gained or "").encode())
        os._exit(0)
    os.close(said)
    os.waitpid(child, 0)
    with os.fdopen(read) as answer:
        return answer.read() or None


def sees_the_node():
    # What the root directory of each node of the cluster has.
    return "the node's root directory" if os.path.exists("/layercake-cluster") else None


@attempt
def no_process_inside_can_gain_privileges():
    here, seen = os.readlink("/proc/self/ns/mnt"), 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/mnt") != here:
                continue
            found = status(f"/proc/{pid}/status")
        except OSError:
            continue
        seen += 1
        if found["NoNewPrivs"] != "1" or found["Uid"] != MINE["Uid"]:
            return f"process {pid} has {found}"
    return None if seen > 1 else "the holder was not found"


@attempt
def setuid_programs_of_the_image():
    return running("/setuid") or running("/setgid")


def made_inside(name, empower):
    for place in PLACES:
        program = os.path.join(place, name)
        if attempted(shutil.copy, "/bin/busybox", program):
            empower(program)
            gained = running(program)
            if gained:
                return gained
            if place != "/":
                os.unlink(program)


@attempt
def setuid_programs_made_inside():
    def empower(program):
        attempted(os.chown, program, 0, 0)
        attempted(os.chmod, program, 0o6755)

    return made_inside("made-setuid", empower)


@attempt
def file_capabilities_made_inside():
    def empower(program):
        attempted(os.chmod, program, 0o755)
        attempted(os.setxattr, program, "security.capability", CAPABILITIES)

    return made_inside("made-capable", empower)


@attempt
def programs_of_a_saved_container():
    return running("/made-setuid") or running("/made-capable")


@attempt
def ids_and_groups():
    def become():
        for act in (lambda: os.setgroups([0]), lambda: os.setresgid(0, 0, 0), lambda: os.setresuid(0, 0, 0)):
            attempted(act)
        return None if status() == MINE else f"it is {status()}"
    return in_child(become)


@attempt
def other_ids_of_the_namespace():
    return refused("a map of ids", write, "/proc/self/uid_map", "0 0 1") or refused(
        "a map of groups", write, "/proc/self/gid_map", "0 0 1")


@attempt
def devices_made_inside():
    for place in PLACES:
        for name, kind, major, minor in DEVICES:
            path = os.path.join(place, "made-" + name)
            attempted(os.mknod, path, kind | 0o666, os.makedev(major, minor))
            if os.path.lexists(path):
                return f"{path} is {os.lstat(path)}"


@attempt
def devices_of_the_image():
    for path in ("/disk", "/memory", "/null"):
        attempted(os.chmod, path, 0o666)
        for flags in (os.O_RDONLY, os.O_WRONLY):
            if attempted(os.open, path, flags):
                return f"{path} was opened"


@attempt
def overlay_attributes_of_the_image():
    if os.listdir("/redirected") or os.path.getsize("/metacopy") != 0:
        return "an attribute of the image leads elsewhere"
    return None if os.path.exists("/opaque/file") else "an attribute of the image hides a file"


@attempt
def overlay_attributes_made_inside():
    attempted(os.mkdir, "/made-redirect")
    for path in ("/made-redirect", "/redirected", "/metacopy"):
        for name in ("redirect", "opaque", "metacopy", "origin"):
            gained = refused(f"trusted.overlay.{name}", os.setxattr, path, f"trusted.overlay.{name}", b"/etc")
            if gained:
                return gained
            attempted(os.setxattr, path, f"user.overlay.{name}", b"/etc")
    made = os.path.isdir("/made-redirect") and os.listdir("/made-redirect")
    return "an attribute leads elsewhere" if made or os.listdir("/redirected") else None


@attempt
def read_only_mounts():
    for flags in (0, MS_NOSUID | MS_NODEV):
        attempted(mount, None, "/ro", None, MS_REMOUNT | MS_BIND | flags)
        attempted(mount, "none", "/ro", None, MS_REMOUNT | flags)
    return refused("a file on a read-only mount", lambda: open("/ro/made", "w"))


@attempt
def the_image_when_it_is_not_writable():
    if "writable" in sys.argv[1]:
        return None
    attempted(mount, None, "/", None, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV)
    attempted(mount, "none", "/", None, MS_REMOUNT)
    return refused("a file in the image", lambda: open("/made", "w"))


@attempt
def setuid_and_devices_on_the_root_directory():
    attempted(mount, None, "/", None, MS_REMOUNT | MS_BIND)
    flags = os.statvfs("/").f_flag
    return None if flags & os.ST_NOSUID and flags & os.ST_NODEV else f"flags {flags:#x}"


@attempt
def file_systems_of_devices():
    os.makedirs("/tmp/made-mount", exist_ok=True)
    for source in ("/disk", "/dev/loop0", "/dev/sda", "/bin/busybox"):
        for kind in ("ext4", "xfs", "squashfs"):
            if attempted(mount, source, "/tmp/made-mount", kind, 0):
                return f"{source} was mounted"


@attempt
def devices_on_a_mount_of_ones_own():
    def make():
        check(LIBC.unshare, "unshare", CLONE_NEWNS | (0 if os.getuid() == 0 else CLONE_NEWUSER))
        mount("none", "/tmp/made-mount", "tmpfs", 0)
        attempted(os.mknod, "/tmp/made-mount/disk", stat.S_IFBLK | 0o666, os.makedev(8, 0))
        if os.path.exists("/tmp/made-mount/disk"):
            return "a device on a tmpfs"
        shutil.copy("/bin/busybox", "/tmp/made-mount/setuid")
        attempted(os.chmod, "/tmp/made-mount/setuid", 0o6755)
        found = status_of("/tmp/made-mount/setuid")
        return None if found["NoNewPrivs"] == "1" and found["Uid"] == status()["Uid"] else f"{found}"
    return in_child(make)


@attempt
def what_is_below_the_mounts():
    def unmount():
        check(LIBC.unshare, "unshare", CLONE_NEWNS | (0 if os.getuid() == 0 else CLONE_NEWUSER))
        with open("/proc/self/mountinfo") as mounts:
            places = [line.split()[4] for line in mounts]
        for place in reversed(places):
            attempted(check, LIBC.umount2, "umount", place.encode(), MNT_DETACH)
        return sees_the_node() or refused("the node's images", os.listdir, "/run/layercake/images")
    return in_child(unmount)


@attempt
def another_root_directory():
    def leave():
        os.makedirs("/tmp/made-root", exist_ok=True)
        top = os.open("/", os.O_RDONLY)
        os.chroot("/tmp/made-root")
        os.fchdir(top)
        for _ in range(20):
            os.chdir("..")
        os.chroot(".")
        return sees_the_node()
    return in_child(leave)


@attempt
def files_by_their_handles():
    handle = ctypes.create_string_buffer(struct.pack("<Ii", 8, 1) + struct.pack("<II", 2, 0), 144)
    for place in ("/", "/ro", HOME, "/tmp"):
        top = os.open(place, os.O_RDONLY)
        if LIBC.open_by_handle_at(top, handle, os.O_RDONLY) >= 0:
            return f"inode 2 below {place}"


@attempt
def namespaces_and_processes_of_others():
    for path in ("ns/mnt", "ns/user", "root", "cwd", "mem", "environ"):
        gained = refused(f"/proc/1/{path}", os.open, f"/proc/1/{path}", os.O_RDONLY)
        if gained:
            return gained
    return refused("a mount of /proc/1/root", mount, "/proc/1/root", "/tmp/made-mount", None, MS_BIND) or refused(
        "a signal", os.kill, 1, 0)


@attempt
def what_the_kernel_is_told():
    for path in ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                 "/proc/sys/kernel/hostname", "/sys/kernel/uevent_helper",
                 "/sys/fs/cgroup/freezer/release_agent", "/sys/fs/cgroup/devices/devices.allow",
                 "/sys/block/loop0/uevent", "/dev/loop-control", "/dev/loop0"):
        gained = refused(path, lambda name=path: os.close(os.open(name, os.O_WRONLY)))
        if gained:
            return gained


@attempt
def the_launchers_files():
    for name in ("images", "changes", "jobs", "contained"):
        gained = refused(f"a list of {name}", os.listdir, f"/lc/{name}")
        if gained:
            return gained
    for act in (lambda: os.rename("/lc/changes", "/lc/made"), lambda: os.unlink("/lc/launcher.sock"),
                lambda: os.chmod("/lc/changes", 0o777), lambda: open("/lc/launcher.lock", "r+"),
                lambda: open("/lc/made", "w")):
        gained = refused("the run directory", act)
        if gained:
            return gained
    return None if os.path.exists("/lc/launcher.sock") else "the socket is gone"


for function in tries:
    result = function()
    print(f"GAINED {function.__name__}: {result}" if result else f"held {function.__name__}")
for place in "/tmp/made-mount", "/tmp/made-root":
    attempted(os.rmdir, place)
