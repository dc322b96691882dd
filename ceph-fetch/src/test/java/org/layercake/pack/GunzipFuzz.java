package org.layercake.pack;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;

/** gzip streams: what is taken is what the JDK, which takes more, makes of them. */
public final class GunzipFuzz {
  private static final int MAX_BYTES = 1 << 24;

  private GunzipFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) throws Exception {
    byte[] ours;
    try (InputStream in = new Gunzip(new ByteArrayInputStream(data))) {
      ours = in.readNBytes(MAX_BYTES);
    } catch (IOException e) {
      TarReaderFuzz.requireReason(e);
      return;
    }
    ByteArrayOutputStream theirs = new ByteArrayOutputStream();
    try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(data))) {
      theirs.writeBytes(in.readNBytes(MAX_BYTES));
    }
    assertTrue(Arrays.equals(ours, theirs.toByteArray()), "other bytes than the JDK's");
  }
}
