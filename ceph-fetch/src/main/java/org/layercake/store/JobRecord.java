package org.layercake.store;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;

import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which image a job runs under a name: {@code OWNER sha256:HEX TIME} and a newline. {@code
 * docs/store-format.md} describes it.
 *
 * @param owner under whom the name was found
 * @param created to the second
 */
record JobRecord(String owner, Digest digest, Instant created) {
  static final int MAX_BYTES = 200;

  private static final Pattern FORM =
      Pattern.compile(
          "([A-Za-z0-9_][A-Za-z0-9._-]{0,63}) (sha256:[0-9a-f]{64})"
              + " ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n");

  /** Empty for what is no record. */
  static Optional<JobRecord> read(byte[] bytes) throws StoreException {
    if (bytes.length > MAX_BYTES) {
      return Optional.empty();
    }
    Matcher matcher = FORM.matcher(new String(bytes, ISO_8859_1));
    if (!matcher.matches()) {
      return Optional.empty();
    }
    try {
      Instant created = Instant.parse(matcher.group(3));
      return Optional.of(new JobRecord(matcher.group(1), Digest.parse(matcher.group(2)), created));
    } catch (DateTimeException e) {
      return Optional.empty();
    }
  }

  byte[] bytes() {
    return (owner + " " + digest + " " + created + "\n").getBytes(US_ASCII);
  }
}
