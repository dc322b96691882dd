package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.Signature;
import java.time.Instant;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Gives out tokens for a registry, as its specification of token authentication has it. */
final class TokenServer implements AutoCloseable {
  private static final Pattern SCOPE = Pattern.compile("scope=repository(?::|%3A)(.+?)(?::|%3A)");

  private final TlsIdentity identity;
  private final HttpsServer server;
  private final String login;

  private TokenServer(TlsIdentity identity, HttpsServer server, String login) {
    this.identity = identity;
    this.server = server;
    this.login = login;
  }

  /**
   * Starts one.
   *
   * @param login USER:PASSWORD that may have tokens
   */
  static TokenServer start(TlsIdentity identity, String login) throws Exception {
    HttpsServer server =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setHttpsConfigurator(new HttpsConfigurator(identity.context()));
    TokenServer tokens = new TokenServer(identity, server, login);
    server.createContext("/token", tokens::answer);
    server.start();
    return tokens;
  }

  /** What a registry's configuration has below "auth" for it. */
  String yaml() {
    return "  token: {realm: 'https://127.0.0.1:"
        + server.getAddress().getPort()
        + "/token', service: test, issuer: tester, rootcertbundle: "
        + identity.pem("cert")
        + "}\n";
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String wanted = "Basic " + Base64.getEncoder().encodeToString(login.getBytes(UTF_8));
      if (!wanted.equals(exchange.getRequestHeaders().getFirst("Authorization"))) {
        RegistryProxy.status(
            exchange, 401, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"who?\"}]}");
        return;
      }
      Matcher scope = SCOPE.matcher(exchange.getRequestURI().getRawQuery());
      String name = scope.find() ? scope.group(1).replace("%2F", "/") : "";
      RegistryProxy.status(exchange, 200, "{\"token\":\"" + token(name) + "\"}");
    }
  }

  private String token(String name) throws IOException {
    try {
      long now = Instant.now().getEpochSecond();
      String certificate = Base64.getEncoder().encodeToString(identity.certificate());
      String signed =
          part("{\"typ\":\"JWT\",\"alg\":\"RS256\",\"x5c\":[\"" + certificate + "\"]}")
              + "."
              + part(
                  ("{\"iss\":\"tester\",\"sub\":\"alice\",\"aud\":\"test\",\"jti\":\"1\","
                          + "\"iat\":%d,\"nbf\":%d,\"exp\":%d,\"access\":[{\"type\":\"repository\","
                          + "\"name\":\"%s\",\"actions\":[\"pull\"]}]}")
                      .formatted(now, now - 60, now + 300, name));
      Signature signature = Signature.getInstance("SHA256withRSA");
      signature.initSign(identity.key());
      signature.update(signed.getBytes(UTF_8));
      return signed
          + "."
          + Base64.getUrlEncoder().withoutPadding().encodeToString(signature.sign());
    } catch (Exception e) {
      throw new IOException(e);
    }
  }

  private static String part(String json) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(json.getBytes(UTF_8));
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
