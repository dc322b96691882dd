package org.layercake.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.layercake.pack.Scratch;
import org.layercake.store.Existing;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImagePush;
import org.layercake.store.ImageStore;
import org.layercake.store.PushResult;
import org.layercake.store.StoreException;
import org.layercake.store.Tagged;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "copy",
    mixinStandardHelpOptions = true,
    description = {
      "Gives an image another name, also under another owner.",
      "",
      "Under the same owner it only adds a name, as layercake tag does. From the site's"
          + " images to yours, or with an administrator's key from yours to the site's, it copies"
          + " the image by way of TMPDIR. Chunks that the new owner already has are not sent"
          + " again. The digest stays the same. You can run images that others share with you,"
          + " but not copy them."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake copy site/deb:12 deb:12",
      "  layercake copy pytorch:2 site/pytorch:2        (with an administrator's key)"
    })
final class Copy extends ReadCommand implements Callable<Integer> {
  @Parameters(
      index = "1",
      paramLabel = "NEW",
      converter = NameConverter.class,
      description = "Its new [OWNER/]NAME[:TAG].")
  private ImageName target;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore()) {
      Image image = resolve(store);
      if (image.name().owner().orElseThrow().equals(target.owner().orElse(user()))) {
        Tagged tagged = store.tag(image.pinned(), target, user());
        answer(
            Json.image(out -> Json.image(out, tagged.name(), tagged.digest(), tagged.size())),
            out -> out.println("tagged " + tagged.pinned()));
      } else {
        PushResult copied = copy(store, image);
        answer(Json.pushed(copied), out -> out.println(summary(image, copied)));
      }
      return 0;
    }
  }

  private PushResult copy(ImageStore store, Image image) throws StoreException, IOException {
    String act = "copy " + image.name() + " to " + target;
    try (ImagePush push = store.push(target, user(), Existing.TRUST);
        Scratch scratch = new Scratch(session().environment());
        Progress progress = new Progress(session().err())) {
      progress.begin("fetching " + image.name(), image.manifest().size());
      Path file = Fetched.fetch(store, image, scratch, act, progress);
      progress.begin("pushing " + target, image.manifest().size());
      return push.complete(
          file,
          image.manifest().config(),
          store.origin(image),
          (done, fresh) -> progress.reach(done));
    }
  }

  private static String summary(Image image, PushResult copied) {
    return "copied %s to %s@%s %s, %s new"
        .formatted(
            image.name(),
            copied.name(),
            copied.digest(),
            Sizes.human(copied.size()),
            Sizes.human(copied.newBytes()));
  }
}
