package org.layercake.store;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a tag holds: {@code sha256:HEX SIZE} and a newline. The size, of the image file, is there to
 * be listed without reading the manifest; nothing else believes it.
 */
record Tag(Digest digest, long size) {
  static final int MAX_BYTES = 100;

  private static final Pattern FORM = Pattern.compile("(sha256:[0-9a-f]{64}) ([0-9]{1,15})\n");

  /** Empty for what is no tag. */
  static Optional<Tag> read(byte[] bytes) throws StoreException {
    Matcher matcher = FORM.matcher(new String(bytes, StandardCharsets.ISO_8859_1));
    if (bytes.length > MAX_BYTES || !matcher.matches()) {
      return Optional.empty();
    }
    return Optional.of(new Tag(Digest.parse(matcher.group(1)), Long.parseLong(matcher.group(2))));
  }

  byte[] bytes() {
    return (digest + " " + size + "\n").getBytes(StandardCharsets.US_ASCII);
  }
}
