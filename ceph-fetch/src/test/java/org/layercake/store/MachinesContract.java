package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Images of one name for several processors, whatever the back end. */
public abstract class MachinesContract extends StoreContract {
  private static final ImageName DEB = name("deb:12");

  private static ImageName name(String text) {
    try {
      return ImageName.parse(text);
    } catch (StoreException e) {
      throw new AssertionError(e);
    }
  }

  private Digest push(ImageStore store, String name, String machine, int seed) throws Exception {
    Path file = file(machine + "-" + seed, random(300_000, seed));
    try (ImagePush push = store.push(name(name), user, Existing.TRUST)) {
      ImageConfig config = new ImageConfig(List.of("A=1"), machine);
      return push.complete(file, config, (done, fresh) -> {}).digest();
    }
  }

  private Digest push(String name, String machine, int seed) throws Exception {
    return push(images, name, machine, seed);
  }

  /** As a node of another processor sees the store. */
  private ImageStore node(String machine) throws Exception {
    return new ImageStore(
        connect(InstantSource.system()), InstantSource.system(), Chunker::cut, machine);
  }

  private Digest resolved(String machine, ImageName name) throws Exception {
    try (ImageStore node = node(machine)) {
      return node.resolve(name, user).digest();
    }
  }

  private Map<String, Digest> all(String name) throws Exception {
    Map<String, Digest> all = new TreeMap<>();
    images.list(user).images().stream()
        .filter(tag -> tag.name().tagged().equals(name))
        .forEach(tag -> all.put(tag.machine().orElse("?"), tag.digest()));
    return all;
  }

  @Test
  void anImageForAnotherProcessorIsBesideAndEachNodeTakesItsOwn() throws Exception {
    Digest one = push("deb:12", "x86_64", 1);
    assertEquals(Map.of("?", one), all("deb:12"));
    Digest two = push("deb:12", "aarch64", 2);
    assertEquals(Map.of("x86_64", one, "aarch64", two), all("deb:12"));
    assertEquals(one, resolved("x86_64", DEB));
    assertEquals(two, resolved("aarch64", DEB));
    assertEquals(one, resolved("ppc64le", DEB), "which then says what it is for");
    Digest next = push("deb:12", "x86_64", 3);
    Digest nextTwo = push("deb:12", "aarch64", 4);
    assertEquals(Map.of("x86_64", next, "aarch64", nextTwo), all("deb:12"));
    assertEquals(nextTwo, images.resolve(DEB, user, "aarch64").digest());
    assertKind(StoreException.Kind.NOT_FOUND, () -> images.resolve(DEB, user, "s390x"));
    assertEquals(List.of(), new ArrayList<>(all("deb:13").keySet()));
  }

  @Test
  void whoeverKnowsOfOneProcessorOnlyFindsTheFirstImageAndKeepsTheOthers() throws Exception {
    Digest one = push("deb:12", "x86_64", 5);
    Digest two = push("deb:12", "aarch64", 6);
    byte[] first = objects.readTag(domain, "deb/12").orElseThrow();
    assertArrayEquals(bytes(one + " 300000\n"), first);
    List<Digest> all = new ArrayList<>();
    objects.visitTags(
        domain,
        ObjectStore.TagPart.NAME_AND_VALUE,
        (tag, value) -> {
          all.add(Tag.read(value).orElseThrow().digest()); // as any collection looks at them
          return true;
        });
    assertTrue(all.containsAll(List.of(one, two)));
  }

  @Test
  void pushesForDifferentProcessorsAtOnceLoseNone() throws Exception {
    List<String> machines = List.of("x86_64", "aarch64", "riscv64", "s390x");
    for (int round = 0; round < 8; round++) {
      String name = "raced:" + round;
      int seed = 100 + 10 * round;
      if (round % 2 == 1) {
        push(name, "x86_64", 99);
      }
      List<Future<Digest>> pushes =
          together(
              4,
              i -> {
                try (ImageStore store = node("x86_64")) {
                  return push(store, name, machines.get(i), seed + i);
                }
              });
      Map<String, Digest> wanted = new TreeMap<>();
      for (int i = 0; i < 4; i++) {
        wanted.put(machines.get(i), pushes.get(i).get());
      }
      assertEquals(wanted, all(name));
    }
  }

  @Test
  void pushesForOneProcessorAtOnceAreStillToldOfEachOther() throws Exception {
    push("deb:12", "x86_64", 7);
    push("deb:12", "aarch64", 8);
    Entries seen = new Tags(objects).seen(name(user + "/deb:12"));
    push("deb:12", "aarch64", 9);
    Digest other = push("other", "aarch64", 10);
    assertKind(
        StoreException.Kind.UNAVAILABLE,
        () -> new Tags(objects).move(seen, "aarch64", new Tag(other, 300_000)));
  }

