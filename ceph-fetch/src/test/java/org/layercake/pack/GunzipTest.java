package org.layercake.pack;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GunzipTest {
  private static final byte[] PLAIN = plain();

  private static byte[] plain() {
    byte[] bytes = new byte[3 << 20];
    new Random(1).nextBytes(bytes);
    Arrays.fill(bytes, 1 << 20, 2 << 20, (byte) 'a');
    return bytes;
  }

  private static byte[] zipped(byte[] plain) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
      out.write(plain);
    }
    return bytes.toByteArray();
  }

  private static byte[] joined(byte[]... parts) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.writeBytes(part);
    }
    return all.toByteArray();
  }

  /** As it is used, a few bytes coming at a time. */
  private static byte[] unzipped(byte[] bytes) throws IOException {
    InputStream slow =
        new ByteArrayInputStream(bytes) {
          @Override
          public synchronized int read(byte[] to, int offset, int length) {
            return super.read(to, offset, Math.min(length, 1000));
          }
        };
    try (InputStream in = new Ahead(new Gunzip(slow), "test")) {
      return in.readAllBytes();
    }
  }

  private static String refused(byte[] bytes) {
    return assertThrows(IOException.class, () -> unzipped(bytes)).getMessage();
  }

  @Test
  void membersInARowAreOneStream() throws Exception {
    byte[] one = zipped(PLAIN);
    assertArrayEquals(PLAIN, unzipped(one));
    assertArrayEquals(joined(PLAIN, PLAIN), unzipped(joined(one, zipped(new byte[0]), one)));
  }

  @Test
  void allPartsOfAHeaderAreReadOver() throws Exception {
    byte[] plain = "hello".getBytes(US_ASCII);
    byte[] plainZip = zipped(plain);
    byte[] header = {0x1f, (byte) 0x8b, 8, 1 | 2 | 4 | 8 | 16, 1, 2, 3, 4, 0, 3, 3, 0, 9, 8, 7};
    byte[] whole = joined(header, "name\0comment\0".getBytes(US_ASCII));
    CRC32 sum = new CRC32();
    sum.update(whole);
    byte[] checksum = {(byte) sum.getValue(), (byte) (sum.getValue() >> 8)};
    byte[] rest = Arrays.copyOfRange(plainZip, 10, plainZip.length);
    assertArrayEquals(plain, unzipped(joined(whole, checksum, rest)));
    checksum[0] ^= 1;
    assertTrue(refused(joined(whole, checksum, rest)).contains("checksum"));
  }

  @Test
  void zerosMayFollowAndNothingElse() throws Exception {
    byte[] zip = zipped(PLAIN);
    assertArrayEquals(PLAIN, unzipped(joined(zip, new byte[10_000])));
    byte[] almost = new byte[10_000];
    almost[9_999] = 1;
    for (byte[] more : new byte[][] {almost, {'x'}, {0x1f, 'x'}, {0, 0x1f}}) {
      assertEquals("something follows its compressed data", refused(joined(zip, more)));
    }
    assertEquals("unexpected end of file", refused(joined(zip, new byte[] {0x1f})));
  }

  @Test
  void whatIsCutOffIsNoticedWhereverItIs() throws Exception {
    byte[] zip = zipped(new byte[1000]);
    for (int length = 0; length < zip.length; length++) {
      assertEquals("unexpected end of file", refused(Arrays.copyOf(zip, length)));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 1_000_000, -8, -4}) // method, flags, data, checksum, length
  void damageIsNoticed(int at) throws Exception {
    byte[] zip = zipped(PLAIN);
    zip[at < 0 ? zip.length + at : at] ^= (byte) 0x80;
    refused(zip);
  }

  @Test
  void whoStopsReadingHasTheStreamClosed() throws Exception {
    Thread[] reader = new Thread[1];
    InputStream zip =
        new ByteArrayInputStream(zipped(new byte[64 << 20])) {
          @Override
          public void close() {
            reader[0] = Thread.currentThread();
          }
        };
    try (InputStream in = new Ahead(new Gunzip(zip), "test-ahead")) {
      assertEquals(0, in.read());
    }
    while (reader[0] == null) { // it gives up by itself
      Thread.onSpinWait();
    }
    reader[0].join();
  }
}
