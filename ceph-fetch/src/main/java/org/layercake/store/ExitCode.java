package org.layercake.store;

/**
 * The codes that commands and steps of ours exit with: those of sysexits(3), and what they mean
 * here. The same table is in spank-shim/shared/exits.h, and for users in docs/user-guide.md.
 */
public final class ExitCode {
  /** The request is malformed, or cannot be fulfilled by anybody. */
  public static final int REQUEST = 64;

  /** What should be an image is damaged, or not one. */
  public static final int DAMAGED = 65;

  /** No such image, file or mount source. */
  public static final int MISSING = 66;

  /** The image is for another processor than the node's. */
  public static final int ARCHITECTURE = 68;

  /** The launcher is not running, or the job has ended; an image has more than is proved. */
  public static final int UNAVAILABLE = 69;

  /** An error inside LayerCake, or of the kernel. */
  public static final int INTERNAL = 70;

  /** No room for what is written. */
  public static final int FULL = 73;

  /** An image, a mount source or stored data cannot be read. */
  public static final int INPUT = 74;

  /** Trying again may help. */
  public static final int TEMPORARY = 75;

  /** The user may not do this. */
  public static final int PERMISSION = 77;

  /** The node or the cluster is not set up. */
  public static final int MISCONFIGURED = 78;

  private ExitCode() {}
}
