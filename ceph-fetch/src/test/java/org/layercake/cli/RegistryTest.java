package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.layercake.store.Digest;
import org.layercake.store.TestJvm;

/** Pushes from a real registry, with a proxy before it where something is to go wrong. */
class RegistryTest extends CommandTest {
  private static final String OCI = "application/vnd.oci.image.";
  private static final String MANIFEST = OCI + "manifest.v1+json";
  private static final String INDEX = OCI + "index.v1+json";
  private static final String CONFIG = OCI + "config.v1+json";
  private static final String TAR = OCI + "layer.v1.tar";
  private static final String PLAIN = "--tls-verify=false";

  /** Of "alice:secret", as htpasswd(1) writes it. */
  private static final String HTPASSWD =
      "alice:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

  private static TlsIdentity identity;

  private Path home;
  private Path data;
  private DockerRegistry registry;
  private final List<AutoCloseable> opened = new ArrayList<>();

  @BeforeAll
  static void makeIdentity(@TempDir Path directory) throws Exception {
    identity = TlsIdentity.make(directory);
  }

  @BeforeEach
  void startRegistry() throws Exception {
    home = Files.createDirectories(work.resolve("home"));
    Path containers = Files.createDirectories(home.resolve(".config/containers"));
    Files.writeString(
        containers.resolve("policy.json"), "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}");
    environment.put("HOME", home.toString());
    environment.put("XDG_RUNTIME_DIR", Files.createDirectory(work.resolve("run")).toString());
    data = Files.createDirectory(work.resolve("registry"));
    registry = open(DockerRegistry.open(data));
  }

  @AfterEach
  void stop() throws Exception {
    for (int i = opened.size() - 1; i >= 0; i--) {
      opened.get(i).close();
    }
  }

  private <T extends AutoCloseable> T open(T server) {
    opened.add(server);
    return server;
  }

  // --- images

