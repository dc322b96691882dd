package org.layercake.launcher.edit;

/**
 * Who wants an edit.
 *
 * @param name as messages have it: {@code profile "nccl"}, {@code device nvidia.com/gpu=all}
 * @param remedy what the site is to do when it cannot be had
 */
public record Origin(String name, String remedy) {}
