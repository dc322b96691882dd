package org.layercake.launcher.image;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Names of images' files and mount points. They are made with a secret, so that users, who can see
 * mount points and command lines, cannot try whether a certain image is on the node.
 */
final class CacheNames {
  private static final int SECRET_BYTES = 32;
  private static final int NAME_BYTES = 16;

  private final byte[] secret;

  private CacheNames(byte[] secret) {
    this.secret = secret;
  }

  /** With the secret of a file, or a new one where that has none. */
  static CacheNames of(Path file) throws IOException {
    byte[] secret = read(file);
    if (secret.length != SECRET_BYTES) {
      secret = new byte[SECRET_BYTES];
      new SecureRandom().nextBytes(secret);
    }
    return new CacheNames(secret);
  }

  /** With the secret of a file, or these, written there, where that has none. */
  CacheNames keptIn(Path file) throws IOException {
    byte[] kept = read(file);
    if (kept.length == SECRET_BYTES) {
      return new CacheNames(kept);
    }
    write(file);
    return this;
  }

  private static byte[] read(Path file) throws IOException {
    return Files.isRegularFile(file, NOFOLLOW_LINKS) ? Files.readAllBytes(file) : new byte[0];
  }

  /** Writes the secret to a file that root alone reads, unless it is there. */
  void write(Path file) throws IOException {
    if (Arrays.equals(read(file), secret)) {
      return;
    }
    Path staged = file.resolveSibling("secret.new");
    Files.deleteIfExists(staged);
    Files.createFile(
        staged, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    Files.write(staged, secret);
    Files.move(staged, file, StandardCopyOption.ATOMIC_MOVE);
  }

  /** 32 hex digits. */
  String of(ImageKey key) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(secret, "HmacSHA256"));
      byte[] whole = mac.doFinal(key.toString().getBytes(UTF_8));
      return HexFormat.of().formatHex(Arrays.copyOf(whole, NAME_BYTES));
    } catch (GeneralSecurityException e) {
      throw new AssertionError("every Java platform has HmacSHA256", e);
    }
  }
}
