package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Properties;
import org.layercake.pack.Limits;
import org.layercake.store.ByteSize;
import org.layercake.store.StoreException;
import picocli.CommandLine.Option;

/** How much of the machine a push may take: what the user says, else what the site does. */
final class LimitOptions {
  private static final int MAX_PROCESSORS = 1024;
  private static final String PROCESSORS = "processors";
  private static final String MEMORY = "memory";

  @Option(
      names = "--" + PROCESSORS,
      paramLabel = "COUNT",
      description =
          "Compress and read back with this many threads; default: one for each processor, or"
              + " as the site has set it.")
  private Optional<String> processors;

  @Option(
      names = "--" + MEMORY,
      paramLabel = "SIZE",
      description =
          "Refuse a source whose decompressor needs more memory than this, such as 512M or 2G;"
              + " default: 1 GiB for xz, 2 GiB for zstd. It does not bound the rest of a push: Java"
              + " takes up to 1.5 GiB, the packer some 200 bytes for each file.")
  private Optional<String> memory;

  /**
   * What holds.
   *
   * @param site of store.conf
   */
  Limits limits(Properties site) throws StoreException {
    OptionalInt count = OptionalInt.empty();
    OptionalLong bytes = OptionalLong.empty();
    String wanted = processors.orElse(site.getProperty(PROCESSORS));
    if (wanted != null) {
      OptionalLong number = ByteSize.parse(wanted);
      if (number.isEmpty() || number.getAsLong() < 1 || number.getAsLong() > MAX_PROCESSORS) {
        throw bad(PROCESSORS, wanted, "a number from 1 to " + MAX_PROCESSORS, processors);
      }
      count = OptionalInt.of((int) number.getAsLong());
    }
    String most = memory.orElse(site.getProperty(MEMORY));
    if (most != null) {
      bytes = ByteSize.parse(most);
      if (bytes.isEmpty() || bytes.getAsLong() < 1 << 20) {
        throw bad(MEMORY, most, "a size from 1M on", memory);
      }
    }
    return new Limits(count, bytes);
  }

  private static StoreException bad(
      String key, String value, String wanted, Optional<String> option) {
    return option.isPresent()
        ? new StoreException(
            INVALID, "cannot push: --" + key + " " + value + " is not " + wanted + " (correct it)")
        : new StoreException(
            MISCONFIGURED,
            "cannot use configuration: \"" + key + " = " + value + "\" is not " + wanted);
  }
}
