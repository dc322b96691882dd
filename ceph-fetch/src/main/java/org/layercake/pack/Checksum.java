package org.layercake.pack;

import java.util.zip.CRC32C;

/** A CRC-32C of bytes and of zeros that nobody has; it takes no longer for more of those. */
final class Checksum {
  private static final int POLYNOMIAL = 0x82f63b78; // reflected; RFC 3720, B.4
  private static final int ONE = 1 << 31; // x^0, reflected
  private static final int BYTE = 1 << 23; // x^8

  private final CRC32C rest = new CRC32C();
  private long restBytes;
  private int value; // of what came before the rest

  void update(byte[] bytes, int offset, int length) {
    rest.update(bytes, offset, length);
    restBytes += length;
  }

  void updateZeros(long bytes) {
    // The checksum begins with all bits set, and is inverted in the end.
    value = ~shifted(~value(), bytes);
    rest.reset();
    restBytes = 0;
  }

  int value() {
    return restBytes == 0 ? value : shifted(value, restBytes) ^ (int) rest.getValue();
  }

  /** What so many bytes of zeros make of the register: they multiply it by x^8 each. */
  private static int shifted(int register, long bytes) {
    int power = ONE;
    int square = BYTE;
    for (long left = bytes; left != 0; left >>>= 1) {
      power = (left & 1) != 0 ? product(power, square) : power;
      square = product(square, square);
    }
    return product(power, register);
  }

  /** Modulo the polynomial. */
  private static int product(int a, int b) {
    int sum = 0;
    int factor = b;
    for (int bit = ONE; bit != 0; bit >>>= 1) {
      sum ^= (a & bit) != 0 ? factor : 0;
      factor = (factor & 1) != 0 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
    }
    return sum;
  }
}
