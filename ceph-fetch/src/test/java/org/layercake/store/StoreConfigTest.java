package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.layercake.store.StoreContract.assertKind;

import java.nio.file.Path;
import java.util.Optional;
import java.util.Properties;
import org.junit.jupiter.api.Test;

class StoreConfigTest {
  @Test
  void userAndNodeHaveTheirOwnDefaults() throws Exception {
    StoreConfig user = StoreConfig.from(new Properties(), "alice", Path.of("/home/alice"));
    assertEquals("client.layercake.alice", user.client());
    assertEquals(Path.of("/home/alice/.config/layercake/keyring"), user.keyring());
    StoreConfig node = StoreConfig.forNode(new Properties());
    assertEquals("client.layercake-node", node.client());
    assertEquals(StoreConfig.Kind.RADOS, node.kind());
    assertEquals(StoreConfig.ReplicaReads.AUTO, node.replicaReads());
  }

  @Test
  void userAndHomeAreFilledIn() throws Exception {
    Properties properties = new Properties();
    properties.setProperty("keyring", "{home}/keys/{user} ");
    properties.setProperty("store", "directory");
    properties.setProperty("directory", "/srv/store");
    StoreConfig config = StoreConfig.from(properties, "alice", Path.of("/h"));
    assertEquals(Path.of("/h/keys/alice"), config.keyring());
    assertEquals(Optional.of(Path.of("/srv/store")), config.directory());
  }

  @Test
  void badValuesAreNamed() {
    assertRefused("store", "floppy");
    assertRefused("store", "directory");
    assertRefused("replica-reads", "yes");
    assertRefused("client", "admin");
    Properties properties = new Properties();
    properties.setProperty("keyring", "/etc/a\0b");
    assertKind(StoreException.Kind.MISCONFIGURED, () -> StoreConfig.forNode(properties));
  }

  private static void assertRefused(String key, String value) {
    Properties properties = new Properties();
    properties.setProperty(key, value);
    StoreException e =
        assertKind(StoreException.Kind.MISCONFIGURED, () -> StoreConfig.forNode(properties));
    assertEquals(true, e.getMessage().contains(value), e.getMessage());
  }
}
