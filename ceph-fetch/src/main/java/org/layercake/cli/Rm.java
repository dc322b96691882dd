package org.layercake.cli;

import java.util.concurrent.Callable;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.Tagged;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "rm",
    mixinStandardHelpOptions = true,
    description = {
      "Removes a name of an image.",
      "",
      "Jobs that run from the image are not disturbed."
    },
    footerHeading = "%nExample:%n",
    footer = "  layercake rm deb:11")
final class Rm extends StoreCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "[OWNER/]NAME[:TAG]",
      converter = NameConverter.class,
      description = "The name; the tag is \"latest\" when left out.")
  private ImageName name;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Tagged removed = store.remove(name, user());
      session().out().println("removed " + removed.name() + "@" + removed.digest());
      return 0;
    }
  }
}
