package org.layercake.launcher;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToLongFunction;
import org.layercake.launcher.image.ImagesStatus;
import org.layercake.launcher.job.NodeStatus;
import org.layercake.store.EventCounts;

/**
 * A node's figures in Prometheus' text format. No label names an image, a user or a job, so there
 * are as many series as the code has.
 */
final class Metrics {
  private final StringBuilder text = new StringBuilder(4096);

  private Metrics() {}

  static String of(NodeStatus node) {
    Metrics metrics = new Metrics();
    metrics.addStarts(node);
    metrics.addContainers(node);
    metrics.addImages(node.images());
    metrics.addEvents();
    return metrics.text.toString();
  }

  private void addStarts(NodeStatus node) {
    String name = "layercake_container_start_seconds";
    long ready = node.startsByCode().getOrDefault(0, 0L);
    head(name, "histogram", "How long jobs waited for a container that then was ready.");
    node.startsUpTo()
        .forEach((millis, count) -> line(name + "_bucket", "le", seconds(millis), count));
    line(name + "_bucket", "le", "+Inf", ready);
    text.append(name).append("_sum ").append(seconds(node.startMillis())).append('\n');
    text.append(name).append("_count ").append(ready).append('\n');
    String failures = "layercake_container_failures_total";
    head(failures, "counter", "Containers that could not be made, by exit code.");
    node.startsByCode().forEach((code, count) -> addFailure(failures, code, count));
  }

  private void addFailure(String name, int code, long count) {
    if (code != 0) {
      line(name, "code", Integer.toString(code), count);
    }
  }

  private static String seconds(long millis) {
    return Double.toString(millis / 1000.0);
  }

  private void addContainers(NodeStatus node) {
    long ready = node.containers().stream().filter(NodeStatus.OfContainer::isReady).count();
    String name = "layercake_containers";
    head(name, "gauge", "Containers that are ready, and those that somebody waits for.");
    line(name, "state", "ready", ready);
    line(name, "state", "starting", node.containers().size() - ready);
    gauge("layercake_jobs", "Jobs that the launcher knows.", node.jobs());
  }

  private void addImages(ImagesStatus images) {
    String name = "layercake_image_bytes_total";
    head(name, "counter", "Bytes of images that jobs got, by where these came from.");
    line(name, "origin", "store", images.total().fetched());
    line(name, "origin", "seed", images.total().copied());
    line(name, "origin", "cache", images.total().cached());
    gauge("layercake_cache_images", "Complete images in the cache.", images.cached().size());
    gauge("layercake_cache_bytes", "Bytes of images in the cache.", images.bytes());
    gauge("layercake_cache_budget_bytes", "What the cache can hold.", images.budgetBytes());
    gauge("layercake_fills", "Images that are being fetched.", images.filling().size());
    gauge(
        "layercake_fills_waiting",
        "Images that cannot be fetched at the moment.",
        images.filling().stream().filter(fill -> !fill.trouble().isEmpty()).count());
    gauge("layercake_image_servers", "Image servers that run.", images.servers().size());
    ToLongFunction<ImagesStatus.Served> memory = ImagesStatus.Served::memoryBytes;
    gauge(
        "layercake_image_server_memory_bytes",
        "Memory of all image servers.",
        images.servers().stream().mapToLong(memory).sum());
    gauge(
        "layercake_store_connected",
        "Whether the launcher has a connection to the store. It makes one when it needs it.",
        images.isConnected() ? 1 : 0);
  }

  private void addEvents() {
    String name = "layercake_events_total";
    head(name, "counter", "Lines of the log, by event; also those that were suppressed.");
    Map<String, Long> sorted = new TreeMap<>();
    EventCounts.all().forEach((event, count) -> sorted.put(event.label(), count));
    sorted.forEach((event, count) -> line(name, "event", event, count));
  }

  private void gauge(String name, String help, long value) {
    head(name, "gauge", help);
    text.append(name).append(' ').append(value).append('\n');
  }

  private void head(String name, String type, String help) {
    text.append("# HELP ").append(name).append(' ').append(help).append('\n');
    text.append("# TYPE ").append(name).append(' ').append(type).append('\n');
  }

  private void line(String name, String label, String value, long number) {
    text.append(name).append('{').append(label).append("=\"").append(value).append("\"} ");
    text.append(number).append('\n');
  }
}
