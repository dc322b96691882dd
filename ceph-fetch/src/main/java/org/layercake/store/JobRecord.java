package org.layercake.store;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;

import java.time.DateTimeException;
import java.time.Instant;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which image a job runs under a name: {@code OWNER sha256:HEX TIME} and a newline; then {@code
 * MACHINE sha256:HEX} and a newline for each processor that has another one. {@code
 * docs/store-format.md} describes it.
 *
 * @param owner under whom the name was found
 * @param created to the second
 * @param others by processor
 */
record JobRecord(String owner, Digest digest, Instant created, SortedMap<String, Digest> others) {
  static final int MAX_BYTES = 1200;

  private static final Pattern OTHER = Pattern.compile("([a-z0-9_]{1,32}) (sha256:[0-9a-f]{64})");

  private static final Pattern FORM =
      Pattern.compile(
          "([A-Za-z0-9_][A-Za-z0-9._-]{0,63}) (sha256:[0-9a-f]{64})"
              + " ([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n((?:[^\n]*\n)*)");

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
      SortedMap<String, Digest> others = new TreeMap<>();
      for (String line : matcher.group(4).lines().toList()) {
        Matcher other = OTHER.matcher(line);
        if (!other.matches() || !Machines.KNOWN.contains(other.group(1))) {
          return Optional.empty();
        }
        others.put(other.group(1), Digest.parse(other.group(2)));
      }
      return Optional.of(
          new JobRecord(matcher.group(1), Digest.parse(matcher.group(2)), created, others));
    } catch (DateTimeException e) {
      return Optional.empty();
    }
  }

  /** The image for a processor; the first one's where there is none for it. */
  Digest digestFor(String machine) {
    return others.getOrDefault(machine, digest);
  }

  /** All of them. */
  Set<Digest> digests() {
    Set<Digest> all = new HashSet<>(others.values());
    all.add(digest);
    return all;
  }

  byte[] bytes() {
    StringBuilder text = new StringBuilder(owner + " " + digest + " " + created + "\n");
    others.forEach((machine, its) -> text.append(machine + " " + its + "\n"));
    return text.toString().getBytes(US_ASCII);
  }
}
