package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.layercake.store.Text;

/** Frames as clients may send them, header and body, and the same bytes as text of a reply. */
public final class WireFuzz {
  private WireFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) {
    request(data);
    reply(data);
  }

  private static void request(byte[] data) {
    if (data.length < Wire.HEADER_BYTES) {
      return;
    }
    ByteBuffer frame = ByteBuffer.wrap(data);
    try {
      int length = Wire.frameLength(frame, 1, Wire.MAX_REQUEST_BYTES);
      assertTrue(length >= 1 && length <= Wire.MAX_REQUEST_BYTES, "a frame of " + length);
    } catch (ProtocolException e) {
      requireMessage(e);
    }
    byte[] body = Arrays.copyOfRange(data, Wire.HEADER_BYTES, data.length);
    try {
      Wire.requireHello(ByteBuffer.wrap(body));
      assertTrue(body.length == Wire.HELLO_BYTES, "a HELLO of " + body.length + " bytes");
    } catch (ProtocolException e) {
      requireMessage(e);
    }
    try {
      Request request = Wire.request(ByteBuffer.wrap(body));
      assertTrue(Arrays.equals(encoded(request, body.length), body), "a request with another text");
      assertTrue(body.length <= Wire.MAX_REQUEST_BYTES, "a request of " + body.length + " bytes");
    } catch (ProtocolException e) {
      requireMessage(e);
    }
  }

  /** A request as docs/protocol.md has it. */
  private static byte[] encoded(Request request, int length) {
    ByteBuffer body = ByteBuffer.allocate(length);
    if (request instanceof Request.Register register) {
      body.put((byte) 0x10).putInt((int) register.job()).putInt((int) register.uid());
      text(body, register.spec());
    } else if (request instanceof Request.Start start) {
      body.put((byte) 0x11).putInt((int) start.job()).putInt((int) start.uid());
    } else if (request instanceof Request.Release release) {
      body.put((byte) 0x12).putInt((int) release.job());
    } else if (request instanceof Request.Enter enter) {
      body.put((byte) 0x13).putInt((int) enter.job()).putInt((int) enter.step());
      text(body, enter.spec());
    } else if (request instanceof Request.Status status) {
      body.put((byte) 0x15).put((byte) status.form().number);
    } else {
      body.put((byte) 0x14).putInt((int) request.job());
    }
    return body.array();
  }

  private static void text(ByteBuffer body, String text) {
    body.putShort((short) text.length()).put(text.getBytes(ISO_8859_1));
  }

  private static void reply(byte[] data) {
    String text = new String(data, UTF_8);
    requireLine(Wire.frame(new Reply.Progress(text)), 0);
    requireLine(Wire.frame(new Reply.Failed(65, text)), 1);
    List<String> lines = List.of(text.split("\n", -1));
    try {
      ByteBuffer frame = Wire.frame(new Reply.Entered(lines));
      requireLength(frame);
      frame.get();
      assertTrue(Short.toUnsignedInt(frame.getShort()) == lines.size(), "another count of texts");
      for (String line : lines) {
        assertTrue(text(frame).equals(line), "another text");
      }
      assertTrue(!frame.hasRemaining(), "something follows the texts");
    } catch (IllegalArgumentException e) {
      int bytes = lines.stream().mapToInt(line -> 2 + line.getBytes(UTF_8).length).sum();
      assertTrue(bytes + 2 >= Wire.MAX_FRAME_BYTES, "refused to send " + bytes + " bytes");
    }
  }

  /** A frame with one line for people behind some bytes. */
  private static void requireLine(ByteBuffer frame, int before) {
    requireLength(frame);
    frame.position(frame.position() + 1 + before);
    String line = text(frame);
    assertTrue(line.equals(Text.clean(line)), "a line that could do more than stand there");
    assertTrue(!frame.hasRemaining(), "something follows the line");
  }

  private static void requireLength(ByteBuffer frame) {
    assertTrue(frame.getInt() == frame.remaining(), "a length that is wrong");
    assertTrue(frame.remaining() <= Wire.MAX_FRAME_BYTES, "a frame that is too long");
  }

  private static String text(ByteBuffer frame) {
    byte[] text = new byte[Short.toUnsignedInt(frame.getShort())];
    frame.get(text);
    return new String(text, UTF_8);
  }

  private static void requireMessage(ProtocolException e) {
    assertTrue(
        e.getMessage().equals(Text.clean(e.getMessage())), "a message with control characters");
  }
}
