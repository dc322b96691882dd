package org.layercake.launcher.node;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.layercake.launcher.node.Libc.LIBC;
import static org.layercake.launcher.node.Libc.RUNTIME;
import static org.layercake.launcher.node.Libc.check;
import static org.layercake.launcher.node.Libc.errno;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import jnr.ffi.Memory;
import jnr.ffi.Pointer;

/** Unix sockets with what the JDK's lack: the peer's pid and uid, and descriptors; unix(7). */
public final class UnixSocket {
  /** {@link #accept}: nobody waits. */
  public static final int NOBODY = -1;

  /** {@link #accept}: somebody waits, but there is no descriptor or no memory for it. */
  public static final int EXHAUSTED = -2;

  private static final int AF_UNIX = 1;
  private static final int SOCK_STREAM = 1;
  private static final int SOCK_DGRAM = 2;
  private static final int SOCK_CLOEXEC = 0x80000;
  private static final int SOCK_NONBLOCK = 0x800;
  private static final int SOL_SOCKET = 1;
  private static final int SO_PEERCRED = 17;
  private static final int SO_RCVTIMEO = 20;
  private static final int SO_SNDTIMEO = 21;
  private static final int SO_ACCEPTCONN = 30;
  private static final int SO_DOMAIN = 39;
  private static final int SCM_RIGHTS = 1;
  private static final int SHUT_RDWR = 2;
  private static final int MSG_PEEK = 2;
  private static final int MSG_DONTWAIT = 0x40;
  private static final int MSG_NOSIGNAL = 0x4000;
  private static final int F_SETFD = 2;
  private static final int F_GETFL = 3;
  private static final int F_SETFL = 4;
  private static final int FD_CLOEXEC = 1;
  private static final short POLLIN = 1;
  private static final short POLLHUP = 0x10;
  private static final int POLLFD_BYTES = 8;
  private static final int EINTR = 4;
  // accept(2): the client went away while it waited, or nobody waits, or a signal came.
  private static final Set<Integer> NOBODY_NOW = Set.of(11, 103, 71, EINTR);
  // EMFILE, ENFILE, ENOBUFS, ENOMEM
  private static final Set<Integer> NO_ROOM = Set.of(24, 23, 105, 12);
  private static final int SUN_PATH_BYTES = 108;
  private static final int PIECE_BYTES = 8192;

  private UnixSocket() {}

  /** Who is at the other end of a connection, by the kernel's word. */
  public record Peer(long pid, long uid) {}

  /** Opens a listening socket on a path that does not exist yet. */
  public static int listen(Path path, int backlog) throws IOException {
    byte[] address = address(path.toString());
    int fd =
        check(
            LIBC.socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
            "create a socket for",
            path);
    try {
      check(LIBC.bind(fd, address, address.length), "bind socket", path);
      check(LIBC.listen(fd, backlog), "listen on", path);
      return fd;
    } catch (IOException e) {
      Libc.close(fd);
      throw e;
    }
  }

  /**
   * Takes over a listening socket that whoever started us has opened, and keeps it from programs
   * that we start.
   *
   * @throws IOException when the descriptor is nothing of the kind
   */
  public static void takeOver(int fd) throws IOException {
    if (option(fd, SO_DOMAIN) != AF_UNIX || option(fd, SO_ACCEPTCONN) != 1) {
      throw new IOException("descriptor " + fd + " is not a listening Unix socket");
    }
    check(LIBC.fcntl(fd, F_SETFD, FD_CLOEXEC), "set", "FD_CLOEXEC");
    int flags = check(LIBC.fcntl(fd, F_GETFL, 0), "ask for", "file status flags");
    check(LIBC.fcntl(fd, F_SETFL, flags | SOCK_NONBLOCK), "set", "O_NONBLOCK");
  }

  private static int option(int fd, int name) throws IOException {
    byte[] value = new byte[4];
    check(
        LIBC.getsockopt(fd, SOL_SOCKET, name, value, new int[] {value.length}),
        "ask for socket option",
        name);
    return ByteBuffer.wrap(value).order(ByteOrder.nativeOrder()).getInt();
  }

  /**
   * Takes the connection that has waited longest.
   *
   * @return its descriptor, {@link #NOBODY} or {@link #EXHAUSTED}
   */
  public static int accept(int listening) throws IOException {
    int fd = LIBC.accept4(listening, null, null, SOCK_CLOEXEC);
    if (fd >= 0) {
      return fd;
    }
    int errno = errno();
    if (NOBODY_NOW.contains(errno)) {
      return NOBODY;
    }
    if (NO_ROOM.contains(errno)) {
      return EXHAUSTED;
    }
    throw new IOException("cannot accept clients: errno " + errno);
  }

