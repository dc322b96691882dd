package org.layercake.store;

import java.util.OptionalLong;

/**
 * How full the place is that holds a store, whoever filled it.
 *
 * @param usedBytes each byte once, however many copies are kept
 * @param limitBytes the pool's quota, or the file system's size; empty where there is no quota
 */
public record Space(long usedBytes, OptionalLong limitBytes) {}
