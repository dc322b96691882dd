package org.layercake.launcher.image;

/**
 * How an image's bytes have come to the node, as far as somebody is concerned.
 *
 * @param fetched from the store since
 * @param copied from other images of the node since
 * @param cached there before
 */
public record Bytes(long fetched, long copied, long cached) {
  Bytes plus(Bytes other) {
    return new Bytes(fetched + other.fetched, copied + other.copied, cached + other.cached);
  }

  /** What has come since an earlier moment; what was there by then counts as cached. */
  Bytes since(Bytes before) {
    return new Bytes(
        fetched - before.fetched, copied - before.copied, before.fetched + before.copied);
  }
}
