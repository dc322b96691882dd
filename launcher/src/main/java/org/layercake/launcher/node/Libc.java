package org.layercake.launcher.node;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import jnr.ffi.LastError;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Memory;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.annotations.In;
import jnr.ffi.annotations.Out;
import jnr.ffi.types.size_t;
import jnr.ffi.types.ssize_t;
import jnr.ffi.types.u_int64_t;

/**
 * The few calls of glibc that the JDK has no word for: Unix sockets with peer pid and descriptor
 * passing (for {@link UnixSocket}), processes by descriptor (pidfd_open(2)), mounts (mount(2),
 * umount2(2)), the password database by uid (getpwuid_r(3)).
 *
 * <p>Structures are laid out by hand for 64-bit Linux; only this class and {@link UnixSocket} know
 * them. Bytes go as arrays, which jnr-ffi frees with the call: memory of its own is freed when the
 * collector gets to it, and many small requests would fill the node before.
 */
public final class Libc {
  private static final int O_RDWR = 2;
  private static final int O_NONBLOCK = 0x800;
  private static final int O_CLOEXEC = 0x80000;
  private static final int MNT_DETACH = 2;
  private static final int MS_NOSUID = 2;
  private static final int MS_NODEV = 4;
  // By number, because glibc has functions for them only since 2.36; the same on all machines.
  private static final long SYS_PIDFD_SEND_SIGNAL = 424;
  private static final long SYS_PIDFD_OPEN = 434;
  private static final int EINTR = 4;
  private static final int ENOENT = 2;
  private static final int EINVAL = 22;
  private static final int MAX_PATH_BYTES = 4096;
  private static final int ERANGE = 34;
  // Each of these may mean "not found", getpwnam(3): 0, ENOENT, ESRCH, EBADF, EPERM.
  private static final Set<Integer> NO_SUCH_USER = Set.of(0, ENOENT, 3, 9, 1);
  private static final int PASSWD_STRUCT_BYTES = 48;
  private static final int FIRST_PASSWD_BYTES = 4096;
  private static final int MAX_PASSWD_BYTES = 1 << 20;
  private static final int CLOCK_BOOTTIME = 7;
  private static final int PRIO_PROCESS = 0;
  private static final int PREFERRED_NICE = -10;
  // Linux gives nice on to threads and programs, sched(7): users would get it that way.
  private static final int SCHED_OTHER_AND_RESET_ON_FORK = 0x40000000;

  static final Native LIBC = LibraryLoader.create(Native.class).load("c");
  static final Runtime RUNTIME = Runtime.getRuntime(LIBC);

  private Libc() {}

  /** C names and C types; public because jnr-ffi generates the implementation elsewhere. */
  public interface Native {
    int socket(int domain, int type, int protocol);

    int bind(int fd, @In byte[] address, int length);

    int listen(int fd, int backlog);

    int connect(int fd, @In byte[] address, int length);

    int accept4(int fd, Pointer address, Pointer length, int flags);

    int poll(Pointer entries, long count, int timeoutMillis);

    int pipe2(@Out int[] ends, int flags);

    int fcntl(int fd, int command, int argument);

    int getsockopt(int fd, int level, int name, @In @Out byte[] value, @In @Out int[] length);

    int setsockopt(int fd, int level, int name, @In byte[] value, int length);

    int shutdown(int fd, int how);

    @ssize_t
    long recv(int fd, @Out byte[] buffer, @size_t long length, int flags);

    @ssize_t
    long send(int fd, @In byte[] buffer, @size_t long length, int flags);

    @ssize_t
    long sendmsg(int fd, Pointer message, int flags);

    int open(String path, int flags);

    int close(int fd);

    @ssize_t
    long read(int fd, @Out byte[] buffer, @size_t long length);

    @ssize_t
    long write(int fd, @In byte[] buffer, @size_t long length);

    long syscall(long number, long first, long second, long third, long fourth);

    int mount(String source, String target, String type, @u_int64_t long flags, String options);

    int umount2(String target, int flags);

    int getpwuid_r(int uid, Pointer passwd, Pointer text, @size_t long textBytes, Pointer found);

    int clock_gettime(int clock, @Out long[] secondsAndNanos);

    int setpriority(int which, int who, int nice);

    int sched_setscheduler(int pid, int policy, @In byte[] parameters);
  }

  /** An entry of the password database; home is bytes as the C library has them. */
  public record User(String name, long gid, String home) {}

  public static void close(int fd) {
    LIBC.close(fd);
  }

  /** Opens a path read-only, close-on-exec; meant for the magic links of proc(5), /proc/PID/ns. */
  public static int open(String path) throws IOException {
    return check(LIBC.open(path, O_CLOEXEC), "open", path);
  }