  private static byte[] random(int size, int seed) {
    byte[] bytes = new byte[size];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  /** A layer with one file of random bytes, of a program's compression. */
  private byte[] layer(String file, int size, String... program) throws Exception {
    Path tree = Files.createTempDirectory(work, "layer");
    Files.write(tree.resolve(file), random(size, file.hashCode()));
    Path tar = work.resolve(tree.getFileName() + ".tar");
    run("tar", "-C", tree.toString(), "--mtime=@1", "-cf", tar.toString(), file);
    if (program.length == 0) {
      return Files.readAllBytes(tar);
    }
    List<String> command = new ArrayList<>(List.of(program));
    command.add(tar.toString());
    return run(command.toArray(String[]::new));
  }

  private byte[] zipped(String file, int size) throws Exception {
    return layer(file, size, "gzip", "-nc");
  }

  /** Puts an image of gzip layers there; gives its manifest's descriptor. */
  private String image(String name, String tag, String architecture, byte[]... layers)
      throws Exception {
    List<String> described = new ArrayList<>();
    for (byte[] layer : layers) {
      described.add(registry.blob(name, layer, TAR + "+gzip"));
    }
    return image(name, tag, architecture, described);
  }

  private String image(String name, String tag, String architecture, List<String> layers)
      throws Exception {
    String config =
        "{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"Env\":[\"A=b\"],\"Cmd\":[\"a\"],\"Labels\":{\"l\":\"m\"}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}"
            .formatted(
                architecture,
                String.join(
                    ",", layers.stream().map(l -> "\"sha256:" + "0".repeat(64) + "\"").toList()));
    String described = registry.blob(name, config.getBytes(UTF_8), CONFIG);
    return registry.manifest(name, tag, manifest(described, layers), MANIFEST);
  }

  private static String manifest(String config, List<String> layers) {
    return "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[%s],\"annotations\":{\"org.example.made\":\"today\"}}"
        .formatted(MANIFEST, config, String.join(",", layers));
  }

  private static String digestOf(String descriptor) {
    return descriptor.replaceAll("(?s).*\"digest\":\"([^\"]+)\".*", "$1");
  }

  // --- pushes

  private int pushed(String... arguments) {
    String[] all = new String[arguments.length + 1];
    all[0] = "push";
    System.arraycopy(arguments, 0, all, 1, arguments.length);
    return layercake(all);
  }

  private void assertPushed(String... arguments) {
    assertEquals(0, pushed(arguments), this::said);
  }

  /** One line says what is wrong, and there is no image. */
  private void assertFailed(int code, String words, String... arguments) {
    assertEquals(code, pushed(arguments), this::said);
    List<String> lines =
        complaints().stream().filter(line -> line.startsWith("layercake: cannot ")).toList();
    assertEquals(1, lines.size(), this::said);
    assertTrue(lines.get(0).contains(words), this::said);
    assertEquals("", printed(), this::said);
  }

  private List<Path> temporary() throws IOException {
    try (Stream<Path> files = Files.list(Path.of(environment.get("TMPDIR")))) {
      return files.toList();
    }
  }

  private String inspected(String name) {
    assertEquals(0, layercake("inspect", name), this::said);
    return printed();
  }

  @Test
  void anImageIsTheSameAsFromALayoutAndIsRemembered() throws Exception {
    Path layout = work.resolve("layout");
    run("python3", "src/test/resources/oci_layout.py", layout.toString(), "good", "300");
    String same = push(layout);
    run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        "--dest-tls-verify=false",
        "oci:" + layout + ":t",
        registry.reference("team/tools:1.2"));
    assertPushed(PLAIN, registry.reference("team/tools:1.2"));
    assertEquals(same, pushedDigest());
    assertTrue(printed().startsWith("pushed alice/tools:1.2@"), this::said);
    String shown = inspected("tools:1.2");
    for (String line :
        List.of(
            "environment   A=b c",
            "label         org.example=x y",
            "source        " + registry.reference("team/tools:1.2") + "@sha256:")) {
      assertTrue(shown.contains(line), shown);
    }
    assertEquals(5, shown.lines().filter(line -> line.startsWith("layer  ")).count(), shown);
  }

  @Test
  void whatIsKnownIsNotFetchedAgain() throws Exception {
    String descriptor = image("x", "1", "amd64", zipped("a", 100_000), zipped("b", 50_000));
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    assertPushed(PLAIN, proxy.reference("x:1"), "mine:1");
    String digest = pushedDigest();
    assertEquals(3, new HashSet<>(proxy.asked("/blobs/")).size(), "two layers, a configuration");
    assertPushed(PLAIN, proxy.reference("x:1"));
    assertEquals(List.of(), proxy.asked("/blobs/"));
    assertTrue(
        printed().matches("pushed alice/x:1@" + digest + " \\S+ kB, 0 B new \\(0 %\\)\n"),
        this::said);
    assertPushed(PLAIN, proxy.reference("x@" + digestOf(descriptor)), "mine:2");
    assertEquals(List.of(), proxy.asked("/blobs/"));
    String shown = inspected("mine:1");
    assertTrue(
        shown.contains("source        " + proxy.reference("x@")), "the last push counts: " + shown);
    assertTrue(shown.contains("annotation    org.example.made=today"), shown);
    assertPushed("--repair", PLAIN, proxy.reference("x:1"));
    assertEquals(2, proxy.asked("/blobs/").stream().filter(p -> !p.contains("config")).count() - 1);
    image("x", "1", "amd64", zipped("a", 100_000), zipped("c", 50_000));
    assertPushed(PLAIN, proxy.reference("x:1"));
    assertNotEquals(digest, pushedDigest(), "the tag has moved in the registry");
    assertEquals(0, layercake("rm", "x:1"));
    assertEquals(0, layercake("inspect", "--json", "mine:2"), this::said);
    assertTrue(printed().contains("\"manifest\" : \"" + digestOf(descriptor) + "\""), this::said);
  }

