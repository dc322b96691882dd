package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import jnr.ffi.LastError;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Memory;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.types.size_t;
import jnr.ffi.types.ssize_t;

/**
 * The few calls of glibc that the JDK has no word for: Unix sockets with peer pid and descriptor
 * passing (unix(7)), processes by descriptor (pidfd_open(2)), lazy unmount (umount2(2)), the
 * password database by uid (getpwuid(3)).
 *
 * <p>Structures are laid out by hand for 64-bit Linux; this is the only class that knows them.
 */
final class Libc {
  private static final int AF_UNIX = 1;
  private static final int SOCK_STREAM = 1;
  private static final int SOCK_CLOEXEC = 0x80000;
  private static final int SOL_SOCKET = 1;
  private static final int SO_PEERCRED = 17;
  private static final int SO_RCVTIMEO = 20;
  private static final int SO_SNDTIMEO = 21;
  private static final int SCM_RIGHTS = 1;
  private static final int SHUT_RDWR = 2;
  private static final int MSG_NOSIGNAL = 0x4000;
  private static final int O_RDWR = 2;
  private static final int O_NONBLOCK = 0x800;
  private static final int O_CLOEXEC = 0x80000;
  private static final int MNT_DETACH = 2;
  // By number, because glibc has functions for them only since 2.36; the same on all machines.
  private static final long SYS_PIDFD_SEND_SIGNAL = 424;
  private static final long SYS_PIDFD_OPEN = 434;
  private static final int EINTR = 4;
  private static final int ENOENT = 2;
  private static final int EINVAL = 22;
  private static final int MAX_PATH_BYTES = 4096;
  private static final int SUN_PATH_BYTES = 108;

  private static final Native LIBC = LibraryLoader.create(Native.class).load("c");
  private static final Runtime RUNTIME = Runtime.getRuntime(LIBC);
  private static final Object PASSWD_LOCK = new Object();

  private Libc() {}

  /** C names and C types; public because jnr-ffi generates the implementation elsewhere. */
  public interface Native {
    int socket(int domain, int type, int protocol);

    int bind(int fd, Pointer address, int length);

    int listen(int fd, int backlog);

    int accept4(int fd, Pointer address, Pointer length, int flags);

    int getsockopt(int fd, int level, int name, Pointer value, Pointer length);

    int setsockopt(int fd, int level, int name, Pointer value, int length);

    int shutdown(int fd, int how);

    @ssize_t
    long recv(int fd, Pointer buffer, @size_t long length, int flags);

    @ssize_t
    long sendmsg(int fd, Pointer message, int flags);

    int open(String path, int flags);

    int close(int fd);

    @ssize_t
    long write(int fd, Pointer buffer, @size_t long length);

    long syscall(long number, long first, long second, long third, long fourth);

    int umount2(String target, int flags);

    Pointer getpwuid(int uid);
  }

  /** Who is at the other end of a connection, by the kernel's word. */
  record Peer(long pid, long uid) {}

  /** An entry of the password database; home is bytes as the C library has them. */
  record User(String name, String home) {}

  /** Opens a listening socket on a path that does not exist yet. */
  static int listen(Path path, int backlog) throws IOException {
    byte[] name = path.toString().getBytes(UTF_8);
    if (name.length >= SUN_PATH_BYTES) {
      throw new IOException("socket path longer than " + SUN_PATH_BYTES + " bytes: " + path);
    }
    Pointer address = Memory.allocateDirect(RUNTIME, 2 + SUN_PATH_BYTES, true);
    address.putShort(0, (short) AF_UNIX);
    address.put(2, name, 0, name.length);
    int fd =
        check(LIBC.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "create a socket for", path);
    try {
      check(LIBC.bind(fd, address, 2 + name.length + 1), "bind socket", path);
      check(LIBC.listen(fd, backlog), "listen on", path);
      return fd;
    } catch (IOException e) {
      close(fd);
      throw e;
    }
  }

  /**
   * Waits for a connection.
   *
   * @return its descriptor, or -1 when the listening socket was shut down
   */
  static int accept(int listening) throws IOException {
    while (true) {
      int fd = LIBC.accept4(listening, null, null, SOCK_CLOEXEC);
      if (fd >= 0) {
        return fd;
      }
      int errno = errno();
      if (errno == EINVAL) {
        return -1;
      }
      if (errno != EINTR) {
        throw new IOException("accept: errno " + errno);
      }
    }
  }

  static void shutdown(int fd) {
    LIBC.shutdown(fd, SHUT_RDWR);
  }

  static void close(int fd) {
    LIBC.close(fd);
  }

