package org.layercake.store;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.regex.Pattern;

/** A SHA-256 digest: proves content, names chunks and images. Written {@code sha256:} + 64 hex. */
public final class Digest {
  private static final String PREFIX = "sha256:";
  private static final int BYTES = 32;
  private static final Pattern HEX = Pattern.compile("[0-9a-f]{64}");

  private final byte[] bytes;

  private Digest(byte[] bytes) {
    this.bytes = bytes;
  }

  /** The digest of the buffer's remaining bytes; the buffer's position stays where it is. */
  public static Digest of(ByteBuffer content) {
    MessageDigest sha256 = sha256();
    sha256.update(content.duplicate());
    return new Digest(sha256.digest());
  }

  public static Digest of(byte[] content) {
    return of(ByteBuffer.wrap(content));
  }

  /** Parses {@code sha256:} and 64 lower-case hex digits. */
  public static Digest parse(String text) throws StoreException {
    if (!text.startsWith(PREFIX)) {
      throw new StoreException(
          INVALID, "cannot read digest \"" + text + "\": it does not begin with \"sha256:\"");
    }
    return parseHex(text.substring(PREFIX.length()));
  }

  /** Parses 64 lower-case hex digits. */
  public static Digest parseHex(String hex) throws StoreException {
    if (!HEX.matcher(hex).matches()) {
      throw new StoreException(
          INVALID, "cannot read digest \"" + hex + "\": it is not 64 lower-case hex digits");
    }
    return new Digest(HexFormat.of().parseHex(hex));
  }

  /** The digest that stands in 32 bytes of an array. */
  static Digest at(byte[] source, int from) {
    return new Digest(Arrays.copyOfRange(source, from, from + BYTES));
  }

  void copyTo(byte[] target, int at) {
    System.arraycopy(bytes, 0, target, at, BYTES);
  }

  /** The digest of what a SHA-256 has been told. */
  public static Digest of(MessageDigest sha256) {
    return new Digest(sha256.digest());
  }

  byte[] bytes() {
    return bytes.clone();
  }

  public String hex() {
    return HexFormat.of().formatHex(bytes);
  }

  @Override
  public String toString() {
    return PREFIX + hex();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Digest digest && Arrays.equals(bytes, digest.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  /** One that has been told nothing yet. */
  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