  @Test
  void layersOfAnyCompressionAreTakenAsTheyAre() throws Exception {
    image("x", "gzip", "amd64", zipped("a", 100_000));
    assertPushed(PLAIN, registry.reference("x:gzip"), "t");
    String digest = pushedDigest();
    String zstd = registry.blob("x", layer("a", 100_000, "zstd", "-qc"), TAR + "+zstd");
    image("x", "zstd", "amd64", List.of(zstd));
    String plain = registry.blob("x", layer("a", 100_000), TAR);
    image("x", "plain", "amd64", List.of(plain));
    for (String tag : List.of("zstd", "plain")) {
      assertPushed(PLAIN, registry.reference("x:" + tag), "t");
      assertEquals(digest, pushedDigest(), tag);
    }
    assertTrue(inspected("t").contains(digestOf(plain)), this::said);
  }

  @Test
  void ofAListTheImageOfTheArchitectureIsTaken() throws Exception {
    String ours = image("x", "", "amd64", zipped("amd", 10_000));
    String newer = image("x", "", "amd64", zipped("amd3", 10_000));
    String other = image("x", "", "arm64", zipped("arm", 10_000));
    String statement =
        registry.manifest(
            "x",
            "",
            manifest(
                registry.blob("x", "{}".getBytes(UTF_8), CONFIG),
                List.of(
                    registry.blob(
                        "x", "{\"a\":1}".getBytes(UTF_8), "application/vnd.in-toto+json"))),
            MANIFEST);
    String list =
        registry.manifest(
            "x",
            "all",
            list(
                platform(statement, "unknown\",\"os\":\"unknown"),
                platform(newer, "amd64\",\"os\":\"linux\",\"variant\":\"v3"),
                platform(ours, "amd64\",\"os\":\"linux"),
                platform(other, "arm64\",\"os\":\"linux\",\"variant\":\"v8")),
            INDEX);
    assertPushed(PLAIN, registry.reference("x:all"));
    String shown = inspected("x:all");
    assertTrue(
        shown.contains("source        " + registry.reference("x:all@") + digestOf(list)), shown);
    assertTrue(shown.contains("manifest      " + digestOf(ours)), shown);
    assertPushed(PLAIN, "--arch=aarch64", registry.reference("x:all"), "x:arm");
    assertTrue(inspected("x:arm").contains("architecture  aarch64\n"), this::said);
    assertPushed(PLAIN, "--arch=amd64/v3", registry.reference("x:all"), "x:v3");
    assertTrue(inspected("x:v3").contains("manifest      " + digestOf(newer)), this::said);
    assertFailed(
        65,
        "it has no image for ppc64le, but for amd64, amd64/v3, arm64/v8 (",
        PLAIN,
        "--arch=ppc64le",
        registry.reference("x:all"));
    assertFailed(
        65, "it is for arm64, not amd64 (", PLAIN, registry.reference("x@" + digestOf(other)), "y");
    assertEquals(List.of(), temporary());
  }

  private static String list(String... images) {
    return "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}"
        .formatted(INDEX, String.join(",", images));
  }

  private static String platform(String descriptor, String platform) {
    return descriptor.substring(0, descriptor.length() - 1)
        + ",\"platform\":{\"architecture\":\""
        + platform
        + "\"}}";
  }

  // --- who may

  @Test
  void certificatesAreChecked() throws Exception {
    image("x", "1", "amd64", zipped("a", 1000));
    DockerRegistry tls = open(DockerRegistry.start(data, identity.yaml(), ""));
    assertFailed(78, "certs.d/127.0.0.1:" + tls.port(), tls.reference("x:1"));
    assertPushed(PLAIN, tls.reference("x:1"), "unchecked");
    trust(tls.port());
    assertPushed(tls.reference("x:1"));
    assertFailed(78, "--tls-verify=false", registry.reference("x:1"));
  }

  private void trust(int port) throws IOException {
    Path place =
        Files.createDirectories(home.resolve(".config/containers/certs.d/127.0.0.1:" + port));
    Files.copy(identity.pem("cert"), place.resolve("ca.crt"));
  }

