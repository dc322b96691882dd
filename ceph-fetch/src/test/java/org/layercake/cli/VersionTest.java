package org.layercake.cli;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class VersionTest {
  @Test
  void theVersionIsTheOneThatMavenHasBuilt() throws Exception {
    String version = new Version().getVersion()[0];
    assertTrue(version.matches("layercake \\d+\\.\\d+\\.\\d+(-[A-Z0-9]+)?"), version);
  }
}
