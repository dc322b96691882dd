package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreConfig;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "key",
    mixinStandardHelpOptions = true,
    description = {
      "Prints the commands by which an administrator lets a user push.",
      "",
      "The commands make a key in Ceph, or a directory in a directory store. Nothing is"
          + " run. Read them, then pipe them into sh."
    },
    footerHeading = "%nExample:%n",
    footer = "  layercake key alice | sh        (as root, where ceph has an admin key)")
final class Key extends StoreCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "USER", description = "The user's name.")
  private String user;

  @Override
  public Integer call() throws Exception {
    if (!ImageName.isUser(user)) {
      throw new StoreException(
          INVALID, "cannot make a key for \"" + user + "\": this user name cannot own images");
    }
    StoreConfig config = config(user, Path.of("~" + user));
    String script =
        switch (config.kind()) {
          case RADOS -> ofCeph(config);
          case DIRECTORY -> ofDirectory(config);
        };
    answer(out -> out.writeStringField("script", script), out -> out.print(script));
    return 0;
  }

  private String ofCeph(StoreConfig config) {
    String domain = ImageStore.domain(user);
    String pool = config.pool();
    // As the user: the home may be on a file system that gives root no rights. An old keyring stays
    // when ceph says nothing.
    return """
        # a key that writes the images of %1$s and reads the site's
        ceph auth get-or-create %2$s mon 'allow r' osd 'allow rw pool=%3$s namespace=%4$s, \
        allow r pool=%3$s namespace=%5$s' |
          runuser -u %1$s -- sh -c 'umask 077 && mkdir -p %6$s && cat >%7$s.new && test -s %7$s.new \
        && mv %7$s.new %7$s'
        """
        .formatted(
            user,
            config.client(),
            pool,
            domain,
            ImageStore.domain(ImageName.SITE),
            config.keyring().getParent(),
            config.keyring());
  }

  private String ofDirectory(StoreConfig config) {
    Path directory = config.directory().orElseThrow().resolve(ImageStore.domain(user));
    return """
        # a directory only %1$s can write or read
        install -d -o %1$s -m 0700 %2$s
        """
        .formatted(user, directory);
  }
}
