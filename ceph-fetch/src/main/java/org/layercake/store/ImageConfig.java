package org.layercake.store;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Pattern;

/**
 * What an image says about how to run it, kept when it was pushed. Users write it, so it is
 * bounded: at most 1,000 variables and 48 KiB in all, which fits one frame of the launcher's
 * protocol.
 *
 * @param environment {@code NAME=VALUE} each, in order, without control characters but the tab
 * @param architecture as {@code uname -m} prints it, for example {@code x86_64}
 */
public record ImageConfig(List<String> environment, String architecture) {
  private static final int MAX_VARIABLES = 1000;
  private static final int MAX_ENVIRONMENT_BYTES = 48 * 1024;
  private static final Pattern VARIABLE =
      Pattern.compile("[A-Za-z_][A-Za-z0-9_]*=[\\t[^\\p{IsControl}\\p{Cs}]]*+");
  private static final Pattern ARCHITECTURE = Pattern.compile("[A-Za-z0-9_]{1,32}");

  /** Refuses what is out of bounds with an {@link IllegalArgumentException} that names it. */
  public ImageConfig {
    environment = List.copyOf(environment);
    if (environment.size() > MAX_VARIABLES) {
      throw new IllegalArgumentException(
          environment.size() + " environment variables, at most " + MAX_VARIABLES);
    }
    long bytes = 0;
    for (String variable : environment) {
      if (!isVariable(variable)) {
        throw new IllegalArgumentException(
            "\"" + abbreviated(variable) + "\" is not an environment variable");
      }
      bytes += variable.getBytes(StandardCharsets.UTF_8).length + 1;
    }
    if (bytes > MAX_ENVIRONMENT_BYTES) {
      throw new IllegalArgumentException(
          "an environment of " + bytes + " bytes, at most " + MAX_ENVIRONMENT_BYTES);
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
