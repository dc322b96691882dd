package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Stands before a registry, notes what is asked, and answers some of it otherwise. */
final class RegistryProxy implements AutoCloseable {
  /** Another answer than the registry's. */
  interface Fault {
    /** Whether it has answered. */
    boolean answers(HttpExchange exchange) throws Exception;
  }

  private static final HttpClient HTTP = HttpClient.newHttpClient();

  private final int registry;
  private final HttpServer server;
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final List<String> requests = new ArrayList<>();
  private final List<String> authorizations = new ArrayList<>();
  private volatile Fault fault = exchange -> false;

  private RegistryProxy(int registry, HttpServer server) {
    this.registry = registry;
    this.server = server;
  }

  /**
   * Starts one. With TLS, since clients try that first, and the JDK's server without it lets them
   * wait.
   *
   * @param registry the port of what it stands before
   */
  static RegistryProxy before(int registry, TlsIdentity identity) throws Exception {
    HttpsServer server =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setHttpsConfigurator(new HttpsConfigurator(identity.context()));
    RegistryProxy proxy = new RegistryProxy(registry, server);
    server.createContext("/", proxy::answer);
    server.setExecutor(proxy.threads);
    server.start();
    return proxy;
  }

  int port() {
    return server.getAddress().getPort();
  }

  String reference(String name) {
    return "docker://127.0.0.1:" + port() + "/" + name;
  }

  void have(Fault newFault) {
    fault = newFault;
  }

  /** What has been asked for with such a path since the last call. */
  synchronized List<String> asked(String part) {
    List<String> found = requests.stream().filter(path -> path.contains(part)).toList();
    requests.clear();
    return found;
  }

  /** What has come as authorization. */
  synchronized List<String> authorizations() {
    return List.copyOf(authorizations);
  }

  private synchronized void note(HttpExchange exchange) {
    requests.add(exchange.getRequestURI().getPath());
    String authorization = exchange.getRequestHeaders().getFirst("Authorization");
    if (authorization != null) {
      authorizations.add(authorization);
    }
  }

  private void answer(HttpExchange exchange) {
    try (exchange) {
      note(exchange);
      if (!fault.answers(exchange)) {
        forward(exchange);
      }
    } catch (Exception e) {
      // Who asked has gone, as some of the faults have it.
    }
  }

  private void forward(HttpExchange exchange) throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(
                URI.create("http://127.0.0.1:" + registry + exchange.getRequestURI()))
            .method(exchange.getRequestMethod(), HttpRequest.BodyPublishers.noBody());
    for (String header : List.of("Accept", "Range")) {
      List<String> values = exchange.getRequestHeaders().get(header);
      for (String value : values == null ? List.<String>of() : values) {
        request.header(header, value);
      }
    }
    HttpResponse<InputStream> answer =
        HTTP.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
    for (String header : List.of("Content-Type", "Docker-Content-Digest", "Content-Range")) {
      answer
          .headers()
          .firstValue(header)
          .ifPresent(v -> exchange.getResponseHeaders().set(header, v));
    }
    long length = answer.headers().firstValueAsLong("Content-Length").orElse(0);
    boolean isHead = exchange.getRequestMethod().equals("HEAD");
    exchange.sendResponseHeaders(answer.statusCode(), isHead || length == 0 ? -1 : length);
    if (!isHead) {
      answer.body().transferTo(exchange.getResponseBody());
    }
  }

  /** Answers with a status and a text. */
  static void status(HttpExchange exchange, int status, String body) throws IOException {
    byte[] bytes = body.getBytes(UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  @Override
  public void close() {
    server.stop(0);
    threads.shutdownNow();
  }
}
