package org.layercake.launcher;

import java.nio.file.Path;
import org.layercake.store.StoreConfig;

/**
 * What a node's images need to be told.
 *
 * @param limits what the node cache may hold, and what of it one user's jobs
 * @param instantStart whether images can be read while they are still being fetched
 * @param imageServer the program that serves a mount
 * @param memoryBytes what all image servers together may use
 */
record ImageSettings(
    StoreConfig store,
    Path cacheDirectory,
    Path runDirectory,
    ImageCache.Limits limits,
    ImageFill.Pace pace,
    boolean instantStart,
    Path imageServer,
    long memoryBytes) {}
