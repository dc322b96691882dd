package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.io.PrintStream;
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
      "They make a key in Ceph, or a directory in a store that is one. Nothing is run: look at them, then pipe them into sh."
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
          INVALID, "cannot make a key for \"" + user + "\": this user name can not own images");
    }
    StoreConfig config = config(user, Path.of("~" + user));
    switch (config.kind()) {
      case RADOS -> printCeph(config, session().out());
      case DIRECTORY -> printDirectory(config, session().out());
    }
    return 0;
  }

  private void printCeph(StoreConfig config, PrintStream out) {
    String domain = ImageStore.domain(user);
    String pool = config.pool();
    out.println("# a key that writes the images of " + user + " and reads the site's");
    out.printf(
        "ceph auth get-or-create %s mon 'allow r' osd 'allow rw pool=%s namespace=%s,"
            + " allow r pool=%s namespace=%s' |%n",
        config.client(), pool, domain, pool, ImageStore.domain(ImageName.SITE));
    // As the user: the home may be on a file system that gives root no rights. An old keyring stays
    // when ceph says nothing.
    out.printf(
        "  runuser -u %1$s -- sh -c 'umask 077 && mkdir -p %2$s && cat >%3$s.new && test -s %3$s.new"
            + " && mv %3$s.new %3$s'%n",
        user, config.keyring().getParent(), config.keyring());
  }

  private void printDirectory(StoreConfig config, PrintStream out) {
    out.println("# a directory only " + user + " can write or read");
    out.printf(
        "install -d -o %s -m 0700 %s%n",
        user, config.directory().orElseThrow().resolve(ImageStore.domain(user)));
  }
}
