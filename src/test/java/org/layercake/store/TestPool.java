package org.layercake.store;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** A pool of its own for a test class and those nested in it, in the cluster's Ceph. */
final class TestPool implements BeforeAllCallback, AfterAllCallback {
  private final String name;
  private final int placementGroups;
  private final int copies;
  private String env;
  private int classes; // that use it: a class, and those nested in it

  TestPool(String name, int placementGroups, int copies) {
    this.name = name;
    this.placementGroups = placementGroups;
    this.copies = copies;
  }

  @Override
  public void beforeAll(ExtensionContext context) throws Exception {
    if (classes++ > 0) {
      return;
    }
    env = cluster("env");
    onHead("ceph osd pool create " + name + " " + placementGroups);
    onHead("ceph osd pool set " + name + " size " + copies + " --yes-i-really-mean-it");
    onHead("ceph osd pool application enable " + name + " layercake");
  }

  @Override
  public void afterAll(ExtensionContext context) throws Exception {
    if (--classes > 0) {
      return;
    }
    onHead("ceph tell 'mon.*' injectargs --mon-allow-pool-delete=true");
    onHead("ceph osd pool rm " + name + " " + name + " --yes-i-really-really-mean-it");
  }

  StoreConfig config(String replicaReads) throws StoreException {
    Properties p = new Properties();
    p.setProperty("pool", name);
    p.setProperty("ceph-conf", exported("LAYERCAKE_CLUSTER_CEPH_CONF"));
    p.setProperty("client", "client.admin");
    p.setProperty("keyring", exported("LAYERCAKE_CLUSTER_KEYS") + "/client.admin");
    p.setProperty("replica-reads", replicaReads);
    return StoreConfig.forNode(p);
  }

  /** What a command line of sh says, as root in the head node. */
  static String onHead(String script) throws IOException, InterruptedException {
    return cluster("on", "head", "sh", "-ec", script);
  }

  private String exported(String variable) {
    Matcher line = Pattern.compile("(?m)^export " + variable + "=(.*)$").matcher(env);
    if (!line.find()) {
      throw new AssertionError("no " + variable + " in: " + env);
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