  /** A pipe; the first end reads. */
  public static int[] pipe() throws IOException {
    int[] ends = new int[2];
    check(LIBC.pipe2(ends, SOCK_CLOEXEC), "make", "a pipe"); // the same number as O_CLOEXEC
    return ends;
  }

  /** What {@link #await} looks at; memory for poll(2), made once. */
  public static Pointer watched(int... descriptors) {
    Pointer entries = Memory.allocateDirect(RUNTIME, POLLFD_BYTES * descriptors.length, true);
    for (int i = 0; i < descriptors.length; i++) {
      entries.putInt((long) POLLFD_BYTES * i, descriptors[i]);
      entries.putShort((long) POLLFD_BYTES * i + 4, POLLIN);
    }
    return entries;
  }

  /**
   * Waits until one of the descriptors can be read or its other end is closed; poll(2).
   *
   * @param watched from {@link #watched}
   * @param count how many of them, from the first
   * @param timeoutMillis -1 for no limit
   * @return whether that is so of the first
   */
  public static boolean await(Pointer watched, int count, int timeoutMillis) {
    int ready = LIBC.poll(watched, count, timeoutMillis);
    return ready > 0 && watched.getShort(6) != 0;
  }

  /** Whether the peer has closed its end for good, so that nobody would read a reply. */
  public static boolean hasHungUp(int fd) {
    Pointer watched = watched(fd);
    return LIBC.poll(watched, 1, 0) > 0 && (watched.getShort(6) & POLLHUP) != 0;
  }

  /** Ends a connection for both sides; its descriptor stays open. */
  public static void shutdown(int fd) {
    LIBC.shutdown(fd, SHUT_RDWR);
  }

