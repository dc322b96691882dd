package org.layercake.store;

/** An errno, and what librados was asked for. */
final class RadosFailure extends Exception {
  private static final long serialVersionUID = 1;
  private final int code;

  RadosFailure(String act, int code) {
    super(act + ": errno " + Math.abs(code));
    this.code = -Math.abs(code);
  }

  /** Throws if a function of librados has failed. */
  static void check(int code, String act) throws RadosFailure {
    if (code < 0) {
      throw new RadosFailure(act, code);
    }
  }

  /** Negated errno. */
  int code() {
    return code;
  }
}
