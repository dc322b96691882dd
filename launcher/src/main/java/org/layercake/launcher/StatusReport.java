package org.layercake.launcher;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.layercake.launcher.image.ImageKey;
import org.layercake.launcher.image.ImagesStatus;
import org.layercake.launcher.job.NodeStatus;
import org.layercake.store.EventCounts;
import org.layercake.store.LogEvent;
import org.layercake.store.Text;

/** What {@code layercake-launcher status} prints: for people, as JSON, or as metrics. */
final class StatusReport {
  /** In what form; the protocol has their numbers. */
  enum Form {
    TEXT(0),
    JSON(1),
    METRICS(2);

    final int number;

    Form(int number) {
      this.number = number;
    }
  }

  private StatusReport() {}

  static String of(NodeStatus node, Form form) {
    return switch (form) {
      case TEXT -> text(node);
      case JSON -> json(node);
      case METRICS -> Metrics.of(node);
    };
  }

  private static String text(NodeStatus node) {
    StringBuilder out = new StringBuilder(4096);
    ImagesStatus images = node.images();
    line(
        out,
        "store: %s, %s"
            .formatted(images.store(), images.isConnected() ? "connected" : "no connection"));
    line(out, "starts: %s".formatted(node.startsByCode().isEmpty() ? "none" : starts(node)));
    line(out, "jobs: %d".formatted(node.jobs()));
    for (NodeStatus.OfContainer each : node.containers()) {
      String state = each.isReady() ? "ready for " + each.seconds() + " s" : waiting(each);
      line(
          out,
          "  %d uid %d %s %s: %s"
              .formatted(each.job(), each.uid(), each.image(), brief(each.digest()), state));
    }
    line(
        out,
        "cache: %d images, %s of %s MB"
            .formatted(
                images.cached().size(),
                megabytes(images.bytes()),
                megabytes(images.budgetBytes())));
    for (ImagesStatus.Cached each : images.cached()) {
      long minutes = Duration.between(each.lastUsed(), Instant.now()).toMinutes();
      line(
          out,
          "  %s %s MB, used %d min ago, by %s"
              .formatted(
                  brief(each.image()),
                  megabytes(each.bytes()),
                  minutes,
                  each.users().isEmpty() ? "nobody now" : "uid " + each.users()));
    }
    line(out, "on their way: %d images".formatted(images.filling().size()));
    for (ImagesStatus.Filling each : images.filling()) {
      String there = megabytes(each.bytes() - each.missing());
      String trouble = each.trouble().isEmpty() ? "" : ": " + each.trouble();
      line(
          out,
          "  %s %s of %s MB%s"
              .formatted(brief(each.image()), there, megabytes(each.bytes()), trouble));
    }
    line(out, "image servers: %d".formatted(images.servers().size()));
    for (ImagesStatus.Served each : images.servers()) {
      line(
          out,
          "  %s uid %d, pid %d, %s MB, %d containers"
              .formatted(
                  brief(each.image()),
                  each.uid(),
                  each.pid(),
                  megabytes(each.memoryBytes()),
                  each.holds()));
    }
    List<String> errors = EventLayout.lastErrors();
    line(out, "last errors: %s".formatted(errors.isEmpty() ? "none" : ""));
    errors.forEach(error -> line(out, "  %s".formatted(error)));
    return out.toString();
  }

  private static String starts(NodeStatus node) {
    StringBuilder out = new StringBuilder();
    for (Map.Entry<Integer, Long> each : node.startsByCode().entrySet()) {
      out.append(out.length() == 0 ? "" : ", ").append(each.getValue());
      out.append(each.getKey() == 0 ? " ready" : " failed with " + each.getKey());
    }
    return out.toString();
  }

  private static String waiting(NodeStatus.OfContainer container) {
    return container.progress().isEmpty() ? "prepared" : container.progress();
  }

  private static void line(StringBuilder out, String line) {
    out.append(Text.clean(line)).append('\n');
  }

  private static String megabytes(long bytes) {
    return String.format("%.1f", bytes / 1e6);
  }

  private static String brief(ImageKey image) {
    return image.domain() + "/" + image.digest().hex().substring(0, 12);
  }

  private static String brief(String digest) {
    return digest.isEmpty() ? "" : digest.substring(0, "sha256:".length() + 12);
  }

