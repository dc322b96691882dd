package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.INVALID;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import org.layercake.store.StoreException;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** The user's command. */
@Command(
    name = "layercake",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Keeps container images in the store that srun --ch-image starts them from.",
      "",
      "IMAGE is [OWNER/]NAME[:TAG][@sha256:HEX]. Without OWNER your own image is meant, or else the"
          + " site's, whose owner is \"site\"; without TAG \"latest\"; with a digest, exactly that"
          + " image."
    },
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      Push.class,
      Save.class,
      Pull.class,
      Ls.class,
      Inspect.class,
      TagCommand.class,
      Share.class,
      Unshare.class,
      Rm.class,
      Du.class,
      Gc.class,
      Verify.class,
      Key.class,
      PolicyCommand.class,
      AutoComplete.GenerateCompletion.class,
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "64:the command cannot be understood",
      "65:the source is not an image, or what it or a stored image holds is damaged",
      "66:no such image or file",
      "70:an error inside layercake",
      "73:no room, in the store or for a file",
      "74:stored data is damaged, or a file cannot be read or written",
      "75:the store does not answer, or the tag was moved by someone else: try again",
      "77:no permission",
      "78:not set up rightly: the configuration, or a missing program"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake push debian.tar deb:12      store an image as yours",
      "  srun --ch-image=deb:12 cat /etc/os-release",
      "  layercake ls                          your images and the site's",
      "  layercake inspect deb:12"
    })
public final class Layercake implements Runnable {
  private final Session session;

  @CommandLine.Spec private CommandSpec spec;

  Layercake(Session session) {
    this.session = session;
  }

  /** As the process was started. The generator of the manual pages knows no other constructor. */
  Layercake() {
    this(Session.ofProcess());
  }

  public static void main(String[] args) {
    // Before the first logger: the launcher's configuration lies on the same class path.
    System.setProperty("logback.configurationFile", "org/layercake/cli/logback.xml");
    System.exit(run(Session.ofProcess(), args));
  }

  static int run(Session session, String... args) {
    CommandLine command = commandLine(new Layercake(session), args);
    command.setOut(new PrintWriter(session.out(), true, Charset.defaultCharset()));
    command.setErr(new PrintWriter(session.err(), true, Charset.defaultCharset()));
    command.setParameterExceptionHandler((e, rest) -> usageError(session, e));
    command.setExecutionExceptionHandler((e, at, parsed) -> failed(session, e));
    command.setCaseInsensitiveEnumValuesAllowed(true);
    try {
      return command.execute(args);
    } catch (OutOfMemoryError e) {
      return report(
          session,
          new StoreException(
              INTERNAL,
              "cannot go on: "
                  + e
                  + " (free memory or raise the limits that \"ulimit -a\" shows, or take a source of"
                  + " fewer files)",
              e));
    } catch (Error e) { // picocli passes it on, and a stack trace helps nobody
      return unexpected(session, e);
    }
  }

  /**
   * With only the command that is called, when it is one of ours: picocli would read the
   * annotations of all, which takes longer than what most of them then do.
   */
  private static CommandLine commandLine(Layercake layercake, String[] args) {
    String called = args.length == 0 ? "" : args[0];
    Command main = Layercake.class.getAnnotation(Command.class);
    for (Class<?> command : main.subcommands()) {
      if (StoreCommand.class.isAssignableFrom(command)
          && command.getAnnotation(Command.class).name().equals(called)) {
        CommandSpec alone = CommandSpec.wrapWithoutInspection(layercake).name(main.name());
        return new CommandLine(alone).addSubcommand(called, command);
      }
    }
    return new CommandLine(layercake);
  }

  Session session() {
    return session;
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "no command given");
  }

  private static int usageError(Session session, ParameterException e) {
    if (e.getCause() instanceof StoreException known) {
      return report(session, known);
    }
    String command = e.getCommandLine().getCommandSpec().qualifiedName();
    return report(
        session,
        new StoreException(
            INVALID,
            "cannot understand the command: " + e.getMessage() + " (see: " + command + " --help)",
            e));
  }

  private static int failed(Session session, Exception e) {
    if (e instanceof StoreException known) {
      return report(session, known);
    }
    if (e instanceof IOException io) {
      return report(session, ioFailure(io));
    }
    return unexpected(session, e);
  }

  private static int unexpected(Session session, Throwable e) {
    return report(
        session,
        new StoreException(
            INTERNAL,
            "cannot go on: " + e + " (a fault of layercake: LAYERCAKE_DEBUG=1 shows where)",
            e));
  }

  private static StoreException ioFailure(IOException e) {
    String file = e instanceof FileSystemException named ? named.getFile() : e.getMessage();
    String reason = e instanceof FileSystemException named ? named.getReason() : null;
    if (e instanceof NoSuchFileException) {
      return new StoreException(
          NOT_FOUND, "cannot open " + file + ": no such file (check the path)", e);
    }
    if (e instanceof AccessDeniedException) {
      return new StoreException(
          DENIED, "cannot open " + file + ": permission denied (check its mode)", e);
    }
    String cause = reason == null ? String.valueOf(e.getMessage()) : file + ": " + reason;
    if (StoreException.saysNoRoom(e)) {
      return new StoreException(FULL, "cannot write: " + cause + " (make room, or set TMPDIR)", e);
    }
    return new StoreException(CORRUPT, "cannot read or write: " + cause, e);
  }

  /** The only place that prints an error. */
  private static int report(Session session, StoreException e) {
    PrintStream err = session.err();
    err.println("layercake: " + e.getMessage());
    if (session.environment().containsKey("LAYERCAKE_DEBUG")) {
      e.printStackTrace(err);
    }
    return e.kind().exitCode();
  }

  /** What a command is run with: everything that comes from outside but its arguments. */
  record Session(
      Map<String, String> environment,
      String user,
      Path home,
      InputStream in,
      PrintStream out,
      PrintStream err) {

    /** The JDK takes user and home from the passwd entry of the real uid, not the environment. */
    static Session ofProcess() {
      return new Session(
          System.getenv(),
          System.getProperty("user.name"),
          Path.of(System.getProperty("user.home")),
          System.in,
          System.out,
          System.err);
    }
  }
}
