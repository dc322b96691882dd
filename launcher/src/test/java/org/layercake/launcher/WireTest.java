package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.layercake.store.ImageConfig;

/** The worked examples of docs/protocol.md, which the C tests read too, and frames that lie. */
class WireTest {
  @Test
  void decodesTheWorkedRequests() throws Exception {
    assertEquals(new Request.Enter(42, 0, "image=deb:12"), Wire.request(body("enter")));
    assertEquals(
        new Request.Register(42, 1001, "image=deb:12;mount=/a%3Ab:/c:ro"),
        Wire.request(body("register")));
    assertEquals(new Request.Session(42), Wire.request(body("session")));
    Wire.requireHello(body("hello"));
  }

  @Test
  void encodesTheWorkedReplies() throws Exception {
    assertEquals(example("entered"), Wire.frame(new Reply.Entered(List.of("A=1", "PATH=/bin"))));
    assertEquals(example("host"), Wire.frame(new Reply.Host()));
    assertEquals(example("abort"), Wire.frame(new Reply.Failed(66, "no image")));
  }

  @Test
  void anEnvironmentGoesAsUtf8() {
    assertEquals(
        bytes("0000000c" + "42" + "0001" + "0007" + "413dc3a9e697a5"),
        Wire.frame(new Reply.Entered(List.of("A=é日"))));
  }

  @Test
  void aLineForPeopleMovesNoCursorAndTurnsNoText() {
    assertEquals(
        bytes("00000006" + "41" + "0003" + "613f3f"),
        Wire.frame(new Reply.Progress("a\u202e\u0085")));
  }

  @Test
  void refusesALengthOutsideItsBounds() {
    for (String header : List.of("00000000", "00000002", "00000005", "ffffffff")) {
      assertThrows(ProtocolException.class, () -> Wire.frameLength(bytes(header), 3, 4));
    }
  }

  @Test
  void refusesFramesThatAreCutShortOrHaveBytesLeftOver() {
    assertThrows(ProtocolException.class, () -> Wire.request(bytes("12000000")));
    assertThrows(ProtocolException.class, () -> Wire.request(bytes("120000002aff")));
    assertThrows(ProtocolException.class, () -> Wire.request(bytes("100000002a000003e9ffff41")));
    assertThrows(ProtocolException.class, () -> Wire.request(bytes("")));
  }

  @Test
  void refusesUnknownTypesVersionsAndNulBytes() {
    assertThrows(ProtocolException.class, () -> Wire.request(bytes("7f")));
    assertThrows(ProtocolException.class, () -> Wire.requireHello(bytes("010002")));
    assertThrows(ProtocolException.class, () -> Wire.requireHello(bytes("120000002a")));
    assertThrows(ProtocolException.class, () -> Wire.request(bytes("130000002a00000000000100")));
  }

  @Test
  void refusesToEncodeAReplyThatDoesNotFitAFrame() {
    assertThrows(
        IllegalArgumentException.class,
        () -> Wire.frame(new Reply.Entered(List.of("A=" + "x".repeat(70_000)))));
  }

  @Test
  void theLargestEnvironmentOfAnImageFitsAFrame() {
    int bytes = ImageConfig.MAX_BYTES / ImageConfig.MAX_STRINGS - 1;
    List<String> environment =
        new ArrayList<>(Collections.nCopies(ImageConfig.MAX_STRINGS, "V=" + "x".repeat(bytes - 2)));
    assertEquals(environment, new ImageConfig(environment, "x86_64").environment());
    environment.add("LAYERCAKE_IMAGE=" + "x".repeat(512));
    environment.add("LAYERCAKE_WORKDIR=/" + "x".repeat(4094));
    environment.add("LAYERCAKE_ENTRYPOINT=" + "x".repeat(8192));
    Wire.frame(new Reply.Entered(environment));
  }

  private static ByteBuffer body(String name) throws Exception {
    ByteBuffer frame = example(name);
    assertEquals(Wire.frameLength(frame, 1, Wire.MAX_FRAME_BYTES), frame.remaining());
    return frame;
  }

  private static ByteBuffer example(String name) throws IOException {
    try (InputStream in = WireTest.class.getResourceAsStream("/wire/" + name + ".hex")) {
      return bytes(new String(in.readAllBytes(), StandardCharsets.US_ASCII));
    }
  }

  private static ByteBuffer bytes(String hex) {
    return ByteBuffer.wrap(HexFormat.of().parseHex(hex.replaceAll("\\s", "")));
  }
}
