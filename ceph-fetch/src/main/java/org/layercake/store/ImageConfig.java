package org.layercake.store;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * What an image says about how to run it, kept when it was pushed. Users write it, so it is
 * bounded: at most 1,000 variables and 48 KiB in all, which fits one frame of the launcher's
 * protocol.
 *
 * @param environment {@code NAME=VALUE} each, in order, without control characters but the tab
 * @param architecture as {@code uname -m} prints it, for example {@code x86_64}
 * @param run what other runtimes would do with it
 */
public record ImageConfig(List<String> environment, String architecture, Run run) {
  /** Variables of the environment; texts of the rest. */
  public static final int MAX_STRINGS = 1000;

  /** In UTF-8: of the environment, of the rest. */
  public static final int MAX_BYTES = 48 * 1024;

  private static final Pattern VARIABLE =
      Pattern.compile("[A-Za-z_][A-Za-z0-9_]*=[\\t[^\\p{IsControl}\\p{Cs}]]*+");
  private static final Pattern ARCHITECTURE = Pattern.compile("[A-Za-z0-9_]{1,32}");

  /**
   * What an OCI image's configuration says beside the environment (config.md of its specification).
   * Kept and shown; a job's steps use of it what the user asks for. At most 1,000 strings and 48
   * KiB in all.
   *
   * @param directory the working directory; empty when it names none
   * @param entryPoint the program and its first arguments
   * @param command the arguments that a user would replace
   * @param user a name or uid, and perhaps a group; empty when it names none
   * @param labels by name
   */
  public record Run(
      String directory,
      List<String> entryPoint,
      List<String> command,
      String user,
      SortedMap<String, String> labels) {
    // Half of a surrogate pair has no encoding.
    private static final Pattern TEXT = Pattern.compile("[^\\p{Cs}]*+");

    /** Says nothing. Behind the constants, which its making needs. */
    public static final Run NONE =
        new Run("", List.of(), List.of(), "", Collections.emptySortedMap());

    /** Refuses what is out of bounds with an {@link IllegalArgumentException} that names it. */
    public Run {
      entryPoint = List.copyOf(entryPoint);
      command = List.copyOf(command);
      labels = Collections.unmodifiableSortedMap(new TreeMap<>(labels));
      List<String> all = new ArrayList<>(List.of(directory, user));
      all.addAll(entryPoint);
      all.addAll(command);
      all.addAll(labels.keySet());
      all.addAll(labels.values());
      int bytes = all.stream().mapToInt(text -> text.getBytes(StandardCharsets.UTF_8).length).sum();
      if (all.size() > MAX_STRINGS || bytes > MAX_BYTES) {
        throw new IllegalArgumentException(
            "a configuration of " + all.size() + " strings and " + bytes + " bytes");
      }
      if (!all.stream().allMatch(text -> TEXT.matcher(text).matches())) {
        throw new IllegalArgumentException("a configuration with half a character");
      }
    }
  }

  /** Of an image that has no more to say. */
  public ImageConfig(List<String> environment, String architecture) {
    this(environment, architecture, Run.NONE);
  }

  /** Refuses what is out of bounds with an {@link IllegalArgumentException} that names it. */
  public ImageConfig {
    environment = List.copyOf(environment);
    if (environment.size() > MAX_STRINGS) {
      throw new IllegalArgumentException(
          environment.size() + " environment variables, at most " + MAX_STRINGS);
    }
    long bytes = 0;
    for (String variable : environment) {
      if (!isVariable(variable)) {
        throw new IllegalArgumentException(
            "\"" + abbreviated(variable) + "\" is not an environment variable");
      }
      bytes += variable.getBytes(StandardCharsets.UTF_8).length + 1;
    }
    if (bytes > MAX_BYTES) {
      throw new IllegalArgumentException(
          "an environment of " + bytes + " bytes, at most " + MAX_BYTES);
    }
    if (!ARCHITECTURE.matcher(architecture).matches()) {
      throw new IllegalArgumentException(
          "\"" + abbreviated(architecture) + "\" is not an architecture");
    }
  }

  /** True for {@code NAME=VALUE} as the environment may hold it. */
  public static boolean isVariable(String text) {
    return VARIABLE.matcher(text).matches();
  }

  private static String abbreviated(String text) {
    return text.length() <= 40 ? text : text.substring(0, 40) + "...";
  }
}