  private static String credentials(int port, String login) {
    return "{\"auths\":{\"127.0.0.1:%d\":{\"auth\":\"%s\"}}}"
        .formatted(port, Base64.getEncoder().encodeToString(login.getBytes(UTF_8)));
  }

  @Test
  void credentialsAreTakenFromWhereOthersPutThem() throws Exception {
    image("x", "1", "amd64", zipped("a", 1000));
    Path htpasswd = Files.writeString(work.resolve("htpasswd"), HTPASSWD);
    DockerRegistry guarded =
        open(
            DockerRegistry.start(
                data, identity.yaml(), "  htpasswd: {realm: r, path: " + htpasswd + "}\n"));
    trust(guarded.port());
    String image = guarded.reference("x:1");
    assertFailed(77, "skopeo login 127.0.0.1:" + guarded.port(), image);
    assertTrue(said().contains(work.resolve("run") + "/containers/auth.json"), this::said);
    String good = credentials(guarded.port(), "alice:secret");
    Path own = Files.writeString(work.resolve("own.json"), good);
    assertPushed("--authfile", own.toString(), image, "t");
    assertFailed(66, "check --authfile", "--authfile", work.resolve("none") + "", image);
    Path docker = Files.createDirectory(home.resolve(".docker")).resolve("config.json");
    Files.writeString(docker, good);
    assertPushed(image, "t");
    Files.writeString(docker, credentials(guarded.port(), "alice:wrong"));
    assertFailed(77, "log in: ", image, "t");
    Path podman = Files.createDirectory(work.resolve("run/containers")).resolve("auth.json");
    Files.writeString(podman, good);
    assertPushed(image, "t");
    Files.delete(podman);
    environment.put("REGISTRY_AUTH_FILE", own.toString());
    assertPushed(image, "t");
    Files.writeString(own, "{ nonsense");
    assertEquals(78, pushed(image, "t"), this::said);
  }

  @Test
  void credentialHelpersAreAsked() throws Exception {
    image("x", "1", "amd64", zipped("a", 1000));
    Path htpasswd = Files.writeString(work.resolve("htpasswd"), HTPASSWD);
    DockerRegistry guarded =
        open(DockerRegistry.start(data, "", "  htpasswd: {realm: r, path: " + htpasswd + "}\n"));
    Path docker = Files.createDirectory(home.resolve(".docker")).resolve("config.json");
    Files.writeString(docker, "{\"credHelpers\":{\"127.0.0.1:" + guarded.port() + "\":\"test\"}}");
    assertFailed(78, "credential", PLAIN, guarded.reference("x:1"));
    Path helper = Files.createDirectory(work.resolve("bin")).resolve("docker-credential-test");
    Files.writeString(
        helper,
        "#!/bin/sh\necho '{\"ServerURL\":\"x\",\"Username\":\"alice\",\"Secret\":\"secret\"}'\n");
    run("chmod", "+x", helper.toString());
    environment.put("PATH", work.resolve("bin") + ":" + System.getenv("PATH"));
    assertPushed(PLAIN, guarded.reference("x:1"));
  }

  @Test
  void tokensAreAskedFor() throws Exception {
    image("team/x", "1", "amd64", zipped("a", 1000), zipped("b", 1000));
    TokenServer tokens = open(TokenServer.start(identity, "alice:secret"));
    DockerRegistry guarded = open(DockerRegistry.start(data, identity.yaml(), tokens.yaml()));
    trust(guarded.port());
    String image = guarded.reference("team/x:1");
    assertFailed(77, "log in: skopeo login 127.0.0.1:" + guarded.port(), image);
    Path own =
        Files.writeString(work.resolve("own.json"), credentials(guarded.port(), "alice:secret"));
    assertPushed("--authfile", own.toString(), image);
    Files.writeString(own, credentials(guarded.port(), "alice:wrong"));
    assertFailed(77, "log in: ", "--authfile", own.toString(), image);
  }

