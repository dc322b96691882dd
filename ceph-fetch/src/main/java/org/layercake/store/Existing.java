package org.layercake.store;

/** What a push does about chunks that are in the store already. */
public enum Existing {
  TRUST,
  /** Reads them, and writes over those that are damaged. */
  VERIFY
}