  private static String json(NodeStatus node) {
    StringWriter text = new StringWriter(4096);
    try (JsonGenerator out = new JsonFactory().createGenerator(text)) {
      out.useDefaultPrettyPrinter();
      out.writeStartObject();
      out.writeNumberField("version", 1);
      out.writeNumberField("jobs", node.jobs());
      starts(out, node);
      list(out, "containers", node.containers(), StatusReport::write);
      ImagesStatus images = node.images();
      out.writeStringField("store", images.store());
      out.writeBooleanField("storeConnected", images.isConnected());
      out.writeObjectFieldStart("bytes");
      out.writeNumberField("fetched", images.total().fetched());
      out.writeNumberField("copied", images.total().copied());
      out.writeNumberField("cached", images.total().cached());
      out.writeEndObject();
      out.writeNumberField("cacheBytes", images.bytes());
      out.writeNumberField("cacheBudget", images.budgetBytes());
      list(out, "cache", images.cached(), StatusReport::write);
      list(out, "filling", images.filling(), StatusReport::write);
      list(out, "servers", images.servers(), StatusReport::write);
      out.writeObjectFieldStart("events");
      for (Map.Entry<LogEvent, Long> each : EventCounts.all().entrySet()) {
        out.writeNumberField(each.getKey().label(), each.getValue());
      }
      out.writeEndObject();
      list(out, "lastErrors", EventLayout.lastErrors(), JsonGenerator::writeString);
      out.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text + "\n";
  }

  private interface Item<T> {
    void write(JsonGenerator out, T item) throws IOException;
  }

  private static <T> void list(JsonGenerator out, String name, List<T> items, Item<T> item)
      throws IOException {
    out.writeArrayFieldStart(name);
    for (T one : items) {
      item.write(out, one);
    }
    out.writeEndArray();
  }

  private static void starts(JsonGenerator out, NodeStatus node) throws IOException {
    out.writeObjectFieldStart("starts");
    for (Map.Entry<Integer, Long> each : node.startsByCode().entrySet()) {
      out.writeNumberField(each.getKey().toString(), each.getValue());
    }
    out.writeEndObject();
    out.writeNumberField("startMillis", node.startMillis());
    out.writeObjectFieldStart("startsUpToMillis");
    for (Map.Entry<Long, Long> each : node.startsUpTo().entrySet()) {
      out.writeNumberField(each.getKey().toString(), each.getValue());
    }
    out.writeEndObject();
  }

  private static void write(JsonGenerator out, NodeStatus.OfContainer each) throws IOException {
    out.writeStartObject();
    out.writeNumberField("job", each.job());
    out.writeNumberField("uid", each.uid());
    out.writeStringField("image", each.image());
    out.writeStringField("digest", each.digest());
    out.writeNumberField("holder", each.holder());
    out.writeNumberField("seconds", each.seconds());
    out.writeStringField("progress", each.progress());
    out.writeEndObject();
  }

  private static void image(JsonGenerator out, ImageKey image) throws IOException {
    out.writeStringField("domain", image.domain());
    out.writeStringField("digest", image.digest().toString());
  }

  private static void write(JsonGenerator out, ImagesStatus.Cached each) throws IOException {
    out.writeStartObject();
    image(out, each.image());
    out.writeNumberField("size", each.bytes());
    out.writeStringField("lastUsed", each.lastUsed().toString());
    list(out, "users", List.copyOf(each.users()), (o, uid) -> o.writeNumber(uid));
    out.writeEndObject();
  }

  private static void write(JsonGenerator out, ImagesStatus.Filling each) throws IOException {
    out.writeStartObject();
    image(out, each.image());
    out.writeNumberField("size", each.bytes());
    out.writeNumberField("missing", each.missing());
    out.writeStringField("trouble", each.trouble());
    out.writeEndObject();
  }

  private static void write(JsonGenerator out, ImagesStatus.Served each) throws IOException {
    out.writeStartObject();
    image(out, each.image());
    out.writeNumberField("uid", each.uid());
    out.writeNumberField("pid", each.pid());
    out.writeNumberField("containers", each.holds());
    out.writeNumberField("memory", each.memoryBytes());
    out.writeEndObject();
  }
}
