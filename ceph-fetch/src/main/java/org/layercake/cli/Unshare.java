package org.layercake.cli;

import java.util.List;
import java.util.concurrent.Callable;
import org.layercake.store.Audience;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "unshare",
    mixinStandardHelpOptions = true,
    description = {
      "Stops sharing an image; without --with, with everybody.",
      "",
      "Jobs that already run a container of the image go on."
    },
    footerHeading = "%nExamples:%n",
    footer = {"  layercake unshare pytorch --with bob", "  layercake unshare pytorch"})
final class Unshare extends StoreCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "NAME", converter = NameConverter.class)
  private ImageName name;

  @Option(
      names = "--with",
      paramLabel = "WHO",
      split = ",",
      description = "With whom to stop sharing it, written as for layercake share.")
  private List<String> with = List.of();

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Audience now =
          store.share(
              name,
              user(),
              before -> with.isEmpty() ? Audience.NOBODY : before.without(Who.among(before, with)));
      Share.say(this, name, now);
      return 0;
    }
  }
}
