package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.layercake.cli.CommandTest;

/** What an image is made of its source: always the same, all of it, and soon. */
class PackingTest extends CommandTest {
  private static final int MANY = 100_000;

  @Test
  void theSameSourceIsTheSameImageHoweverBusyTheMachineIs() throws Throwable {
    Path tree = mixedTree();
    Path tar = tar(tree);
    Set<String> digests = new HashSet<>();
    besideBusyLoops(
        () -> {
          for (String processors : List.of("0", "0-1", "0", "0-1")) {
            environment.put(
                "LAYERCAKE_LIBRARY",
                library("pack", "exec taskset -c " + processors + " \"$REAL\" \"$@\"").toString());
            digests.add(push(tar));
            digests.add(push(tree));
          }
        });
    assertEquals(1, digests.size());
  }

  @Test
  void everyByteAndNameOfTheSourceIsInTheImage() throws Exception {
    Path tree = mixedTree();
    for (Path source : List.of(tree, tar(tree))) {
      push(source);
      Path image = work.resolve("pulled.sqfs");
      assertEquals(0, layercake("pull", "t", image.toString()), this::said);
      Path unpacked = work.resolve("unpacked");
      run("rm", "-rf", unpacked.toString());
      run("unsquashfs", "-quiet", "-no-progress", "-d", unpacked.toString(), image.toString());
      run("diff", "-r", "--no-dereference", "-x", "fifo", tree.toString(), unpacked.toString());
      assertEquals(listing(tree), listing(unpacked));
    }
  }

  @Test
  void aHundredThousandFilesInOneDirectoryTakeSecondsInAnyOrder() throws Exception {
    List<Integer> numbers = new ArrayList<>();
    for (int i = 0; i < MANY; i++) {
      numbers.add(i);
    }
    Set<String> trees = new HashSet<>();
    for (Comparison order : Comparison.values()) {
      order.apply(numbers);
      Path tar = work.resolve(order + ".tar");
      try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(tar))) {
        for (int number : numbers) {
          out.write(Tars.header("d/" + number, TarEntry.FILE, 0644, 0, "", 0));
        }
        out.write(new byte[2 * TarHeader.BLOCK]);
      }
      assertTimeout(Duration.ofSeconds(60), () -> trees.add(push(tar)));
      Files.delete(tar);
    }
    assertEquals(1, trees.size(), "files without content have no order in the image");
  }

  @Test
  void thePackerNeedsLittleMemoryHoweverLargeTheSourceIs() throws Exception {
    Path tree = Files.createDirectory(work.resolve("large"));
    byte[] bytes = new byte[1 << 20];
    for (int i = 0; i < 256; i++) {
      new Random(i).nextBytes(bytes);
      Files.write(tree.resolve("f" + i), bytes);
    }
    environment.put(
        "LAYERCAKE_LIBRARY",
        library("pack", "ulimit -s 512; ulimit -d 131072; exec \"$REAL\" \"$@\"").toString());
    push(tree);
  }

  @Test
  void namesOfADirectoryAreAnyBytes() throws Exception {
    Path tree = Files.createDirectory(work.resolve("tree"));
    String script =
        "cd \"$0\"; mkdir $(printf 'd\\351'); cd $(printf 'd\\351'); echo x >$(printf"
            + " 'f\\377%%41;?#'); ln -s $(printf '../\\377//x/./') l; ln -s . here; printf ''"
            + " >$(printf '\\303\\251')";
    run("bash", "-c", script, tree.toString());
    assertEquals(push(tar(tree)), push(tree));
  }

  @Test
  void namesOfAttributesAreAnyBytes() throws Exception {
    Path tree = Files.createDirectory(work.resolve("tree"));
    run(
        "sh",
        "-c",
        "cd \"$0\"; echo x >f; setfattr -n $(printf 'user.\\377') -v 1 f;"
            + " setfattr -n $(printf 'user.\\303\\251') -v 2 f; setfattr -n user.empty f",
        tree.toString());
    push(tree);
    Path image = work.resolve("pulled.sqfs");
    assertEquals(0, layercake("pull", "t", image.toString()), this::said);
    Path unpacked = work.resolve("unpacked");
    run("unsquashfs", "-quiet", "-no-progress", "-d", unpacked.toString(), image.toString());
    String script = "cd \"$0\"; getfattr -d -m '^user[.]' f";
    String attributes = new String(run("sh", "-c", script, tree.toString()), ISO_8859_1);
    assertEquals(5, attributes.lines().count(), attributes);
    assertEquals(attributes, new String(run("sh", "-c", script, unpacked.toString()), ISO_8859_1));
  }

  @Test
  void aFileThatIsLongerThanItSaidIsRefused() throws Exception {
    Path endless = Path.of("/proc/sys/kernel/random"); // files of 0 bytes, as they say
    assertRefused(endless, "has grown while it was read");
  }

  private enum Comparison {
    ASCENDING,
    DESCENDING,
    RANDOM;

    void apply(List<Integer> numbers) {
      Collections.sort(numbers);
      if (this == DESCENDING) {
        Collections.reverse(numbers);
      } else if (this == RANDOM) {
        Collections.shuffle(numbers, new Random(1));
      }
    }
  }

  /** Small and large files, equal ones, links, empty ones, zeros. */
  private Path mixedTree() throws Exception {
    Path tree = Files.createDirectories(work.resolve("tree/sub/empty")).getParent().getParent();
    Random random = new Random(1);
    for (int i = 0; i < 400; i++) {
      byte[] bytes = new byte[random.nextInt(i % 20 == 0 ? 900_000 : 9_000)];
      random.nextBytes(bytes);
      Files.write(tree.resolve((i % 3 == 0 ? "sub/" : "") + "f" + i), bytes);
    }
    run(
        "sh",
        "-c",
        "cd \"$0\"; cp f20 copy; cp -r sub sub2; ln f1 hard; ln -s f1 soft; ln soft soft2; :"
            + " >nothing; truncate -s 3M zeros; cat f20 zeros f40 >between; mkfifo fifo; chmod 4751"
            + " f2; chmod 1777 sub; touch -d @1000000000 sub/f3 sub; setfattr -n user.a -v b f4",
        tree.toString());
    return tree;
  }

  private Path tar(Path tree) throws Exception {
    Path tar = work.resolve("t.tar");
    String[] command = {
      "tar",
      "--sort=name",
      "--xattrs",
      "--xattrs-include=user.*",
      "-cf",
      tar + "",
      "-C",
      tree + "",
      "."
    };
    run(command);
    return tar;
  }

  /** Type, mode, time, links and size of every file but what depends on the file system. */
  private static String listing(Path tree) throws IOException, InterruptedException {
    String script =
        "cd \"$0\"; find . -mindepth 1 -printf '%y %m %Ts %n %s %P -> %l\\n'"
            + " | sed -E 's/^(d [0-9]+ [0-9]+) [0-9]+ [0-9]+/\\1/' | sort;"
            + " find . -print0 | sort -z | xargs -0 getfattr -h -d -m '^user[.]' -e hex";
    String listing = new String(run("sh", "-c", script, tree.toString()), ISO_8859_1);
    assertTrue(listing.contains("soft"), listing);
    return listing;
  }

  /** Keeps two processors busy meanwhile. */
  private static void besideBusyLoops(Executable act) throws Throwable {
    List<Process> loops = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      loops.add(new ProcessBuilder("sh", "-c", "while :; do :; done").start());
    }
    try {
      act.execute();
    } finally {
      for (Process loop : loops) {
        loop.destroyForcibly().waitFor();
      }
    }
  }
}
