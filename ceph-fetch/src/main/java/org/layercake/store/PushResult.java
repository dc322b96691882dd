package org.layercake.store;

/**
 * What a push did.
 *
 * @param name with owner and tag
 * @param size of the image file in bytes
 * @param newBytes that were not in the store before
 */
public record PushResult(String domain, ImageName name, Digest digest, long size, long newBytes) {}
