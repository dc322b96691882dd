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
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
      "Manages the container images that srun --ch-image runs.",
      "",
      "IMAGE is [OWNER/]NAME[:TAG][@sha256:HEX]. Without OWNER it is your own image or, if"
          + " you have none, the site's, whose owner is \"site\". Without TAG it is \"latest\". With"
          + " a digest it is exactly that image."
    },
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      Push.class,
      Save.class,
      Pull.class,
      Ls.class,
      Inspect.class,
      TagCommand.class,
      Copy.class,
      Share.class,
      Unshare.class,
      Rm.class,
      Du.class,
      Gc.class,
      Verify.class,
      Key.class,
      History.class,
      PolicyCommand.class,
      AutoComplete.GenerateCompletion.class,
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "64:the command line is wrong",
      "65:the source is not an image, or the source or a stored image is damaged",
      "66:no such image or file",
      "70:an error inside layercake",
      "73:no room, in the store or for a file",
      "74:stored data is damaged, or a file cannot be read or written",
      "75:the store does not answer, or the tag was moved by someone else: try again",
      "77:no permission",
      "78:the configuration is wrong, or a program is missing"
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake push debian.tar deb:12      store an image as yours",
      "  srun --ch-image=deb:12 cat /etc/os-release",
      "  layercake ls                          your images and the site's",
      "  layercake inspect deb:12",
      "  layercake help push"
    })
public final class Layercake implements Runnable {
  /** As shells have it of a program that SIGPIPE ends, which the JVM ignores. */
  private static final int NOBODY_READS = 128 + 13;

  private static final char UNKNOWN = '\ufffd';

  private final Session session;
  private final List<StoreException> failures = new ArrayList<>();
  private Optional<Json.Fields> answer = Optional.empty();

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
    Layercake layercake = new Layercake(session);
    String[] words = Habits.withoutHelp(args);
    int code = layercake.execute(words);
    // Asked before it is known whether the command can be understood.
    return layercake.finish(code, List.of(words).contains("--json"));
  }

  private int execute(String... args) {
    try {
      requireText(args);
      Habits.requireCommand(commands().keySet(), args);
      CommandLine command = commandLine(args);
      command.setOut(new PrintWriter(session.out(), true, Charset.defaultCharset()));
      command.setErr(new PrintWriter(session.err(), true, Charset.defaultCharset()));
      command.setParameterExceptionHandler((e, rest) -> usageError(e));
      command.setExecutionExceptionHandler((e, at, parsed) -> failed(e));
      command.setCaseInsensitiveEnumValuesAllowed(true);
      return command.execute(args);
    } catch (StoreException e) {
      return report(e);
    } catch (OutOfMemoryError e) {
      return report(
          new StoreException(
              INTERNAL,
              "cannot go on: "
                  + e
                  + " (free memory or raise the limits that \"ulimit -a\" shows, or take a source of"
                  + " fewer files)",
              e));
    } catch (Error e) { // picocli passes it on, and a stack trace helps nobody
      return unexpected(e);
    }
  }

  /** The JVM has put this character where it could not understand what was typed. */
  private static void requireText(String... args) throws StoreException {
    for (String arg : args) {
      if (arg.indexOf(UNKNOWN) >= 0) {
        throw new StoreException(
            INVALID,
            "cannot understand \""
                + arg
                + "\": it has bytes that are not text in this locale (write a link to the file, or"
                + " \".\" in its directory)");
      }
    }
  }

  /** What is said last, and what the program ends with. */
  private int finish(int code, boolean json) {
    try {
      if (json && (answer.isPresent() || !failures.isEmpty())) { // else it was asked for help
        Json.print(session.out(), answer.orElse(out -> {}), failures);
      }
    } catch (IOException e) {
      code = failed(e);
    }
    Optional<IOException> unwritten = session.out().failure();
    if (unwritten.isPresent()) {
      return outputFailed(unwritten.get());
    }
    return code != 0 || failures.isEmpty()
        ? code
        : failures.get(failures.size() - 1).kind().exitCode();
  }

  private int outputFailed(IOException e) {
    String cause = String.valueOf(e.getMessage());
    if (cause.contains("Broken pipe")) { // as of "layercake ls | head"
      return NOBODY_READS;
    }
    return report(
        new StoreException(
            StoreException.saysNoRoom(e) ? FULL : CORRUPT,
            "cannot write to the standard output: " + cause + " (send it elsewhere)",
            e));
  }

  /** All commands by name. */
  private static Map<String, Class<?>> commands() {
    Map<String, Class<?>> commands = new LinkedHashMap<>();
    for (Class<?> command : Layercake.class.getAnnotation(Command.class).subcommands()) {
      commands.put(command.getAnnotation(Command.class).name(), command);
    }
    return commands;
  }

  /**
   * With only the command that is called, when it is one of ours: picocli would read the
   * annotations of all, which takes longer than what most of them then do.
   */
  private CommandLine commandLine(String... args) {
    Class<?> called = args.length == 0 ? null : commands().get(args[0]);
    if (called == null || !StoreCommand.class.isAssignableFrom(called)) {
      return new CommandLine(this);
    }
    CommandSpec alone = CommandSpec.wrapWithoutInspection(this).name("layercake");
    return new CommandLine(alone).addSubcommand(args[0], called);
  }

  Session session() {
    return session;
  }

  /** What a program is told at the end that has asked for JSON. */
  void answer(Json.Fields fields) {
    answer = Optional.of(fields);
  }

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "no command given");
  }

  private int usageError(ParameterException e) {
    if (e.getCause() instanceof StoreException known) {
      return report(known);
    }
    String command = e.getCommandLine().getCommandSpec().qualifiedName();
    return report(
        new StoreException(
            INVALID,
            "cannot understand the command: " + e.getMessage() + " (see: " + command + " --help)",
            e));
  }

  private int failed(Exception e) {
    if (e instanceof StoreException known) {
      return report(known);
    }
    if (e instanceof IOException && session.out().failure().isPresent()) {
      return CORRUPT.exitCode(); // what it was is said at the end
    }
    if (e instanceof IOException io) {
      return report(ioFailure(io));
    }
    return unexpected(e);
  }

  private int unexpected(Throwable e) {
    return report(
        new StoreException(
            INTERNAL,
            "cannot go on: " + e + " (an error in layercake: LAYERCAKE_DEBUG=1 shows where)",
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

  /** The only place that prints an error; it gives the exit code. */
  int report(StoreException e) {
    PrintStream err = session.err();
    err.println("layercake: " + e.getMessage());
    if (session.environment().containsKey("LAYERCAKE_DEBUG")) {
      e.printStackTrace(err);
    }
    failures.add(e);
    return e.kind().exitCode();
  }

  /** What a command is run with: everything that comes from outside but its arguments. */
  record Session(
      Map<String, String> environment,
      String user,
      Path home,
      InputStream in,
      Output out,
      PrintStream err) {

    /** The JDK takes user and home from the passwd entry of the real uid, not the environment. */
    static Session ofProcess() {
      return new Session(
          System.getenv(),
          System.getProperty("user.name"),
          Path.of(System.getProperty("user.home")),
          System.in,
          Output.ofProcess(),
          System.err);
    }
  }
}