  @Test
  void authorizationDoesNotFollowARedirectToAnotherHost() throws Exception {
    image("x", "1", "amd64", zipped("a", 1000));
    RegistryProxy elsewhere = open(RegistryProxy.before(registry.port(), identity));
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    proxy.have(
        exchange -> {
          if (exchange.getRequestHeaders().getFirst("Authorization") == null) {
            exchange.getResponseHeaders().set("WWW-Authenticate", "Basic realm=\"r\"");
            RegistryProxy.status(exchange, 401, "{}");
            return true;
          }
          String path = exchange.getRequestURI().getPath();
          if (!path.contains("/blobs/")) {
            return false;
          }
          exchange
              .getResponseHeaders()
              .set("Location", "https://localhost:" + elsewhere.port() + path);
          RegistryProxy.status(exchange, 307, "");
          return true;
        });
    Path own =
        Files.writeString(work.resolve("own.json"), credentials(proxy.port(), "alice:secret"));
    assertPushed(PLAIN, "--authfile", own.toString(), proxy.reference("x:1"));
    assertFalse(proxy.authorizations().isEmpty());
    assertEquals(2, elsewhere.asked("/blobs/").size());
    assertEquals(List.of(), elsewhere.authorizations());
  }

  @Test
  void theMachinesRulesHold() throws Exception {
    image("x", "1", "amd64", zipped("a", 1000));
    Path containers = home.resolve(".config/containers");
    Files.writeString(
        containers.resolve("registries.conf"),
        "[[registry]]\nlocation = \"blocked.example\"\nblocked = true\n"
            + "[[registry]]\nlocation = \"far.example\"\n[[registry.mirror]]\nlocation ="
            + " \"127.0.0.1:"
            + registry.port()
            + "\"\ninsecure = true\n");
    assertFailed(77, "blocked.example is blocked in ", "docker://blocked.example/x:1");
    assertPushed("docker://far.example/x:1");
    assertTrue(inspected("x:1").contains("source        docker://far.example/x:1@"), this::said);
    Files.writeString(containers.resolve("policy.json"), "{\"default\":[{\"type\":\"reject\"}]}");
    assertPushed(PLAIN, registry.reference("x:1"), "passed");
    image("x", "2", "amd64", zipped("b", 1000));
    assertFailed(77, "policy.json", PLAIN, registry.reference("x:2"), "rejected");
    Files.writeString(containers.resolve("policy.json"), "nonsense");
    assertFailed(78, "correct that policy.json", PLAIN, registry.reference("x:2"), "rejected");
    assertEquals(List.of(), temporary());
  }

  // --- what goes wrong

  @ParameterizedTest
  @CsvSource({
    "401, 77, 'log in: ', 'log in: '",
    "403, 77, 'log in: ', 'log in: '",
    "404, 66, 'check name and tag', 'lacks a part of the image'",
    "429, 75, 'limits how much is asked', 'limits how much is asked'",
    "500, 75, 'try again', 'try again'",
    "503, 75, 'try again', 'try again'",
  })
  void whatARegistryAnswersIsExplained(int status, int code, String ofManifest, String ofBlob)
      throws Exception {
    image("x", "1", "amd64", zipped("a", 1000));
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    proxy.have(exchange -> answered(exchange, "/manifests/", status));
    assertFailed(code, ofManifest, PLAIN, proxy.reference("x:1"));
    proxy.have(exchange -> answered(exchange, "/blobs/", status));
    assertFailed(code, ofBlob, PLAIN, proxy.reference("x:1"));
    assertEquals(List.of(), temporary());
  }

