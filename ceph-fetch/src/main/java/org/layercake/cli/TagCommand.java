package org.layercake.cli;

import java.util.concurrent.Callable;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "tag",
    mixinStandardHelpOptions = true,
    description = "Gives an image another name; a name in use moves.",
    footerHeading = "%nExample:%n",
    footer = "  layercake tag deb:12 deb:stable")
final class TagCommand extends StoreCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "IMAGE", converter = NameConverter.class)
  private ImageName source;

  @Parameters(index = "1", paramLabel = "NEW", converter = NameConverter.class)
  private ImageName target;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      ImageStore.Tagged tagged = store.tag(source, target, user());
      session().out().println("tagged " + tagged.name() + "@" + tagged.digest());
      return 0;
    }
  }
}
