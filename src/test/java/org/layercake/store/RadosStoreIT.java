package org.layercake.store;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** What every store must do, on the cluster's Ceph, in a pool of its own. */
class RadosStoreIT extends StoreContract {
  private static final String POOL = "store-it";
  private static String env;

  @BeforeAll
  static void createPool() throws Exception {
    env = cluster("env");
    cluster("on", "head", "ceph", "osd", "pool", "create", POOL, "16");
    cluster("on", "head", "ceph", "osd", "pool", "application", "enable", POOL, "layercake");
  }

  @AfterAll
  static void deletePool() throws Exception {
    String really = "--yes-i-really-really-mean-it";
    cluster("on", "head", "ceph", "tell", "mon.*", "injectargs", "--mon-allow-pool-delete=true");
    cluster("on", "head", "ceph", "osd", "pool", "rm", POOL, POOL, really);
  }

  @Override
  ObjectStore connect(InstantSource clock) throws Exception {
    Properties p = new Properties();
    p.setProperty("pool", POOL);
    p.setProperty("ceph-conf", exported("LAYERCAKE_CLUSTER_CEPH_CONF"));
    p.setProperty("client", "client.admin");
    p.setProperty("keyring", exported("LAYERCAKE_CLUSTER_KEYS") + "/client.admin");
    return RadosStore.open(StoreConfig.forNode(p), clock);
  }

  @Override
  int raceRounds() {
    return 1200;
  }

  private static String exported(String name) {
    Matcher line = Pattern.compile("(?m)^export " + name + "=(.*)$").matcher(env);
    if (!line.find()) {
      throw new AssertionError("no " + name + " in: " + env);
    }
    return line.group(1);
  }

  private static String cluster(String... words) throws IOException, InterruptedException {
    String[] command = new String[words.length + 1];
    command[0] = System.getProperty("layercake.cluster");
    System.arraycopy(words, 0, command, 1, words.length);
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new AssertionError(String.join(" ", command) + ": " + out);
    }
    return out;
  }
}
