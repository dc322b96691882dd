package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.Digest;

/** A real registry, Debian's docker-registry, on a free port, and what is put into it. */
final class DockerRegistry implements AutoCloseable {
  private static final Pattern LISTENING = Pattern.compile("listening on 127\\.0\\.0\\.1:(\\d+)");
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  private final Process process;
  private final int port;

  private DockerRegistry(Process process, int port) {
    this.process = process;
    this.port = port;
  }

  /** Without encryption, open to all. */
  static DockerRegistry open(Path data) throws IOException {
    return start(data, "", "");
  }

  /**
   * Starts one.
   *
   * @param data where its images are, which several may share
   * @param http what else its configuration has below "http"
   * @param auth the same below "auth"
   */
  static DockerRegistry start(Path data, String http, String auth) throws IOException {
    Path config = Files.createTempFile(data.getParent(), "registry", ".yml");
    Files.writeString(
        config,
        "version: 0.1\nlog: {level: info}\nstorage:\n  filesystem: {rootdirectory: "
            + data
            + "}\nhttp:\n  addr: 127.0.0.1:0\n"
            + http
            + (auth.isEmpty() ? "" : "auth:\n" + auth));
    Process process =
        new ProcessBuilder("docker-registry", "serve", config.toString())
            .redirectErrorStream(true)
            .start();
    BufferedReader log = new BufferedReader(new InputStreamReader(process.getInputStream(), UTF_8));
    StringBuilder said = new StringBuilder();
    for (String line; (line = log.readLine()) != null; ) {
      said.append(line).append('\n');
      Matcher listening = LISTENING.matcher(line);
      if (listening.find()) {
        drain(process);
        return new DockerRegistry(process, Integer.parseInt(listening.group(1)));
      }
    }
    return fail("docker-registry has ended: " + said);
  }

  private static void drain(Process process) {
    Thread thread =
        new Thread(
            () -> {
              try {
                process.getInputStream().transferTo(OutputStream.nullOutputStream());
              } catch (IOException e) {
                // It has ended.
              }
            });
    thread.setDaemon(true);
    thread.start();
  }

  int port() {
    return port;
  }

  /** A reference to an image of it. */
  String reference(String name) {
    return "docker://127.0.0.1:" + port + "/" + name;
  }

  /** Stores a blob, and gives its descriptor. */
  String blob(String name, byte[] content, String mediaType) throws Exception {
    String digest = Digest.of(content).toString();
    HttpResponse<String> begun =
        send(request("/v2/" + name + "/blobs/uploads/").POST(BodyPublishers.noBody()));
    assertEquals(202, begun.statusCode(), begun.body());
    URI upload = URI.create(begun.headers().firstValue("Location").orElseThrow());
    URI whole = URI.create(upload + (upload.getQuery() == null ? "?" : "&") + "digest=" + digest);
    HttpResponse<String> done =
        send(HttpRequest.newBuilder(whole).PUT(BodyPublishers.ofByteArray(content)));
    assertEquals(201, done.statusCode(), done.body());
    return descriptor(mediaType, digest, content.length, "");
  }

  /** Stores a manifest under a tag, or the digest that it has, and gives its descriptor. */
  String manifest(String name, String tag, String json, String mediaType) throws Exception {
    String digest = Digest.of(json.getBytes(UTF_8)).toString();
    String path = "/v2/" + name + "/manifests/" + (tag.isEmpty() ? digest : tag);
    HttpResponse<String> done =
        send(
            request(path)
                .header("Content-Type", mediaType)
                .PUT(BodyPublishers.ofString(json, UTF_8)));
    assertEquals(201, done.statusCode(), done.body());
    return descriptor(mediaType, digest, json.length(), "");
  }

  static String descriptor(String mediaType, String digest, long size, String more) {
    return "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d%s}"
        .formatted(mediaType, digest, size, more);
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path));
  }

  private static HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
    return HTTP.send(request.build(), BodyHandlers.ofString());
  }

  @Override
  public void close() {
    process.destroy();
    process.onExit().join();
  }
}