  /** Credentials that the kernel recorded when the peer connected; unix(7), SO_PEERCRED. */
  public static Peer peer(int fd) throws IOException {
    byte[] credentials = new byte[12];
    check(
        LIBC.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, new int[] {credentials.length}),
        "ask for",
        "SO_PEERCRED");
    ByteBuffer fields = ByteBuffer.wrap(credentials).order(ByteOrder.nativeOrder());
    return new Peer(
        Integer.toUnsignedLong(fields.getInt(0)), Integer.toUnsignedLong(fields.getInt(4)));
  }

  /** Bounds each later send on a connection. */
  public static void setSendTimeout(int fd, int millis) throws IOException {
    check(setTimeout(fd, SO_SNDTIMEO, millis), "set", "SO_SNDTIMEO");
  }

  private static int setTimeout(int fd, int option, int millis) {
    ByteBuffer timeval = ByteBuffer.allocate(16).order(ByteOrder.nativeOrder());
    timeval.putLong(millis / 1000).putLong(millis % 1000 * 1000L);
    return LIBC.setsockopt(fd, SOL_SOCKET, option, timeval.array(), 16);
  }

  /**
   * Receives exactly {@code length} bytes, however slowly the peer sends them.
   *
   * @param deadlineNanos of {@link System#nanoTime}
   * @throws IOException when the peer closes early or the deadline passes
   */
  public static ByteBuffer receive(int fd, int length, long deadlineNanos) throws IOException {
    ByteBuffer received = ByteBuffer.allocate(length);
    byte[] piece = new byte[Math.min(length, PIECE_BYTES)];
    while (received.hasRemaining()) {
      int n = receive(fd, piece, Math.min(piece.length, received.remaining()), 0, deadlineNanos);
      received.put(piece, 0, n);
    }
    return received.flip();
  }

  /** Waits until the peer has sent something, which stays to be received; as {@link #receive}. */
  public static void awaitData(int fd, long deadlineNanos) throws IOException {
    byte[] one = new byte[1];
    while (receive(fd, one, 1, MSG_PEEK, deadlineNanos) == 0) {}
  }

  /**
   * Drops what has come already. Closing a connection with bytes unread resets it, and the peer may
   * lose the reply; unix(7).
   *
   * @param most bytes that are dropped, with which the peer keeps us no longer than it must
   */
  public static void discard(int fd, int most) {
    byte[] piece = new byte[PIECE_BYTES];
    long n = 1;
    for (int dropped = 0; n > 0 && dropped < most; dropped += (int) n) {
      n = LIBC.recv(fd, piece, piece.length, MSG_DONTWAIT);
    }
  }

  /** Returns 0 when a signal came. */
  private static int receive(int fd, byte[] piece, int bytes, int flags, long deadlineNanos)
      throws IOException {
    long leftMillis = (deadlineNanos - System.nanoTime()) / 1_000_000;
    if (leftMillis <= 0) {
      throw new IOException("peer was too slow");
    }
    check(setTimeout(fd, SO_RCVTIMEO, (int) leftMillis), "set", "SO_RCVTIMEO");
    long n = LIBC.recv(fd, piece, bytes, flags);
    if (n == 0) {
      throw new IOException("peer closed the connection");
    }
    if (n < 0 && errno() != EINTR) {
      throw new IOException("receive: errno " + errno());
    }
    return (int) Math.max(n, 0);
  }

  /** Sends all of {@code data}; descriptors, if any, travel with its first byte. */
  public static void send(int fd, ByteBuffer data, int... descriptors) throws IOException {
    byte[] bytes = new byte[data.remaining()];
    data.get(bytes);
    int sent = 0;
    while (sent < bytes.length) {
      long n;
      if (sent == 0 && descriptors.length > 0) {
        n = LIBC.sendmsg(fd, message(bytes, descriptors), MSG_NOSIGNAL);
      } else {
        byte[] rest = sent == 0 ? bytes : Arrays.copyOfRange(bytes, sent, bytes.length);
        n = LIBC.send(fd, rest, rest.length, MSG_NOSIGNAL);
      }
      if (n < 0 && errno() != EINTR) {
        throw new IOException("send: errno " + errno());
      }
      sent += (int) Math.max(n, 0);
    }
  }

  /**
   * A {@code struct msghdr} of SCM_RIGHTS and the first of the bytes, all in one piece of memory;
   * sendmsg(2), cmsg(3).
   */
  private static Pointer message(byte[] bytes, int[] descriptors) {
    int dataBytes = Math.min(bytes.length, PIECE_BYTES);
    int controlBytes = 16 + 4 * descriptors.length;
    int controlSpace = (controlBytes + 7) / 8 * 8;
    Pointer header = Memory.allocateDirect(RUNTIME, 56 + 16 + controlSpace + dataBytes, true);
    Pointer control = header.slice(56 + 16);
    Pointer data = header.slice(56 + 16 + controlSpace);
    data.put(0, bytes, 0, dataBytes);
    header.putPointer(56, data);
    header.putLong(64, dataBytes);
    header.putPointer(16, header.slice(56));
    header.putLong(24, 1);
    header.putPointer(32, control);
    header.putLong(40, controlSpace);
    control.putLong(0, controlBytes);
    control.putInt(8, SOL_SOCKET);
    control.putInt(12, SCM_RIGHTS);
    control.put(16, descriptors, 0, descriptors.length);
    return header;
  }

  /**
   * Sends one datagram.
   *
   * @param path of the receiver's socket; one that begins with {@code @} is in the abstract
   *     namespace
   */
  public static void sendDatagram(String path, String text) throws IOException {
    byte[] bytes = text.getBytes(UTF_8);
    int fd = connect(path, SOCK_DGRAM);
    try {
      check((int) LIBC.send(fd, bytes, bytes.length, MSG_NOSIGNAL), "send to", path);
    } finally {
      Libc.close(fd);
    }
  }

  /** Connects to a stream socket. */
  public static int connect(Path path) throws IOException {
    return connect(path.toString(), SOCK_STREAM);
  }

  /**
   * Who listens on a stream socket. Connects and says nothing; never waits.
   *
   * @throws IOException also when others wait there already, as many as may
   */
  public static Peer listener(Path path) throws IOException {
    int fd = connect(path.toString(), SOCK_STREAM | SOCK_NONBLOCK);
    try {
      return peer(fd);
    } finally {
      Libc.close(fd);
    }
  }

  private static int connect(String path, int type) throws IOException {
    byte[] address = address(path);
    int fd = check(LIBC.socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "make a socket for", path);
    try {
      check(LIBC.connect(fd, address, address.length), "connect to", path);
      return fd;
    } catch (IOException e) {
      Libc.close(fd);
      throw e;
    }
  }

  /** A {@code struct sockaddr_un}. */
  private static byte[] address(String path) throws IOException {
    byte[] name = path.getBytes(UTF_8);
    if (name.length >= SUN_PATH_BYTES) {
      throw new IOException("socket path longer than " + SUN_PATH_BYTES + " bytes: " + path);
    }
    boolean isAbstract = path.startsWith("@");
    byte[] address = new byte[2 + name.length + (isAbstract ? 0 : 1)];
    ByteBuffer.wrap(address).order(ByteOrder.nativeOrder()).putShort((short) AF_UNIX).put(name);
    if (isAbstract) {
      address[2] = 0;
    }
    return address;
  }
}