  @Test
  void aRemovalTakesAllOrTheOneThatIsAskedFor() throws Exception {
    Digest one = push("deb:12", "x86_64", 11);
    Digest two = push("deb:12", "aarch64", 12);
    assertKind(StoreException.Kind.NOT_FOUND, () -> images.remove(DEB, user, Optional.of("s390x")));
    assertEquals(1, images.remove(DEB, user, Optional.of("x86_64")).size());
    assertEquals(two, resolved("aarch64", DEB));
    assertEquals(two, resolved("x86_64", DEB), "which then says what it is for");
    assertEquals(one, push("deb:12", "x86_64", 11));
    assertEquals(one, resolved("x86_64", DEB));
    assertEquals(2, images.remove(DEB, user).size());
    assertKind(StoreException.Kind.NOT_FOUND, () -> resolved("aarch64", DEB));
    assertEquals(Map.of(), all("deb:12"));
  }

  @Test
  void aDataSetIsForAllAndTakesThePlaceOfAll() throws Exception {
    push("deb:12", "x86_64", 13);
    push("deb:12", "aarch64", 14);
    Digest data = push("deb:12", "noarch", 15);
    assertEquals(data, resolved("aarch64", DEB));
    assertEquals(Map.of("?", data), all("deb:12"));
    Digest program = push("deb:12", "aarch64", 16);
    assertEquals(Map.of("?", program), all("deb:12"));
  }

  @Test
  void aNewNameIsForAllProcessorsThatTheOldOneIsFor() throws Exception {
    push("deb:12", "x86_64", 17);
    push("deb:12", "aarch64", 18);
    images.tag(DEB, name("deb:stable"), user);
    assertEquals(all("deb:12"), all("deb:stable"));
    Digest riscv = push("deb:stable", "riscv64", 27);
    assertEquals(riscv, all("deb:stable").get("riscv64"));
    push("deb:12", "aarch64", 28);
    images.tag(DEB, name("deb:stable"), user);
    assertEquals(all("deb:12"), all("deb:stable"), "and for no others any more");
    Digest two = images.resolve(DEB, user, "aarch64").digest();
    images.tag(name("deb:12@" + two), name("arm"), user);
    assertEquals(Map.of("?", two), all("arm:latest"));
    assertEquals(
        4, images.usage(user).images().stream().filter(t -> t.name().name().equals("deb")).count());
  }

  @Test
  void aCollectionKeepsTheImagesOfAllProcessorsAndTakesWhatWasRemoved() throws Exception {
    AtomicLong hours = new AtomicLong(500_000);
    InstantSource clock = () -> Instant.ofEpochSecond(hours.get() * 3600);
    try (ImageStore timed = new ImageStore(connect(clock), clock, Chunker::cut)) {
      push(timed, "deb:12", "x86_64", 19);
      push(timed, "deb:12", "aarch64", 20);
      hours.addAndGet(1000);
      assertEquals(0, collect(timed).images());
      timed.verify(timed.resolve(DEB, user, "aarch64"), done -> {});
      timed.remove(DEB, user, Optional.of("aarch64"));
      assertEquals(0, collect(timed).images(), "its grace begins now");
      hours.addAndGet(1000);
      assertEquals(1, collect(timed).images());
      timed.verify(timed.resolve(DEB, user, "x86_64"), done -> {});
    }
  }

  private Garbage collect(ImageStore store) throws Exception {
    return store.collect(Optional.of(user), Duration.ofDays(1), false).get(0);
  }

  @Test
  void aJobKeepsForEachProcessorWhatItsFirstNodeFound() throws Exception {
    Digest one = push("deb:12", "x86_64", 21);
    Digest two = push("deb:12", "aarch64", 22);
    JobRef job = new JobRef("machines", 1, 1000);
    assertEquals(one, run("x86_64", job));
    push("deb:12", "x86_64", 23);
    push("deb:12", "aarch64", 24);
    assertEquals(two, run("aarch64", job));
    assertEquals(one, run("x86_64", job));
    assertEquals(one, run("ppc64le", job));
    JobRef later = new JobRef("machines", 2, 1000);
    images.remove(DEB, user, Optional.of("x86_64"));
    Digest left = run("aarch64", later);
    assertEquals(left, run("x86_64", later), "which then says what it is for");
  }

  private Digest run(String machine, JobRef job) throws Exception {
    try (ImageStore node = node(machine)) {
      return node.resolveForJob(job, DEB, user, group -> false).digest();
    }
  }

  @Test
  void whoMayRunANameMayRunTheImagesOfAllProcessorsByDigest() throws Exception {
    push("deb:12", "x86_64", 25);
    Digest two = push("deb:12", "aarch64", 26);
    images.share(name("deb"), user, now -> Audience.ALL);
    ImageName pinned = name(user + "/deb@" + two);
    assertEquals(two, images.resolveToRun(pinned, "eve", group -> false).digest());
  }
}