  /** Opens a FIFO for both directions, so that no write to it waits; fifo(7). */
  public static int openNonBlocking(Path fifo) throws IOException {
    return check(LIBC.open(fifo.toString(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open", fifo);
  }

  /** Writes one byte, or nothing where that would wait. */
  public static void writeByte(int fd) {
    LIBC.write(fd, new byte[1], 1);
  }

  /** Returns the number of bytes, 0 at the end, negative on failure; read(2). */
  static int read(int fd, byte[] buffer) {
    return (int) LIBC.read(fd, buffer, buffer.length);
  }

  /** The same as {@link #open}; -1 when it cannot be opened. */
  public static int openOrNone(String path) {
    return LIBC.open(path, O_CLOEXEC);
  }

  /**
   * A descriptor of a process, which means that process for ever, whoever has its pid later;
   * pidfd_open(2).
   *
   * @throws IOException when there is no process with that pid
   */
  public static int openProcess(long pid) throws IOException {
    return check((int) LIBC.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0), "open process", pid);
  }

  /**
   * Sends a signal, or with 0 only asks; pidfd_send_signal(2).
   *
   * @return whether the process is still there
   */
  public static boolean signal(int pidfd, int signal) {
    return LIBC.syscall(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0) == 0;
  }

  /** Mounts what neither setuid programs nor device nodes count in; mount(2). */
  public static void mount(String source, Path target, String type, String options)
      throws IOException {
    long flags = MS_NOSUID | MS_NODEV;
    check(LIBC.mount(source, target.toString(), type, flags, options), "mount", target);
  }

  /** Detaches a mount now; the kernel ends it when its last user goes. No mount is no error. */
  public static void detach(Path mountPoint) throws IOException {
    if (LIBC.umount2(mountPoint.toString(), MNT_DETACH) < 0) {
      int errno = errno();
      if (errno != EINVAL && errno != ENOENT) {
        throw new IOException("cannot unmount \"" + mountPoint + "\": errno " + errno);
      }
    }
  }

  /**
   * Looks a uid up in the password database, as getpwuid_r(3) says it.
   *
   * @return empty when there is no such user
   * @throws IOException when the name service cannot tell, which says nothing about the user
   */
  public static Optional<User> user(long uid) throws IOException {
    for (int bytes = FIRST_PASSWD_BYTES; bytes <= MAX_PASSWD_BYTES; bytes *= 4) {
      Pointer passwd = Memory.allocateDirect(RUNTIME, PASSWD_STRUCT_BYTES, true);
      Pointer text = Memory.allocateDirect(RUNTIME, bytes);
      Pointer found = Memory.allocateDirect(RUNTIME, 8, true);
      int errno = LIBC.getpwuid_r((int) uid, passwd, text, bytes, found);
      if (found.getPointer(0) != null) {
        return Optional.of(
            new User(
                text(passwd.getPointer(0)),
                Integer.toUnsignedLong(passwd.getInt(20)),
                text(passwd.getPointer(32))));
      }
      if (NO_SUCH_USER.contains(errno)) {
        close(open("/dev/null")); // or it had no descriptor: nss-systemd(8) says the same then
        return Optional.empty();
      }
      if (errno != ERANGE && errno != EINTR) {
        throw new IOException("the node's name service does not know: errno " + errno);
      }
    }
    throw new IOException("the node's name service has too long an entry of uid " + uid);
  }

  /** Since the node's boot: no change of its clock moves it; clock_gettime(2), CLOCK_BOOTTIME. */
  public static long uptimeSeconds() {
    long[] secondsAndNanos = new long[2];
    LIBC.clock_gettime(CLOCK_BOOTTIME, secondsAndNanos);
    return secondsAndNanos[0];
  }

  /**
   * Gives the calling thread, but neither threads nor programs that it starts, a share of the
   * processors before others of ours; setpriority(2), sched(7).
   */
  public static void prefer() {
    byte[] priority = new byte[Integer.BYTES]; // 0, the only one of SCHED_OTHER
    // On Linux 0 is this thread. Either may be refused.
    if (LIBC.sched_setscheduler(0, SCHED_OTHER_AND_RESET_ON_FORK, priority) == 0) {
      preferWithHeirs();
    }
  }

  /** The same, and for the threads and programs that it starts. */
  public static void preferWithHeirs() {
    LIBC.setpriority(PRIO_PROCESS, 0, PREFERRED_NICE);
  }

  private static String text(Pointer bytes) {
    return bytes.getString(0, MAX_PATH_BYTES, ISO_8859_1);
  }

  static int check(int result, String act, Object thing) throws IOException {
    if (result < 0) {
      throw new IOException("cannot " + act + " \"" + thing + "\": errno " + errno());
    }
    return result;
  }

  static int errno() {
    return LastError.getLastError(RUNTIME);
  }
}
