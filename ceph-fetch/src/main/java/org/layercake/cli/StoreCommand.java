package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import java.io.IOException;
import java.io.PrintStream;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.function.Consumer;
import org.layercake.cli.Layercake.Session;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreConfig;
import org.layercake.store.StoreException;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/** What every command needs: who asks, and the store. */
abstract class StoreCommand {
  private static final Path DEFAULT_CONFIG = Path.of("/etc/layercake/store.conf");

  @ParentCommand private Layercake root;

  @Option(
      names = "--json",
      description = "Print one JSON object, even after a failure; the user guide describes it.")
  private boolean json;

  Session session() {
    return root.session();
  }

  boolean isJson() {
    return json;
  }

  /** Says what has come of the command. */
  void answer(Json.Fields forPrograms, Consumer<PrintStream> forPeople) {
    if (json) {
      root.answer(forPrograms);
    } else {
      forPeople.accept(session().out());
    }
  }

  /** Tells of a failure beside which the command goes on; the last one gives the exit code. */
  void note(StoreException failure) {
    root.report(failure);
  }

  String user() {
    return session().user();
  }

  ImageStore openStore() throws StoreException {
    return ImageStore.open(config(user(), session().home()));
  }

  /** The configuration as it applies to a user; without a file the defaults hold. */
  StoreConfig config(String user, Path home) throws StoreException {
    return StoreConfig.from(properties(), user, home);
  }

  /** All that store.conf says; what the store does not know is for the commands. */
  Properties properties() throws StoreException {
    Properties properties = new Properties();
    String set = session().environment().get("LAYERCAKE_CONFIG");
    Path file = set == null ? DEFAULT_CONFIG : Path.of(set);
    if (set == null && !Files.exists(file)) {
      return properties;
    }
    try (Reader reader = Files.newBufferedReader(file)) {
      properties.load(reader);
      return properties;
    } catch (IOException | IllegalArgumentException e) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot read configuration " + file + ": " + e + " (repair or replace it)",
          e);
    }
  }
}
