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
      "Takes back what share gave; without --with, all of it.",
      "",
      "Jobs in which a container of the image runs already go on."
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
      description = "Whom not to share it with any more, as with layercake share.")
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
