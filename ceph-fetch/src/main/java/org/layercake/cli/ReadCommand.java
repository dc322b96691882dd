package org.layercake.cli;

import org.layercake.pack.Platform;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** What a command needs that reads one image. */
abstract class ReadCommand extends StoreCommand {
  @Parameters(
      index = "0",
      paramLabel = "IMAGE",
      converter = NameConverter.class,
      description = "[OWNER/]NAME[:TAG][@sha256:HEX]; without OWNER, yours or else the site's.")
  private ImageName name;

  @Option(
      names = "--arch",
      paramLabel = "ARCH",
      description =
          "If a name has images for several processors, the one for this (amd64, arm64);"
              + " default: this machine's.")
  private String architecture;

  /** As it was typed. */
  ImageName name() {
    return name;
  }

  Image resolve(ImageStore store) throws StoreException {
    return architecture == null
        ? store.resolve(name, user())
        : store.resolve(name, user(), Platform.parse(architecture).machine());
  }
}
