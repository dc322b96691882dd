package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import picocli.CommandLine.IVersionProvider;

/** What {@code --version} prints: the version of the project, which Maven writes to a resource. */
final class Version implements IVersionProvider {
  @Override
  public String[] getVersion() throws IOException {
    try (InputStream version = Version.class.getResourceAsStream("version")) {
      return new String[] {"layercake " + new String(version.readAllBytes(), UTF_8).strip()};
    }
  }
}