  private static boolean answered(HttpExchange exchange, String where, int status)
      throws IOException {
    if (!exchange.getRequestURI().getPath().contains(where)) {
      return false;
    }
    exchange.getResponseHeaders().set("WWW-Authenticate", "Basic realm=\"r\"");
    exchange.getResponseHeaders().set("Retry-After", "1");
    String body = "{\"errors\":[{\"code\":\"%s\",\"message\":\"m\"}]}";
    String reason =
        switch (status) {
          case 401 -> "UNAUTHORIZED";
          case 403 -> "DENIED";
          case 404 -> where.contains("blobs") ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN";
          case 429 -> "TOOMANYREQUESTS";
          default -> "UNKNOWN";
        };
    RegistryProxy.status(exchange, status, body.formatted(reason));
    return true;
  }

  @Test
  void aPushThatWasCutOffGoesOn() throws Exception {
    byte[] first = zipped("first", 200_000);
    byte[] second = zipped("second", 200_000);
    image("x", "1", "amd64", first, second);
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    Path tmp = Path.of(environment.get("TMPDIR"));
    String firstHex = Digest.of(first).hex();
    proxy.have(
        exchange -> {
          if (!exchange.getRequestURI().getPath().contains(Digest.of(second).hex())) {
            return false;
          }
          while (!isThere(tmp, firstHex)) {
            Thread.sleep(10);
          }
          exchange.sendResponseHeaders(200, second.length);
          exchange.getResponseBody().write(Arrays.copyOf(second, second.length / 2));
          exchange.getResponseBody().flush();
          return true;
        });
    assertFailed(75, "what has arrived is not fetched again", PLAIN, proxy.reference("x:1"));
    assertTrue(said().contains("1 of 2 layers stay for a day in " + tmp), this::said);
    assertEquals(1, temporary().size());
    proxy.asked("");
    proxy.have(exchange -> false);
    assertPushed(PLAIN, proxy.reference("x:1"));
    assertTrue(said().contains("200 kB of it here already"), this::said);
    List<String> asked = proxy.asked("/blobs/");
    assertTrue(asked.stream().noneMatch(path -> path.contains(firstHex)), asked::toString);
    assertEquals(List.of(), temporary());
  }

  private static boolean isThere(Path tmp, String hex) throws IOException {
    try (Stream<Path> files = Files.walk(tmp)) {
      return files.anyMatch(file -> file.getFileName().toString().equals(hex));
    } catch (UncheckedIOException e) {
      return false; // something has got its name meanwhile
    }
  }

  @Test
  void aBlobThatIsCutOffOnceIsFetchedAllTheSame() throws Exception {
    byte[] layer = zipped("long", 6 << 20);
    image("x", "1", "amd64", layer);
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    String hex = Digest.of(layer).hex();
    AtomicBoolean isCut = new AtomicBoolean();
    proxy.have(
        exchange -> {
          boolean isFirst =
              exchange.getRequestURI().getPath().contains(hex) && !isCut.getAndSet(true);
          if (isFirst) {
            exchange.sendResponseHeaders(200, layer.length);
            exchange.getResponseBody().write(Arrays.copyOf(layer, 4 << 20));
            exchange.getResponseBody().flush();
          }
          return isFirst;
        });
    assertPushed(PLAIN, proxy.reference("x:1"));
    assertEquals(2, proxy.asked(hex).size());
  }

  @Test
  void otherBytesThanTheDigestsAreRefused() throws Exception {
    byte[] layer = zipped("a", 100_000);
    String descriptor = image("x", "1", "amd64", layer, zipped("b", 1000));
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    byte[] wrong = layer.clone();
    wrong[50_000] ^= 1;
    proxy.have(exchange -> isAnswered(exchange, Digest.of(layer).hex(), wrong));
    assertFailed(65, "sends other bytes than it names", PLAIN, proxy.reference("x:1"));
    assertEquals(List.of(), temporary());
    byte[] manifest = "{\"schemaVersion\":2}".getBytes(UTF_8);
    proxy.have(exchange -> isAnswered(exchange, "/manifests/", manifest));
    assertFailed(
        65, "sends other bytes than it names", PLAIN, proxy.reference("x@" + digestOf(descriptor)));
    assertFailed(65, "its manifest is not that of an image", PLAIN, proxy.reference("x:1"));
    byte[] old = "{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[]}".getBytes(UTF_8);
    proxy.have(exchange -> isAnswered(exchange, "/manifests/", old));
    assertEquals(65, pushed(PLAIN, proxy.reference("x:1")), this::said);
    proxy.have(exchange -> isAnswered(exchange, "/manifests/", "no JSON".getBytes(UTF_8)));
    assertEquals(65, pushed(PLAIN, proxy.reference("x:1")), this::said);
    proxy.have(exchange -> isAnswered(exchange, "/manifests/", new byte[5 << 20]));
    assertEquals(65, pushed(PLAIN, proxy.reference("x:1")), this::said);
  }

