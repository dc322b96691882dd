package org.layercake.store;

import java.util.List;

/** Processors, as {@code uname -m} names them, for which one name can have images of their own. */
public final class Machines {
  /** Those by whose programs an image is known. */
  static final List<String> KNOWN =
      List.of(
          "x86_64",
          "aarch64",
          "arm",
          "i686",
          "loongarch64",
          "ppc64",
          "ppc64le",
          "riscv64",
          "s390x");

  /** Of an image that has no programs, so is for all of them. */
  public static final String ANY = "noarch";

  private Machines() {}

  /** This machine's. */
  public static String here() {
    return System.getProperty("os.arch").replace("amd64", "x86_64");
  }
}
