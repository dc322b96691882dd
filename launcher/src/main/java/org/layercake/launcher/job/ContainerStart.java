package org.layercake.launcher.job;

import java.util.List;
import org.layercake.launcher.image.Bytes;
import org.layercake.launcher.image.ImageKey;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.ImageUse;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * What the start of a container was, for whoever counts.
 *
 * @param asked the image as the job asked for it
 * @param devices that were asked for
 * @param profiles that were asked for, or to do without
 * @param millis from when somebody wanted it to when it was ready
 * @param imageMillis from when the launcher heard of it to when its images were mounted
 */
record ContainerStart(
    JobKey job,
    ImageName asked,
    ImageKey image,
    long millis,
    long imageMillis,
    Bytes bytes,
    List<String> devices,
    List<String> profiles,
    boolean writable,
    boolean root) {

  /** With its owner and its tag. */
  static String name(ImageName asked, ImageKey image) {
    return ImageStore.owner(image.domain()) + "/" + asked.tagged();
  }

  /** Its fields in the log, but for the job's. */
  LoggingEventBuilder in(LoggingEventBuilder line) {
    LoggingEventBuilder start =
        image(line, asked, image)
            .addKeyValue("millis", millis)
            .addKeyValue("image-millis", imageMillis);
    LoggingEventBuilder all =
        bytes(start, bytes).addKeyValue("writable", writable).addKeyValue("root", root);
    return list(list(all, "devices", devices), "profiles", profiles);
  }

  private static LoggingEventBuilder list(
      LoggingEventBuilder line, String field, List<String> items) {
    return items.isEmpty() ? line : line.addKeyValue(field, String.join(",", items));
  }

  static LoggingEventBuilder image(LoggingEventBuilder line, ImageName asked, ImageKey image) {
    return line.addKeyValue("image", name(asked, image)).addKeyValue("digest", image.digest());
  }

  static LoggingEventBuilder bytes(LoggingEventBuilder line, Bytes bytes) {
    return line.addKeyValue("fetched", bytes.fetched())
        .addKeyValue("copied", bytes.copied())
        .addKeyValue("cached", bytes.cached());
  }

  /** For Slurm's record of the job. */
  ImageUse use(String node) {
    return new ImageUse(
        name(asked, image),
        image.digest().toString(),
        node,
        millis,
        bytes.fetched(),
        bytes.copied(),
        bytes.cached(),
        devices);
  }
}