  private static boolean isAnswered(HttpExchange exchange, String part, byte[] body)
      throws IOException {
    if (!exchange.getRequestURI().getPath().contains(part)) {
      return false;
    }
    exchange.getResponseHeaders().set("Content-Type", MANIFEST);
    exchange.sendResponseHeaders(200, body.length);
    exchange.getResponseBody().write(body);
    return true;
  }

  @Test
  void moreThanTheManifestSaysIsNotTaken() throws Exception {
    byte[] layer = zipped("a", 1000);
    image("x", "1", "amd64", layer);
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    proxy.have(
        exchange -> {
          if (!exchange.getRequestURI().getPath().contains(Digest.of(layer).hex())) {
            return false;
          }
          exchange.sendResponseHeaders(200, 0); // of no said length
          OutputStream body = exchange.getResponseBody();
          byte[] some = new byte[1 << 16];
          while (true) {
            body.write(some);
          }
        });
    assertFailed(65, "more has come than the ", PLAIN, proxy.reference("x:1"));
    assertEquals(List.of(), temporary());
  }

  @Test
  void whatHasNoRoomIsNotBegun() throws Exception {
    String config = registry.blob("x", "{}".getBytes(UTF_8), CONFIG);
    String layer =
        DockerRegistry.descriptor(TAR + "+gzip", "sha256:" + "a".repeat(64), 1L << 50, "");
    byte[] manifest = manifest(config, List.of(layer)).getBytes(UTF_8);
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    proxy.have(exchange -> isAnswered(exchange, "/manifests/", manifest));
    assertFailed(73, "(set TMPDIR to a larger place)", PLAIN, proxy.reference("x:1"));
    assertEquals(List.of(), proxy.asked("/blobs/"));
    assertEquals(List.of(), temporary());
  }

  @Test
  void aRegistryThatIsNotThereIsNamed() throws Exception {
    int port = registry.port();
    registry.close();
    assertFailed(75, "connection refused", PLAIN, "docker://127.0.0.1:" + port + "/x:1");
  }

  @Test
  void skopeoEndsWithThePush() throws Exception {
    byte[] layer = zipped("a", 100_000);
    image("x", "1", "amd64", layer);
    RegistryProxy proxy = open(RegistryProxy.before(registry.port(), identity));
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch ended = new CountDownLatch(1);
    proxy.have(
        exchange -> {
          if (!exchange.getRequestURI().getPath().contains(Digest.of(layer).hex())) {
            return false;
          }
          asked.countDown();
          ended.await();
          return true;
        });
    Process push = javaPush(System.getenv("PATH"), PLAIN, proxy.reference("x:1"));
    asked.await();
    List<ProcessHandle> children = push.descendants().toList();
    assertFalse(children.isEmpty());
    assertFailed(75, "another push of yours fetches it to ", PLAIN, proxy.reference("x:1"));
    push.destroy();
    push.waitFor();
    for (ProcessHandle child : children) {
      child.onExit().get(60, TimeUnit.SECONDS);
    }
    ended.countDown();
    assertEquals(List.of(), temporary(), "no layer has come whole");
  }

