package org.layercake.launcher.job;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.layercake.launcher.edit.Mount;
import org.layercake.launcher.image.ImageKey;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.store.ImageName;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The images of a container on this node, mounted until closed: the one that it runs in, and those
 * that it mounts.
 */
final class ContainerImages implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(ContainerImages.class);

  private final Images.Mounted root;
  // By the names they were asked for. Added to by the one thread that mounts them.
  private final Map<ImageName, Images.Mounted> data = new LinkedHashMap<>();

  private ContainerImages(Images.Mounted root) {
    this.root = root;
  }

  /**
   * Makes all of them ready, one after the other, so that a container in the making is one thread.
   * Images of the site that cannot be had are left out, but for those that containers need.
   *
   * @param siteMounts asked for when the image is there that the container runs in
   * @param progress told lines for the user
   */
  static ContainerImages mount(
      Images images,
      Spec spec,
      Supplier<List<Mount>> siteMounts,
      Images.Reader reader,
      Consumer<String> progress)
      throws Abort, InterruptedException {
    ContainerImages mounted = new ContainerImages(images.mount(spec.image(), reader, progress));
    try {
      for (Spec.Mount mount : spec.mounts()) {
        mounted.add(images, mount, reader, progress);
      }
      for (Mount mount : siteMounts.get()) {
        mounted.addOfSite(images, mount, withoutRules(reader), progress);
      }
      return mounted;
    } catch (Throwable e) {
      mounted.close();
      throw e;
    }
  }

  /** The site's own mounts are not its rules' business. */
  private static Images.Reader withoutRules(Images.Reader reader) {
    return new Images.Reader(
        reader.user(), reader.uid(), reader.gid(), reader.job(), (image, runs, inGroup) -> {});
  }

  private void add(Images images, Spec.Mount mount, Images.Reader reader, Consumer<String> progress)
      throws Abort, InterruptedException {
    ImageName name = mount.image();
    if (name == null || data.containsKey(name)) {
      return;
    }
    try {
      data.put(name, images.mountData(name, reader, progress));
    } catch (Abort e) {
      throw named(name, e);
    }
  }

  private void addOfSite(
      Images images, Mount mount, Images.Reader reader, Consumer<String> progress)
      throws Abort, InterruptedException {
    try {
      add(images, Spec.Mount.of(mount), reader, progress);
    } catch (Abort e) {
      if (!mount.optional()) {
        throw e;
      }
      Event.SITE_IMAGE_LEFT_OUT
          .on(log)
          .addKeyValue("image", mount.image())
          .addKeyValue("uid", reader.uid())
          .addKeyValue("cause", e.getMessage())
          .log();
    }
  }

  /** Of several images, the line says which. */
  private static Abort named(ImageName name, Abort e) {
    String quoted = "image \"" + name + "\"";
    String line = e.getMessage().replaceFirst("\\bthe image\\b", quoted);
    if (!line.contains(name.name())) {
      line = "cannot mount " + quoted + ": " + line;
    }
    return new Abort(e.exitCode(), line, e.getCause());
  }

  /**
   * Takes up what an earlier launcher mounted, but for what is not whole any more; null when the
   * container's own is not.
   *
   * @param uid whose job has it
   */
  static ContainerImages mountedBefore(Images images, JobState.Running running, long uid)
      throws Abort, InterruptedException {
    Images.Mounted root = images.mountedBefore(running.image(), running.environment(), uid);
    if (root == null) {
      return null;
    }
    ContainerImages mounted = new ContainerImages(root);
    try {
      for (Map.Entry<ImageName, ImageKey> each : running.data().entrySet()) {
        Images.Mounted found = images.mountedBefore(each.getValue(), List.of(), uid);
        if (found != null) {
          mounted.data.put(each.getKey(), found);
        }
      }
      return mounted;
    } catch (Throwable e) {
      mounted.close();
      throw e;
    }
  }

  /** The one that the container runs in. */
  Images.Mounted root() {
    return root;
  }

  /** The others, by the names they were asked for. */
  Map<ImageName, ImageKey> data() {
    Map<ImageName, ImageKey> keys = new LinkedHashMap<>();
    data.forEach((name, mounted) -> keys.put(name, mounted.key()));
    return keys;
  }

  void forEachData(BiConsumer<ImageName, Images.Mounted> act) {
    data.forEach(act);
  }

  /** A mount with the path in place of its image; none where the site's image was left out. */
  Optional<Spec.Mount> place(Spec.Mount mount) {
    if (!mount.isImage()) {
      return Optional.of(mount);
    }
    return Optional.ofNullable(data.get(mount.image())).map(at -> mount.from(at.directory()));
  }

  private Stream<Images.Mounted> all() {
    return Stream.concat(Stream.of(root), data.values().stream());
  }

  /** Whether programs can read all of them. */
  boolean areAlive() {
    return all().allMatch(Images.Mounted::isAlive);
  }

  /** Whether one ceases to be alive within a time, for which this waits. */
  boolean endWithin(long millis) {
    return root.endsWithin(millis) || !areAlive();
  }

  @Override
  public void close() {
    all().forEach(Images.Mounted::close);
  }
}
