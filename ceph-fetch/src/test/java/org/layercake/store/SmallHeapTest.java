package org.layercake.store;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.ref.Reference;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Hostile and large manifests in a heap like the launcher's, read by many threads at once. */
class SmallHeapTest {
  private static final String START =
      "{\"layercake\":1,\"chunker\":\"x\",\"size\":%d,\"architecture\":\"x86_64\",\"environment\":[";

  @TempDir Path store;

  @Test
  void largestManifestsAreReadAndHostileOnesRefused() throws Exception {
    List<String> expected = new ArrayList<>();
    write("largest", start(200_000L << 20), chunks(200_000, 1 << 20));
    expected.add("largest 200000");
    write("more", start(236_000L << 20), chunks(217_000, 1 << 20));
    expected.add("more CORRUPT");
    write("tiny", start(236_295), chunks(236_295, 1));
    expected.add("tiny CORRUPT");
    write("environment", START.formatted(5), many(4_194_000, i -> "\"a\""));
    expected.add("environment CORRUPT");
    write("labels", run("\"user\":\"\",\"labels\":{"), many(1_000_000, i -> "\"" + i + "\":\"\""));
    expected.add("labels CORRUPT");
    String command = run("\"user\":\"\"").replace("\"command\":[]", "\"command\":[");
    write("command", command, many(4_194_000, i -> "\"\""));
    expected.add("command CORRUPT");
    write("text", "{\"layercake\":1,\"chunker\":\"", many(1_600_000, i -> "xxxxxxxxx"));
    expected.add("text CORRUPT");
    write("name", "{\"", many(1_600_000, i -> "xxxxxxxxx"));
    expected.add("name CORRUPT");
    write("deep", "", many(1, i -> "[".repeat(Manifest.MAX_BYTES)));
    expected.add("deep CORRUPT");
    assertEquals(expected, readInASmallHeap(expected, 8));
  }

  @Test
  void oneImageIsInMemoryOnceHoweverManyAskForItAtOnce() throws Exception {
    write("largest", start(200_000L << 20), chunks(200_000, 1 << 20));
    assertEquals(List.of("largest 200000"), readInASmallHeap(List.of("largest x"), 32));
  }

  @Test
  void differentLargeManifestsInUseTogetherHaveABound() throws Exception {
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      write("large" + i, start(200_000L << 20, i), chunks(200_000, 1 << 20));
      expected.add("large" + i + (i < 5 ? " 200000" : " UNAVAILABLE"));
    }
    expected.add("small 1");
    write("small", start(5), chunks(1, 5));
    assertEquals(expected, readInASmallHeap(expected, 2));
  }

  private interface Content {
    void writeTo(OutputStream out) throws IOException;
  }

  private static String start(long size) {
    return START.formatted(size) + "],";
  }

  private static String start(long size, int kind) {
    return start(size).replace("\"x\"", "\"x" + kind + "\"");
  }

  private static String run(String rest) {
    return start(5) + "\"run\":{\"directory\":\"\",\"entryPoint\":[],\"command\":[],".concat(rest);
  }

  private static Content chunks(int count, int length) {
    return out -> {
      out.write("\"chunks\":[".getBytes(UTF_8));
      many(count, i -> "[\"" + "%064x".formatted(i) + "\"," + length + "]").writeTo(out);
      out.write("]}".getBytes(UTF_8));
    };
  }

  private static Content many(int count, IntFunction<String> one) {
    return out -> {
      for (int i = 0; i < count; i++) {
        out.write(((i > 0 ? "," : "") + one.apply(i)).getBytes(UTF_8));
      }
    };
  }

  private void write(String name, String start, Content content) throws Exception {
    Path domain = Files.createDirectories(store.resolve("u.alice"));
    Path manifest = Files.createDirectories(domain.resolve("m")).resolve("new");
    MessageDigest sha256 = Digest.sha256();
    try (OutputStream out =
        new BufferedOutputStream(new DigestOutputStream(Files.newOutputStream(manifest), sha256))) {
      out.write(start.getBytes(UTF_8));
      content.writeTo(out);
    }
    if (Files.size(manifest) > Manifest.MAX_BYTES) {
      throw new AssertionError(name + " has " + Files.size(manifest) + " bytes");
    }
    Digest digest = Digest.of(sha256);
    Files.move(manifest, domain.resolve(ObjectNames.manifest(digest)));
    Path tag = Files.createDirectories(domain.resolve("t").resolve(name)).resolve("latest");
    Files.write(tag, new Tag(digest, 5).bytes());
  }

  private List<String> readInASmallHeap(List<String> expected, int readers) throws Exception {
    List<String> command =
        TestJvm.command(
            "-XX:+UseSerialGC",
            "-Xmx96m",
            "-XX:MaxDirectMemorySize=192m",
            "-XX:+ExitOnOutOfMemoryError");
    command.addAll(List.of(Reader.class.getName(), store.toString(), Integer.toString(readers)));
    expected.forEach(line -> command.add(line.substring(0, line.indexOf(' '))));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, process.waitFor(), said);
    return said.lines().toList();
  }

  /** What runs in the small heap. Says of each image how many chunks it has, or why it has none. */
  static final class Reader {
    private Reader() {}

    public static void main(String[] args) throws Exception {
      InstantSource clock = InstantSource.system();
      ObjectStore objects = DirectoryStore.open(Path.of(args[0]), clock);
      int readers = Integer.parseInt(args[1]);
      ExecutorService threads = Executors.newFixedThreadPool(readers);
      List<Image> inUse = new ArrayList<>();
      try (ImageStore images = new ImageStore(objects, clock, Chunker::cut)) {
        for (String name : List.of(args).subList(2, args.length)) {
          List<Future<Image>> reads = new ArrayList<>();
          for (int i = 0; i < readers; i++) {
            reads.add(threads.submit(() -> images.resolve(ImageName.parse(name), "alice")));
          }
          System.out.println(name + " " + result(reads, inUse));
        }
      } finally {
        Reference.reachabilityFence(inUse);
        threads.shutdown();
      }
    }

    /** All are held until the end. */
    private static String result(List<Future<Image>> reads, List<Image> inUse) throws Exception {
      List<Image> images = new ArrayList<>();
      String failure = "";
      for (Future<Image> read : reads) {
        try {
          images.add(read.get());
        } catch (java.util.concurrent.ExecutionException e) {
          failure = ((StoreException) e.getCause()).kind().toString();
        }
      }
      inUse.addAll(images);
      return images.size() == reads.size()
          ? String.valueOf(images.get(0).manifest().chunks().size())
          : images.isEmpty() ? failure : images.size() + " and " + failure;
    }
  }
}