  @Test
  void whatNobodyHasGoneOnWithIsRemovedAndNothingElse() throws Exception {
    image("x", "1", "amd64", zipped("a", 1000));
    Path tmp = Path.of(environment.get("TMPDIR"));
    String prefix = "layercake-pull-" + Files.getAttribute(tmp, "unix:uid") + "-";
    Path old = pull(tmp.resolve(prefix + "1"), "rwx------", 25);
    Path young = pull(tmp.resolve(prefix + "2"), "rwx------", 23);
    Path users = pull(tmp.resolve(prefix + "3"), "rwxr-xr-x", 25);
    Path link = Files.createSymbolicLink(tmp.resolve(prefix + "4"), users);
    assertPushed(PLAIN, registry.reference("x:1"));
    assertFalse(Files.exists(old));
    for (Path kept : List.of(young, link, users)) {
      assertTrue(Files.exists(kept.resolve("layout/blobs/file")), kept.toString());
      run("rm", "-r", kept.toString());
    }
  }

  private static Path pull(Path directory, String mode, long hours) throws IOException {
    Files.createDirectories(directory.resolve("layout/blobs"));
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString(mode));
    Files.createFile(directory.resolve("layout/blobs/file"));
    Instant used = Instant.now().minus(Duration.ofHours(hours));
    Files.setLastModifiedTime(Files.createFile(directory.resolve("lock")), FileTime.from(used));
    return directory;
  }

  private Process javaPush(String path, String... arguments) throws IOException {
    List<String> command = new ArrayList<>(TestJvm.command());
    command.addAll(List.of("org.layercake.cli.Layercake", "push"));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    builder.environment().put("PATH", path);
    return builder.start();
  }

  @Test
  void withoutSkopeoItsPackageIsNamed() throws Exception {
    Process push =
        javaPush(Files.createDirectory(work.resolve("empty")).toString(), PLAIN, "docker://a.b/x");
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    push.getInputStream().transferTo(said);
    assertEquals(78, push.waitFor(), said::toString);
    assertTrue(said.toString(UTF_8).contains("cannot run skopeo: "), said::toString);
    assertTrue(said.toString(UTF_8).contains("install the package skopeo"), said::toString);
  }

  @Test
  void optionsOfRegistriesAreForRegistriesAlone() throws Exception {
    assertEquals(64, pushed("--authfile=x", exampleTree().toString(), "t"), this::said);
    assertTrue(said().contains("for docker:// only"), this::said);
    assertEquals(64, pushed(exampleTree().toString()), this::said);
    assertTrue(said().contains("it needs a name"), this::said);
    assertEquals(64, pushed("docker://a.b/UPPER"), this::said);
  }

  @Test
  void wordsOfOtherProgramsAreTakenOrAnsweredWithTheLineToType() throws Exception {
    Path layout = work.resolve("layout");
    run("python3", "src/test/resources/oci_layout.py", layout.toString(), "good", "10");
    String digest = push(layout);
    for (String word : List.of("dir", "oci-archive", "docker-archive")) {
      String target = word + ":" + work.resolve(word);
      run("skopeo", "--insecure-policy", "copy", "-q", "oci:" + layout + ":t", target);
      assertPushed(target, "t");
      assertEquals(digest, pushedDigest(), word);
      assertPushed(work.resolve(word).toString(), "t");
      assertEquals(digest, pushedDigest(), word);
    }
    assertPushed("oci:" + layout, "t");
    assertPushed("oci:" + layout + ":t", "t");
    assertEquals(65, pushed("oci:" + layout + ":u", "t"), this::said);
    assertTrue(said().contains("it holds no image called \"u\", but t (amd64)"), this::said);
    assertEquals(64, pushed("--tag=t", "docker://a.b/c", "t"), this::said);
    assertEquals(64, pushed("docker-daemon:pytorch:2", "t"), this::said);
    assertTrue(said().contains("type: docker save pytorch:2 | layercake push - "), this::said);
    assertEquals(64, pushed("containers-storage:x", "t"), this::said);
    assertTrue(said().contains("type: podman save x | layercake push - "), this::said);
  }
}
