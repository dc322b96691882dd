package org.layercake.store;

/**
 * What became of an object that nothing needs.
 *
 * @param bytes that were removed
 * @param waitingBytes that stay because they were touched of late
 */
record Swept(boolean gone, long bytes, long waitingBytes) {
  static final Swept KEPT = new Swept(false, 0, 0);
}
