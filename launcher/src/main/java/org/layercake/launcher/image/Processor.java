package org.layercake.launcher.image;

import java.nio.file.Files;
import java.nio.file.Path;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.Machines;

/**
 * A processor, as {@code uname -m} names it, and the images whose programs run on it. An image's
 * own is known since it was pushed.
 *
 * @param interpreters where the kernel lists those of programs for other processors, binfmt_misc
 */
record Processor(String machine, Path interpreters) {
  /** That of this node. */
  static Processor ofNode() {
    return new Processor(Machines.here(), Path.of("/proc/sys/fs/binfmt_misc"));
  }

  /** Refuses an image whose programs could not be executed here. */
  void require(ImageName name, Image image) throws Abort {
    String its = image.manifest().config().architecture();
    if (!runs(its)) {
      throw new Abort(
          ExitCode.ARCHITECTURE,
          "cannot start "
              + name
              + ": its programs are for "
              + its
              + ", this node is "
              + machine
              + " (choose nodes that are, or push an image that is for "
              + machine
              + ")");
    }
  }

  private boolean runs(String its) {
    return its.equals(machine)
        || its.equals(Machines.ANY)
        || isOlder(its)
        || Files.exists(interpreters.resolve("qemu-" + its.replace("i686", "i386")));
  }

  /** Kernels of 64 bits run programs of 32, too, unless they are built without that. */
  private boolean isOlder(String its) {
    return switch (machine) {
      case "x86_64" -> its.matches("i[3-6]86|386");
      case "aarch64" -> its.startsWith("arm");
      default -> false;
    };
  }
}