  /** Credentials that the kernel recorded when the peer connected; unix(7), SO_PEERCRED. */
  static Peer peer(int fd) throws IOException {
    Pointer credentials = Memory.allocateDirect(RUNTIME, 12, true);
    Pointer length = Memory.allocateDirect(RUNTIME, 4, true);
    length.putInt(0, 12);
    check(
        LIBC.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length),
        "ask for",
        "SO_PEERCRED");
    return new Peer(
        Integer.toUnsignedLong(credentials.getInt(0)),
        Integer.toUnsignedLong(credentials.getInt(4)));
  }

  /** Bounds each later send on a connection. */
  static void setSendTimeout(int fd, int millis) throws IOException {
    check(setTimeout(fd, SO_SNDTIMEO, millis), "set", "SO_SNDTIMEO");
  }

  private static int setTimeout(int fd, int option, int millis) {
    Pointer timeval = Memory.allocateDirect(RUNTIME, 16, true);
    timeval.putLong(0, millis / 1000);
    timeval.putLong(8, millis % 1000 * 1000L);
    return LIBC.setsockopt(fd, SOL_SOCKET, option, timeval, 16);
  }

  /**
   * Receives exactly {@code length} bytes, however slowly the peer sends them.
   *
   * @param deadlineNanos of {@link System#nanoTime}
   * @throws IOException when the peer closes early or the deadline passes
   */
  static ByteBuffer receive(int fd, int length, long deadlineNanos) throws IOException {
    Pointer buffer = Memory.allocateDirect(RUNTIME, length);
    int got = 0;
    while (got < length) {
      long leftMillis = (deadlineNanos - System.nanoTime()) / 1_000_000;
      if (leftMillis <= 0) {
        throw new IOException("peer was too slow");
      }
      check(setTimeout(fd, SO_RCVTIMEO, (int) leftMillis), "set", "SO_RCVTIMEO");
      long n = LIBC.recv(fd, buffer.slice(got), length - got, 0);
      if (n == 0) {
        throw new IOException("peer closed the connection");
      }
      if (n < 0 && errno() != EINTR) {
        throw new IOException("receive: errno " + errno());
      }
      got += (int) Math.max(n, 0);
    }
    byte[] bytes = new byte[length];
    buffer.get(0, bytes, 0, length);
    return ByteBuffer.wrap(bytes);
  }

  /** Sends all of {@code data}; descriptors, if any, travel with its first byte. */
  static void send(int fd, ByteBuffer data, int... descriptors) throws IOException {
    byte[] bytes = new byte[data.remaining()];
    data.get(bytes);
    Pointer buffer = Memory.allocateDirect(RUNTIME, bytes.length);
    buffer.put(0, bytes, 0, bytes.length);
    Pointer control = rights(descriptors);
    int sent = 0;
    while (sent < bytes.length) {
      Pointer message =
          message(buffer.slice(sent), bytes.length - sent, sent == 0 ? control : null);
      long n = LIBC.sendmsg(fd, message, MSG_NOSIGNAL);
      if (n < 0 && errno() != EINTR) {
        throw new IOException("send: errno " + errno());
      }
      sent += (int) Math.max(n, 0);
    }
  }

  /** A {@code struct cmsghdr} with SCM_RIGHTS, or null for no descriptors; cmsg(3). */
  private static Pointer rights(int[] descriptors) {
    if (descriptors.length == 0) {
      return null;
    }
    long bytes = 16 + 4L * descriptors.length;
    Pointer control = Memory.allocateDirect(RUNTIME, (int) ((bytes + 7) / 8 * 8), true);
    control.putLong(0, bytes);
    control.putInt(8, SOL_SOCKET);
    control.putInt(12, SCM_RIGHTS);
    control.put(16, descriptors, 0, descriptors.length);
    return control;
  }

  /** A {@code struct msghdr} of one iovec; sendmsg(2). It keeps its parts reachable. */
  private static Pointer message(Pointer data, long bytes, Pointer control) {
    Pointer header = Memory.allocateDirect(RUNTIME, 56 + 16, true);
    header.putPointer(56, data);
    header.putLong(64, bytes);
    header.putPointer(16, header.slice(56));
    header.putLong(24, 1);
    if (control != null) {
      header.putPointer(32, control);
      header.putLong(40, control.size());
    }
    return header;
  }

  /** Opens a path read-only, close-on-exec; meant for the magic links of proc(5), /proc/PID/ns. */
  static int open(String path) throws IOException {
    return check(LIBC.open(path, O_CLOEXEC), "open", path);
  }

  /** Opens a FIFO for both directions, so that no write to it waits; fifo(7). */
  static int openNonBlocking(Path fifo) throws IOException {
    return check(LIBC.open(fifo.toString(), O_RDWR | O_NONBLOCK | O_CLOEXEC), "open", fifo);
  }

  /** Writes one byte, or nothing where that would wait. */
  static void writeByte(int fd) {
    LIBC.write(fd, Memory.allocateDirect(RUNTIME, 1, true), 1);
  }

  /**
   * A descriptor of a process, which means that process for ever, whoever has its pid later;
   * pidfd_open(2).
   *
   * @throws IOException when there is no process with that pid
   */
  static int openProcess(long pid) throws IOException {
    return check((int) LIBC.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0), "open process", pid);
  }

  /**
   * Sends a signal, or with 0 only asks; pidfd_send_signal(2).
   *
   * @return whether the process is still there
   */
  static boolean signal(int pidfd, int signal) {
    return LIBC.syscall(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0) == 0;
  }

  /** Detaches a mount now; the kernel ends it when its last user goes. No mount is no error. */
  static void detach(Path mountPoint) throws IOException {
    if (LIBC.umount2(mountPoint.toString(), MNT_DETACH) < 0) {
      int errno = errno();
      if (errno != EINVAL && errno != ENOENT) {
        throw new IOException("cannot unmount \"" + mountPoint + "\": errno " + errno);
      }
    }
  }

  /** Looks a uid up in the password database, or returns null. */
  static User user(long uid) {
    synchronized (PASSWD_LOCK) { // getpwuid(3) returns static storage
      Pointer passwd = LIBC.getpwuid((int) uid);
      return passwd == null
          ? null
          : new User(text(passwd.getPointer(0)), text(passwd.getPointer(32)));
    }
  }

  private static String text(Pointer bytes) {
    return bytes.getString(0, MAX_PATH_BYTES, ISO_8859_1);
  }

  private static int check(int result, String act, Object thing) throws IOException {
    if (result < 0) {
      throw new IOException("cannot " + act + " \"" + thing + "\": errno " + errno());
    }
    return result;
  }

  private static int errno() {
    return LastError.getLastError(RUNTIME);
  }
}
