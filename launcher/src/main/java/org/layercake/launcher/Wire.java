package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.util.List;
import org.layercake.store.Text;

/**
 * Frames and fields of docs/protocol.md; the Java mirror of spank-shim/shared/wire.c.
 *
 * <p>Specs are Unix bytes: they are carried as ISO 8859-1 strings, which keep every byte. An
 * image's environment, which is text in its manifest, and lines for people are UTF-8.
 */
final class Wire {
  static final int VERSION = 1;
  static final int HEADER_BYTES = 4;
  static final int MAX_FRAME_BYTES = 65_536;
  static final int MAX_SPEC_BYTES = 16_384;

  /** Type and payload of a HELLO. */
  static final int HELLO_BYTES = 3;

  /** Type and payload of the longest request: numbers, and a spec. */
  static final int MAX_REQUEST_BYTES = MAX_SPEC_BYTES + 16;

  private static final int HELLO = 0x01;
  private static final int REGISTER = 0x10;
  private static final int START = 0x11;
  private static final int RELEASE = 0x12;
  private static final int ENTER = 0x13;
  private static final int SESSION = 0x14;
  private static final int STATUS = 0x15;
  private static final int OK = 0x40;
  private static final int PROGRESS = 0x41;
  private static final int ENTERED = 0x42;
  private static final int HOST = 0x43;
  private static final int REPORT = 0x44;
  private static final int ABORT = 0x4f;

  private Wire() {}

  /**
   * The length field of a frame.
   *
   * @param least what the frame that may come now has at least
   * @param most what it has at most
   * @return bytes that follow the header: type and payload
   */
  static int frameLength(ByteBuffer header, int least, int most) throws ProtocolException {
    long length = Integer.toUnsignedLong(header.getInt());
    if (length < least || length > most) {
      throw new ProtocolException("frame of " + length + " bytes (" + least + " to " + most + ")");
    }
    return (int) length;
  }

  /** Checks that a frame body (type and payload) is a HELLO of a version that we speak. */
  static void requireHello(ByteBuffer body) throws ProtocolException {
    if (u8(body) != HELLO) {
      throw new ProtocolException("first frame is not HELLO");
    }
    int version = u16(body);
    requireEnd(body);
    if (version != VERSION) {
      throw new ProtocolException(
          "client speaks version " + version + ", this launcher version " + VERSION);
    }
  }

  /** Decodes a frame body (type and payload). */
  static Request request(ByteBuffer body) throws ProtocolException {
    int type = u8(body);
    Request request =
        switch (type) {
          case REGISTER -> new Request.Register(u32(body), u32(body), spec(body));
          case START -> new Request.Start(u32(body), u32(body));
          case RELEASE -> new Request.Release(u32(body));
          case ENTER -> new Request.Enter(u32(body), u32(body), spec(body));
          case SESSION -> new Request.Session(u32(body));
          case STATUS -> new Request.Status(form(u8(body)));
          default -> throw new ProtocolException(String.format("unknown request 0x%02x", type));
        };
    requireEnd(body);
    return request;
  }

  private static StatusReport.Form form(int number) throws ProtocolException {
    for (StatusReport.Form form : StatusReport.Form.values()) {
      if (form.number == number) {
        return form;
      }
    }
    throw new ProtocolException("unknown form " + number + " of a report");
  }

  /** The first frame of a client. */
  static ByteBuffer hello() {
    return seal(HELLO, ByteBuffer.allocate(2).putShort((short) VERSION).flip());
  }

  static ByteBuffer statusRequest(StatusReport.Form form) {
    return seal(STATUS, ByteBuffer.allocate(1).put((byte) form.number).flip());
  }

  /** Decodes what a status request is answered with. */
  static Reply reportReply(ByteBuffer body) throws ProtocolException {
    int type = u8(body);
    Reply reply =
        switch (type) {
          case OK -> new Reply.Ok();
          case REPORT -> new Reply.Report(utf8(body));
          case ABORT -> new Reply.Failed(u8(body), utf8(body));
          default -> throw new ProtocolException(String.format("unknown reply 0x%02x", type));
        };
    requireEnd(body);
    return reply;
  }

