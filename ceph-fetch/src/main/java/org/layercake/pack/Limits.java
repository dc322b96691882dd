package org.layercake.pack;

import java.util.OptionalInt;
import java.util.OptionalLong;

/**
 * What the programs that run beside this one may take of the machine.
 *
 * @param processors how many threads compress, and how many processes read back
 * @param memory bytes that a decompressor may take
 */
public record Limits(OptionalInt processors, OptionalLong memory) {
  /** All processors there are, and the memory that their own formats may want. */
  public static final Limits NONE = new Limits(OptionalInt.empty(), OptionalLong.empty());
}
