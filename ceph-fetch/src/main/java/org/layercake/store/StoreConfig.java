package org.layercake.store;

import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Where the store is and how to reach it: the store's keys of {@code launcher.conf} and {@code
 * store.conf}. Other keys are left to others.
 *
 * @param client the Ceph entity with its type, {@code client.NAME}
 * @param directory of the directory back end; empty for RADOS
 */
public record StoreConfig(
    Kind kind,
    String pool,
    Path cephConf,
    String client,
    Path keyring,
    Optional<Path> directory,
    ReplicaReads replicaReads) {
  /** The keys that are read here. */
  public static final Set<String> KEYS =
      Set.of("store", "pool", "ceph-conf", "client", "keyring", "directory", "replica-reads");

  /** Which back end holds the store; the value of {@code store}. */
  public enum Kind {
    RADOS,
    DIRECTORY
  }

  /** Which OSD is asked for chunks; the value of {@code replica-reads}. */
  public enum ReplicaReads {
    /** As BALANCE where no replica's OSD can be harmed by it, else as OFF. */
    AUTO,
    /** The primary. */
    OFF,
    /** Any that has a copy. */
    BALANCE,
    /** A near one that has a copy. */
    LOCALIZE
  }

  /** For a node's launcher: by default with the node's own key, {@code client.layercake-node}. */
  public static StoreConfig forNode(Properties properties) throws StoreException {
    return read(properties, "client.layercake-node", "/etc/layercake/node.keyring");
  }

  /**
   * For a user's command: by default with the user's own key. In every value {@code {user}} and
   * {@code {home}} stand for the arguments.
   */
  public static StoreConfig from(Properties properties, String user, Path home)
      throws StoreException {
    Properties expanded = new Properties();
    for (String key : properties.stringPropertyNames()) {
      expanded.setProperty(key, expand(properties.getProperty(key), user, home));
    }
    return read(expanded, userClient(user), expand("{home}/.config/layercake/keyring", user, home));
  }

  /** The Ceph entity of a user, unless the configuration says otherwise. */
  public static String userClient(String user) {
    return "client.layercake." + user;
  }

  /** Where images come from, for people: the pool or the directory. */
  public String place() {
    return kind == Kind.RADOS ? "pool " + pool : "directory " + directory.orElseThrow();
  }

  private static StoreConfig read(Properties properties, String client, String keyring)
      throws StoreException {
    Kind kind = choice(Kind.class, properties, "store", Kind.RADOS);
    Optional<Path> directory =
        properties.containsKey("directory")
            ? Optional.of(path(properties, "directory", ""))
            : Optional.empty();
    if (kind == Kind.DIRECTORY && directory.filter(Path::isAbsolute).isEmpty()) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot use configuration: \"store = directory\" needs \"directory\" (an absolute path)");
    }
    String entity = value(properties, "client", client);
    if (!entity.startsWith("client.")) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot use configuration: client \"" + entity + "\" does not begin with \"client.\"");
    }
    return new StoreConfig(
        kind,
        value(properties, "pool", "layercake"),
        path(properties, "ceph-conf", "/etc/ceph/ceph.conf"),
        entity,
        path(properties, "keyring", keyring),
        directory,
        choice(ReplicaReads.class, properties, "replica-reads", ReplicaReads.AUTO));
  }

  private static String value(Properties properties, String key, String defaultValue) {
    return properties.getProperty(key, defaultValue).strip();
  }

  private static Path path(Properties properties, String key, String defaultValue)
      throws StoreException {
    try {
      return Path.of(value(properties, key, defaultValue));
    } catch (InvalidPathException e) {
      throw new StoreException(
          MISCONFIGURED, "cannot use configuration: \"" + key + "\" is not a path (correct it)", e);
    }
  }

  private static String expand(String text, String user, Path home) {
    return text.replace("{user}", user).replace("{home}", home.toString());
  }

  private static <E extends Enum<E>> E choice(
      Class<E> type, Properties properties, String key, E defaultValue) throws StoreException {
    String text = value(properties, key, word(defaultValue));
    for (E constant : type.getEnumConstants()) {
      if (word(constant).equals(text)) {
        return constant;
      }
    }
    throw new StoreException(
        MISCONFIGURED,
        "cannot use configuration: \""
            + key
            + " = "
            + text
            + "\" is not one of "
            + Arrays.stream(type.getEnumConstants())
                .map(StoreConfig::word)
                .collect(Collectors.joining(", ")));
  }

  private static String word(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }
}
