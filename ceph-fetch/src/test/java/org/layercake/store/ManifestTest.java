package org.layercake.store;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ManifestTest {
  private static final String A = "aa".repeat(32);
  private static final String B = "bb".repeat(32);

  /** The worked example of docs/store-format.md. */
  private static final String EXAMPLE =
      "{\"layercake\":1,\"chunker\":\"gear-1 262144 1048576 4194304\",\"size\":300005,"
          + "\"architecture\":\"x86_64\",\"environment\":[\"PATH=/bin\",\"Q=\\\"\\t\u00e9\ud83c\udf70\"],"
          + "\"chunks\":[[\""
          + A
          + "\",300000],[\""
          + B
          + "\",5]]}";

  @Test
  void exampleIsReadAndWrittenByteForByte() throws Exception {
    Manifest manifest = parse(EXAMPLE.getBytes(UTF_8));
    assertEquals(300005, manifest.size());
    assertEquals(List.of("PATH=/bin", "Q=\"\t\u00e9\ud83c\udf70"), manifest.config().environment());
    assertEquals(new Manifest.Chunk(Digest.parseHex(B), 300000, 5), manifest.chunks().get(1));
    assertEquals(EXAMPLE, new String(manifest.bytes(), UTF_8));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{}",
        "[]",
        "null",
        "{\"layercake\":2}",
        "{\"layercake\":1.0}",
        "{\"layercake\":99999999999999999999}",
        "{\"layercake\":1,\"chunker\":\"x\"}",
        "{\"layercake\":1,\"layercake\":1}",
      })
  void incompleteDocumentsAreRefused(String text) {
    assertRefused(text);
  }

  @Test
  void everyTruncationIsRefused() {
    for (int length = 0; length < EXAMPLE.length(); length++) {
      assertRefused(EXAMPLE.substring(0, length));
    }
  }

  @Test
  void otherEncodingsOfTheSameContentAreRefused() {
    assertRefused(EXAMPLE + "\n");
    assertRefused(" " + EXAMPLE);
    assertRefused(EXAMPLE + "{}");
    assertRefused(EXAMPLE.replace(":1,", ": 1,"));
    assertRefused(EXAMPLE.replace("PATH", "\\u0050ATH"));
    assertRefused(EXAMPLE.replace("300005", "3.00005e5"));
    assertRefused(EXAMPLE.replace("\"size\":300005", "\"size\":300005,\"size\":300005"));
    assertRefused(EXAMPLE.replace("/bin", "\\/bin"));
  }

  @Test
  void sizesThatDoNotSumUpAreRefused() {
    assertRefused(EXAMPLE.replace("300005", "300006"));
    assertRefused(EXAMPLE.replace("300005", "-300005"));
    assertRefused(EXAMPLE.replace("\",5]", "\",0]").replace("300005", "300000"));
    assertRefused(EXAMPLE.replace("\",5]", "\",-5]").replace("300005", "299995"));
    assertRefused(EXAMPLE.replace("\",5]", "\",4194305]").replace("300005", "4494305"));
    assertRefused(EXAMPLE.replace("\",5]", "\",4294967301]"));
    assertRefused(EXAMPLE.replaceAll("\"chunks\":.*", "\"chunks\":[]}").replace("300005", "0"));
  }

  @Test
  void badDigestsAndConfigurationsAreRefused() {
    assertRefused(EXAMPLE.replace(A, A.toUpperCase(java.util.Locale.ROOT)));
    assertRefused(EXAMPLE.replace(A, A.substring(1)));
    assertRefused(EXAMPLE.replace("PATH=/bin", "PATH"));
    assertRefused(EXAMPLE.replace("PATH=/bin", "=x"));
    assertRefused(EXAMPLE.replace("PATH=/bin", "A=\\n"));
    assertRefused(EXAMPLE.replace("PATH=/bin", "A=\\u0000"));
    assertRefused(EXAMPLE.replace("PATH=/bin", "A=" + "x".repeat(48 * 1024)));
    assertRefused(EXAMPLE.replace("PATH=/bin", "A=\\ud83c"));
    assertRefused(EXAMPLE.replace("gear-1", "\\ud83c"));
    assertRefused(EXAMPLE.replace("gear-1 262144 1048576 4194304", ""));
    assertRefused(EXAMPLE.replace("x86_64", "x86/64"));
    assertRefused(EXAMPLE.replace("x86_64", ""));
  }

  @Test
  void whatOtherRuntimesWouldDoIsKeptAndLeftOutWhenThereIsNothing() throws Exception {
    String run =
        "\"run\":{\"directory\":\"/w\",\"entryPoint\":[\"/bin/sh\"],\"command\":[\"-c\",\"a\\nb\"],"
            + "\"user\":\"1000\",\"labels\":{\"a\":\"1\",\"b\":\"\\u001B\"}},";
    String text = EXAMPLE.replace("\"chunks\"", run + "\"chunks\"");
    ImageConfig.Run kept = parse(text.getBytes(UTF_8)).config().run();
    assertEquals(List.of("-c", "a\nb"), kept.command());
    assertEquals(Map.of("a", "1", "b", "\u001b"), kept.labels());
    assertEquals(ImageConfig.Run.NONE, parse(EXAMPLE.getBytes(UTF_8)).config().run());
    assertRefused(text.replace("/w", "\\ud83c"));
    assertRefused(text.replace("\"a\":\"1\",", "\"c\":\"1\","));
    assertRefused(text.replace("\"user\":\"1000\",", ""));
    assertRefused(text.replace("1000", "x".repeat(48 * 1024)));
    assertRefused(
        EXAMPLE.replace(
            "\"chunks\"",
            "\"run\":{\"directory\":\"\",\"entryPoint\":[],\"command\":[],\"user\":\"\","
                + "\"labels\":{}},\"chunks\""));
  }

  @Test
  void overlongAndDeeplyNestedInputIsRefused() {
    assertRefused("[".repeat(1_000_000));
    assertRefused("{\"layercake\":" + "9".repeat(1_000_000));
    assertRefused(" ".repeat(Manifest.MAX_BYTES + 1));
  }

  @Test
  void imageOfTooManySmallChunksIsRefused() throws Exception {
    int most = 1000 + (8 << 20) / (64 << 10);
    assertEquals(most, parse(ofChunks(most).getBytes(UTF_8)).chunks().size());
    assertRefused(ofChunks(most + 1));
  }

  /** Of 8 MiB. */
  private static String ofChunks(int count) {
    StringBuilder chunks = new StringBuilder();
    for (int i = 1; i < count; i++) {
      chunks.append("[\"%064x\",5000],".formatted(i));
    }
    int rest = (8 << 20) - 5000 * (count - 1);
    return EXAMPLE
        .replaceAll("\"chunks\":.*", "\"chunks\":[" + chunks + "[\"" + B + "\"," + rest + "]]}")
        .replace("300005", String.valueOf(8 << 20));
  }

  @Test
  void chunksAreWhereTheyWerePutInALongList() throws Exception {
    Random random = new Random(3);
    List<Manifest.Chunk> chunks = new ArrayList<>();
    long size = 0;
    for (int i = 0; i < 5000; i++) {
      int length = 1 + random.nextInt(Manifest.MAX_CHUNK_BYTES);
      chunks.add(new Manifest.Chunk(Digest.of(new byte[i]), size, length));
      size += length;
    }
    ImageConfig config = new ImageConfig(List.of(), "x");
    Manifest manifest = new Manifest("x", size, config, chunks);
    assertEquals(chunks, manifest.chunks());
    assertEquals(chunks.get(1024), manifest.chunks().get(1024));
    assertEquals(chunks, parse(manifest.bytes()).chunks());
    assertEquals(size, manifest.distinctBytes());
    chunks.set(7, new Manifest.Chunk(chunks.get(7).digest(), chunks.get(7).offset() + 1, 1));
    assertThrows(
        IllegalArgumentException.class, () -> new Manifest("x", manifest.size(), config, chunks));
  }

  @Test
  void chunkThatComesOftenCountsOnceInTheStore() throws Exception {
    List<Manifest.Chunk> chunks = new ArrayList<>();
    Digest digest = Digest.of(new byte[1]);
    for (int i = 0; i < 600; i++) {
      chunks.add(new Manifest.Chunk(digest, i * (4L << 20), 4 << 20));
    }
    ImageConfig config = new ImageConfig(List.of(), "x");
    assertEquals(4 << 20, new Manifest("x", 600L * (4 << 20), config, chunks).distinctBytes());
  }

  @Test
  void damageIsToldFromWhatWasStoredSo() {
    byte[] bytes = EXAMPLE.getBytes(UTF_8);
    byte[] damaged = EXAMPLE.replace("x86_64", "x87_64").getBytes(UTF_8);
    byte[] malformed = EXAMPLE.replace("x86_64", "x86/64").getBytes(UTF_8);
    assertTrue(refusal(damaged, bytes).isDamaged());
    assertTrue(refusal(malformed, bytes).isDamaged());
    assertFalse(refusal(malformed, malformed).isDamaged());
  }

  /** A file answers no more after its close. */
  @Test
  void damageIsToldBehindItToo() {
    byte[] bytes = ("{}" + " ".repeat(100_000)).getBytes(UTF_8);
    InputStream closing =
        new FilterInputStream(new ByteArrayInputStream(bytes)) {
          @Override
          public void close() {
            in = InputStream.nullInputStream();
          }
        };
    assertFalse(
        assertThrows(
                Manifest.MalformedException.class, () -> Manifest.read(closing, Digest.of(bytes)))
            .isDamaged());
  }

  @Test
  void whatIsTooLongIsMalformedWhereverItsFaultIs() {
    for (String start : new String[] {"{}", ""}) {
      byte[] bytes = (start + " ".repeat(Manifest.MAX_BYTES + 1)).getBytes(UTF_8);
      refusal(bytes, bytes);
    }
  }

  private static Manifest.MalformedException refusal(byte[] found, byte[] stored) {
    return assertThrows(
        Manifest.MalformedException.class,
        () -> Manifest.read(new ByteArrayInputStream(found), Digest.of(stored)));
  }

  @Test
  void randomDamageNeverEscapesAsAnotherException() throws Exception {
    Random random = new Random(1);
    byte[] bytes = EXAMPLE.getBytes(UTF_8);
    for (int i = 0; i < 20_000; i++) {
      byte[] damaged = bytes.clone();
      damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
      try {
        assertTrue(parse(damaged).size() > 0);
      } catch (Manifest.MalformedException e) {
        assertEquals(1, e.getMessage().lines().count());
      }
    }
  }

  @Test
  void chunksOfMoreThanTheLargestImageAreRefused() {
    Manifest.Chunk chunk = new Manifest.Chunk(Digest.of(new byte[0]), 0, 1);
    assertThrows(
        IllegalArgumentException.class,
        () -> new Manifest("x", 2, new ImageConfig(List.of(), "x"), Collections.nCopies(2, chunk)));
  }

  private static void assertRefused(String text) {
    assertThrows(Manifest.MalformedException.class, () -> parse(text.getBytes(UTF_8)));
  }

  private static Manifest parse(byte[] bytes) throws Exception {
    return Manifest.read(new ByteArrayInputStream(bytes), Digest.of(bytes));
  }
}
