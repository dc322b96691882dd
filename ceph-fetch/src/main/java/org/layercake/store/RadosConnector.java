package org.layercake.store;

import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** Connects to the pool of a configuration, with the options that we need of librados. */
final class RadosConnector {
  private static final Pattern ENTITY = Pattern.compile("client\\.[!-~]+");

  private RadosConnector() {}

  /**
   * Connects.
   *
   * @param more options of librados, beside ours
   */
  static RadosPool connect(StoreConfig config, Map<String, String> more) throws RadosFailure {
    Map<String, String> options = options(config);
    options.putAll(more);
    return RadosPool.connect(config.cephConf(), config.client(), options, config.pool());
  }

  /** librados waits for ever unless told otherwise, and writes its own lines to stderr. */
  private static Map<String, String> options(StoreConfig config) {
    Map<String, String> options = new HashMap<>();
    options.put("keyring", config.keyring().toString());
    options.put("client_mount_timeout", "10");
    options.put("rados_mon_op_timeout", "15");
    options.put("rados_osd_op_timeout", "15");
    options.put("log_to_stderr", "false");
    options.put("err_to_stderr", "false");
    options.put("log_file", "");
    options.put("admin_socket", "");
    // What looks after things that we do not have: threads that may hang, a log for the monitors.
    options.put("heartbeat_interval", "60");
    options.put("mon_client_log_interval", "60");
    // What would only be kept in memory, for the log of a crash, wakes a thread twice a second.
    for (String part : List.of("auth", "mgrc", "monc", "ms", "objecter", "rados", "timer")) {
      options.put("debug_" + part, "0/0");
    }
    return options;
  }

  /** What librados would only report as one errno for many causes. */
  static void check(StoreConfig config) throws StoreException {
    if (!ENTITY.matcher(config.client()).matches()) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot reach Ceph: client \"" + config.client() + "\" is not client.NAME (store.conf)");
    }
    requireReadable(config.cephConf(), "Ceph configuration", MISCONFIGURED, "set ceph-conf");
    requireReadable(
        config.keyring(),
        "keyring of " + config.client(),
        DENIED,
        "ask an administrator for one: \"layercake key USER\" prints the command");
  }

  private static void requireReadable(
      Path file, String what, StoreException.Kind kind, String nextMove) throws StoreException {
    if (!Files.isReadable(file)) {
      String cause = Files.exists(file) ? "is not readable" : "does not exist";
      throw new StoreException(
          kind, "cannot reach Ceph: " + what + ", " + file + ", " + cause + " (" + nextMove + ")");
    }
  }
}
