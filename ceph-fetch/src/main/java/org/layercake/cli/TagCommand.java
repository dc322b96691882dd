package org.layercake.cli;

import java.util.concurrent.Callable;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.Tagged;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "tag",
    mixinStandardHelpOptions = true,
    description = "Gives an image another name; a name in use moves.",
    footerHeading = "%nExample:%n",
    footer = "  layercake tag deb:12 deb:stable")
final class TagCommand extends StoreCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "IMAGE",
      converter = NameConverter.class,
      description =
          "The image, by one of its names: [OWNER/]NAME[:TAG], or with a digest after it:"
              + " @sha256:HEX.")
  private ImageName source;

  @Parameters(
      index = "1",
      paramLabel = "NEW",
      converter = NameConverter.class,
      description = "Another [OWNER/]NAME[:TAG] for it, of the same owner.")
  private ImageName target;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Tagged tagged = store.tag(source, target, user());
      answer(
          Json.image(out -> Json.image(out, tagged.name(), tagged.digest(), tagged.size())),
          out -> out.println("tagged " + tagged.pinned()));
      return 0;
    }
  }
}
