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
    name = "share",
    mixinStandardHelpOptions = true,
    description = {
      "Lets others run an image of yours, with all its tags, now and later.",
      "",
      "They name it with you as its owner. They can run it, but cannot change it or read it"
          + " with layercake. Without --with, shows who can run it."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake share pytorch --with bob,group:phys",
      "  srun --ch-image=alice/pytorch:2 ...            (bob, or a member of phys)",
      "  layercake share pytorch --with all",
      "  layercake share pytorch"
    })
final class Share extends StoreCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "NAME", converter = NameConverter.class)
  private ImageName name;

  @Option(
      names = "--with",
      paramLabel = "WHO",
      split = ",",
      description =
          "A user, a group, or \"all\" for every user of the site; several with commas. If a user"
              + " and a group have the same name, the user is meant. For the group write group:NAME.")
  private List<String> with = List.of();

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Audience more = Who.parse(with);
      Audience now =
          with.isEmpty()
              ? store.audience(name, user())
              : store.share(name, user(), before -> before.with(more));
      say(this, name, now);
      return 0;
    }
  }

  /** With whom a name of the user's is shared now. */
  static void say(StoreCommand command, ImageName name, Audience now) {
    String image = command.user() + "/" + name.name();
    command.answer(
        Json.image(
            out -> {
              out.writeStringField("name", image);
              Json.audience(out, now);
            }),
        out -> out.println(image + (now.isNobody() ? " is private" : " is shared with " + now)));
  }
}
