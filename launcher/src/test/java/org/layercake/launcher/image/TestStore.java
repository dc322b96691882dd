package org.layercake.launcher.image;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Properties;
import org.layercake.store.Existing;
import org.layercake.store.Image;
import org.layercake.store.ImageConfig;
import org.layercake.store.ImageName;
import org.layercake.store.ImagePush;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreConfig;

/** A store in a directory, and images for it. */
public final class TestStore implements AutoCloseable {
  private final Path directory;
  private final StoreConfig config;
  private final ImageStore store;

  /** Opens the store in a directory that may be there. */
  public TestStore(Path directory) throws Exception {
    this.directory = Files.createDirectories(directory);
    Properties properties = new Properties();
    properties.setProperty("store", "directory");
    properties.setProperty("directory", directory.toString());
    this.config = StoreConfig.forNode(properties);
    this.store = ImageStore.open(config);
  }

  public StoreConfig config() {
    return config;
  }

  ImageStore store() {
    return store;
  }

  /** The directory of what this user has pushed. */
  Path domain(String user) {
    return directory.resolve("u." + user);
  }

  /** Pushes an image whose config has these variables, as a user. */
  public Image push(String user, String name, Path packed, String... environment) throws Exception {
    return push(user, name, packed, new ImageConfig(List.of(environment), "x86_64"));
  }

  /** Pushes an image as a user. */
  Image push(String user, String name, Path packed, ImageConfig config) throws Exception {
    ImageName image = ImageName.parse(name);
    try (ImagePush push = store.push(image, user, Existing.TRUST)) {
      push.complete(packed, config, (done, fresh) -> {});
    }
    return store.resolve(image, user);
  }

  @Override
  public void close() {
    store.close();
  }
}