  private static String utf8(ByteBuffer body) throws ProtocolException {
    return new String(text(body).getBytes(ISO_8859_1), UTF_8);
  }

  /**
   * Encodes a whole frame, header included.
   *
   * @throws IllegalArgumentException when the reply is longer than a frame may be
   */
  static ByteBuffer frame(Reply reply) {
    if (reply instanceof Reply.Ok) {
      return seal(OK, ByteBuffer.allocate(0));
    }
    if (reply instanceof Reply.Host) {
      return seal(HOST, ByteBuffer.allocate(0));
    }
    if (reply instanceof Reply.Progress progress) {
      return seal(PROGRESS, texts(List.of(Text.clean(progress.text())), 0));
    }
    if (reply instanceof Reply.Report report) { // its lines are its own
      return seal(REPORT, texts(List.of(report.text()), 0));
    }
    if (reply instanceof Reply.Entered entered) {
      return seal(ENTERED, list(entered.environment()));
    }
    Reply.Failed failed = (Reply.Failed) reply;
    ByteBuffer payload = texts(List.of(Text.clean(failed.message())), 1);
    payload.put(0, (byte) failed.exitCode());
    return seal(ABORT, payload);
  }

  private static ByteBuffer list(List<String> texts) {
    ByteBuffer payload = texts(texts, 2);
    payload.putShort(0, (short) texts.size());
    return payload;
  }

  private static ByteBuffer texts(List<String> texts, int prefixBytes) {
    List<byte[]> encoded = texts.stream().map(text -> text.getBytes(UTF_8)).toList();
    int bytes = prefixBytes + encoded.stream().mapToInt(text -> 2 + text.length).sum();
    if (bytes >= MAX_FRAME_BYTES) {
      throw new IllegalArgumentException("reply of " + bytes + " bytes does not fit a frame");
    }
    ByteBuffer payload = ByteBuffer.allocate(bytes).position(prefixBytes);
    encoded.forEach(text -> payload.putShort((short) text.length).put(text));
    return payload.flip();
  }

  private static ByteBuffer seal(int type, ByteBuffer payload) {
    int bytes = 1 + payload.remaining();
    return ByteBuffer.allocate(HEADER_BYTES + bytes)
        .putInt(bytes)
        .put((byte) type)
        .put(payload)
        .flip();
  }

  private static String spec(ByteBuffer body) throws ProtocolException {
    String spec = text(body);
    if (spec.length() > MAX_SPEC_BYTES) {
      throw new ProtocolException("spec of " + spec.length() + " bytes (" + MAX_SPEC_BYTES + ")");
    }
    return spec;
  }

  private static String text(ByteBuffer body) throws ProtocolException {
    byte[] bytes = new byte[u16(body)];
    require(body, bytes.length);
    body.get(bytes);
    String text = new String(bytes, ISO_8859_1);
    if (text.indexOf('\0') >= 0) {
      throw new ProtocolException("text with a NUL byte");
    }
    return text;
  }

  private static int u8(ByteBuffer body) throws ProtocolException {
    require(body, 1);
    return Byte.toUnsignedInt(body.get());
  }

  private static int u16(ByteBuffer body) throws ProtocolException {
    require(body, 2);
    return Short.toUnsignedInt(body.getShort());
  }

  private static long u32(ByteBuffer body) throws ProtocolException {
    require(body, 4);
    return Integer.toUnsignedLong(body.getInt());
  }

  private static void require(ByteBuffer body, int bytes) throws ProtocolException {
    if (body.remaining() < bytes) {
      throw new ProtocolException("frame ends inside a field");
    }
  }

  private static void requireEnd(ByteBuffer body) throws ProtocolException {
    if (body.hasRemaining()) {
      throw new ProtocolException(body.remaining() + " bytes left over in a frame");
    }
  }
}
