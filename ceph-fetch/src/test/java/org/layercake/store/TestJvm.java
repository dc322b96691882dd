package org.layercake.store;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/** A JVM beside that of the tests, to start a program of ours in. */
public final class TestJvm {
  private TestJvm() {}

  /** Its command line up to the main class; as quiet as this one, see the profiles in pom.xml. */
  public static List<String> command(String... options) {
    List<String> command = new ArrayList<>();
    command.add(System.getProperty("java.home") + "/bin/java");
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(own -> own.startsWith("--enable-native-access") || own.startsWith("--sun-misc"))
        .forEach(command::add);
    command.addAll(List.of(options));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    return command;
  }
}
