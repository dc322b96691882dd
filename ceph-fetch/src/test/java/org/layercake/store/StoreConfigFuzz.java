package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.Oracle.requireLine;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Properties;

/** The text of a store's configuration, for a node and for a user. */
public final class StoreConfigFuzz {
  private static final Path HOME = Path.of("/home/alice");

  private StoreConfigFuzz() {}

  /** Reads a configuration in one of the two ways. */
  private interface Reading {
    StoreConfig read(Properties properties) throws StoreException;
  }

  public static void fuzzerTestOneInput(byte[] data) throws IOException {
    Properties properties = new Properties();
    try {
      properties.load(new ByteArrayInputStream(data));
    } catch (IllegalArgumentException e) {
      return; // a malformed escape
    }
    check(StoreConfig::forNode, properties);
    check(p -> StoreConfig.from(p, "alice", HOME), properties);
  }

  private static void check(Reading reading, Properties properties) {
    try {
      StoreConfig config = reading.read(properties);
      assertTrue(config.client().startsWith("client."), "another client");
      assertTrue(!config.place().isBlank(), "a place without a name");
      assertEquals(config, reading.read(written(config)));
    } catch (StoreException e) {
      assertTrue(e.kind() == MISCONFIGURED, "a fault of another kind: " + e.kind());
      requireLine(e.getMessage());
    }
  }

  private static Properties written(StoreConfig config) {
    Properties properties = new Properties();
    properties.setProperty("store", config.kind().name().toLowerCase(Locale.ROOT));
    properties.setProperty("pool", config.pool());
    properties.setProperty("ceph-conf", text(config.cephConf()));
    properties.setProperty("client", config.client());
    properties.setProperty("keyring", text(config.keyring()));
    config.directory().ifPresent(path -> properties.setProperty("directory", text(path)));
    properties.setProperty("replica-reads", config.replicaReads().name().toLowerCase(Locale.ROOT));
    return properties;
  }

  /** With a slash behind a name that may end in a blank: values are stripped. */
  private static String text(Path path) {
    return path.toString().isEmpty() ? "" : path + "/";
  }
}
