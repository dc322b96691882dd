package org.layercake.store;

import static org.layercake.store.ObjectNames.LAUNCHERS;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.INVALID;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Callable;

/**
 * Mark and sweep, beside pushes that know nothing of it. docs/store-format.md, "Collection", has
 * the argument why nothing is lost; what it rests on here: objects are listed before tags,
 * manifests are swept before chunks are judged, and an object goes only if it has not been touched
 * since its time was read.
 */
final class GarbageCollector {
  /** The least grace; a push relies on it. */
  static final Duration MIN_GRACE = Duration.ofDays(1);

  private final ObjectStore store;
  private final Tags tags;
  private final Instant before;
  private final Instant recordsBefore;
  private final boolean dryRun;

  /**
   * @param before what was touched at this time or later stays
   * @param recordsBefore the same for the records of what jobs run
   */
  private GarbageCollector(
      ObjectStore store, Tags tags, Instant before, Instant recordsBefore, boolean dryRun) {
    this.store = store;
    this.tags = tags;
    this.before = before;
    this.recordsBefore = recordsBefore;
    this.dryRun = dryRun;
  }

  /** One that leaves alone what was touched within the grace, which is refused if too short. */
  static GarbageCollector after(
      Duration grace, Instant now, ObjectStore store, Tags tags, boolean dryRun)
      throws StoreException {
    if (grace.compareTo(MIN_GRACE) < 0) {
      throw new StoreException(
          INVALID,
          "cannot collect with a grace of "
              + grace.toHours()
              + " h: pushes that are under way need "
              + MIN_GRACE.toHours()
              + " h at least");
    }
    Duration recordsGrace = grace.compareTo(JobRecords.KEPT) > 0 ? grace : JobRecords.KEPT;
    return new GarbageCollector(store, tags, now.minus(grace), now.minus(recordsGrace), dryRun);
  }

  /** The objects of a domain by kind. */
  private record Listed(
      Set<Digest> manifests,
      Set<Digest> chunks,
      Set<Digest> profiles,
      Set<Digest> records,
      Set<Digest> origins,
      Set<Digest> packed) {
    Listed() {
      this(
          new HashSet<>(),
          new HashSet<>(),
          new HashSet<>(),
          new HashSet<>(),
          new HashSet<>(),
          new HashSet<>());
    }

    void add(ObjectNames.Named object) {
      Set<Digest> kind =
          switch (object.kind()) {
            case CHUNK -> chunks;
            case MANIFEST -> manifests;
            case PROFILE -> profiles;
            case RECORD -> records;
            case ORIGIN -> origins;
            case PACKED -> packed;
          };
      kind.add(object.digest());
    }
  }

  /**
   * Collects.
   *
   * @param domain the only one; empty for all there are
   */
  List<Garbage> run(Optional<String> domain) throws StoreException {
    SortedMap<String, Listed> listed = new TreeMap<>();
    store.list(domain, (where, object) -> note(listed, where, object));
    Listed launchers = listed.remove(LAUNCHERS);
    List<Garbage> result = new ArrayList<>();
    Map<String, Set<Digest>> jobs = new HashMap<>();
    try (Sweeper sweeper = new Sweeper(store, dryRun)) {
      if (launchers != null) {
        Tally tally = new Tally(LAUNCHERS);
        collectRecords(launchers.records(), jobs, sweeper).forEach(tally::add);
        collectProfiles(launchers.profiles(), listed.values(), tally, sweeper);
        result.add(tally.garbage());
      }
      for (var entry : listed.entrySet()) {
        String where = entry.getKey();
        result.add(collect(where, entry.getValue(), jobs.getOrDefault(where, Set.of()), sweeper));
      }
    }
    return result;
  }

  private static void note(SortedMap<String, Listed> listed, String domain, String object) {
    if (ObjectNames.isDomain(domain)) {
      ObjectNames.read(object)
          .ifPresent(named -> listed.computeIfAbsent(domain, d -> new Listed()).add(named));
    }
  }

  /**
   * Users write their domains: what is wrong with one of them is its own problem.
   *
   * @param jobs what jobs run that may be requeued
   */
  private Garbage collect(String domain, Listed listed, Set<Digest> jobs, Sweeper sweeper)
      throws StoreException {
    Tally tally = new Tally(domain);
    try {
      collect(domain, listed, jobs, tally, sweeper);
    } catch (StoreException e) {
      tally.note(e);
    }
    return tally.garbage();
  }

  private void collect(String domain, Listed listed, Set<Digest> jobs, Tally tally, Sweeper sweeper)
      throws StoreException {
    Map<Digest, String> tagged = tags.targets(domain);
    NeededChunks needed = new NeededChunks(store, tags, domain, listed.manifests());
    for (Map.Entry<Digest, String> manifest : tagged.entrySet()) {
      needed.add(manifest.getKey(), manifest.getValue());
    }
    for (Digest manifest : listed.manifests()) {
      if (tagged.containsKey(manifest)) {
        continue;
      }
      if (jobs.contains(manifest)) {
        needed.add(manifest, "");
      } else if (!sweepImage(domain, manifest, tally, sweeper)) {
        tally.addWaiting(needed.add(manifest, ""));
      }
    }
    collectOrigins(domain, listed, tally, sweeper);
    needed.settle(jobs);
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest chunk : listed.chunks()) {
      if (!needed.contains(chunk)) {
        tasks.add(() -> sweeper.sweep(domain, ObjectNames.chunk(chunk), before));
      }
    }
    sweeper.all(tasks, tally);
  }

  /** Of images that the domain has not: with their manifests they were stored, or later. */
  private void collectOrigins(String domain, Listed listed, Tally tally, Sweeper sweeper)
      throws StoreException {
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest image : listed.origins()) {
      if (!listed.manifests().contains(image)) {
        tasks.add(() -> sweeper.sweep(domain, ObjectNames.origin(image), before));
      }
    }
    for (Digest key : listed.packed()) {
      tasks.add(() -> sweepPacked(domain, ObjectNames.Kind.PACKED.object(key), listed, sweeper));
    }
    sweeper.all(tasks, tally);
  }

  private Swept sweepPacked(String domain, String object, Listed listed, Sweeper sweeper)
      throws StoreException {
    Optional<Digest> image = new Origins(store).packed(domain, object);
    return image.filter(listed.manifests()::contains).isPresent()
        ? Swept.KEPT
        : sweeper.sweep(domain, object, before);
  }

  /** Whether it is gone. */
  private boolean sweepImage(String domain, Digest manifest, Tally tally, Sweeper sweeper)
      throws StoreException {
    try {
      Swept swept = sweeper.sweep(domain, ObjectNames.manifest(manifest), before);
      tally.addImage(swept);
      return swept.gone();
    } catch (StoreException e) {
      tally.note(e);
      return false;
    }
  }

  /**
   * A job's record keeps its image, too, for as long as it is kept itself.
   *
   * @param jobs what they run is added here, by domain
   */
  private List<Swept> collectRecords(
      Set<Digest> records, Map<String, Set<Digest>> jobs, Sweeper sweeper) throws StoreException {
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest record : records) {
      tasks.add(
          () -> {
            String object = ObjectNames.Kind.RECORD.object(record);
            Swept swept = sweeper.sweep(LAUNCHERS, object, recordsBefore);
            if (swept.gone()) {
              return swept;
            }
            record(object).ifPresent(found -> note(jobs, found));
            return Swept.KEPT; // it is wanted, not waiting
          });
    }
    return sweeper.all(tasks);
  }

  private static synchronized void note(Map<String, Set<Digest>> jobs, JobRecord record) {
    jobs.computeIfAbsent(ObjectNames.domain(record.owner()), domain -> new HashSet<>())
        .addAll(record.digests());
  }

  /** Empty also for one that is malformed: launchers refuse it, so it keeps nothing. */
  private Optional<JobRecord> record(String object) throws StoreException {
    try {
      Optional<byte[]> bytes =
          store.read(LAUNCHERS, object, JobRecord.MAX_BYTES, ObjectStore.Copy.PRIMARY);
      return bytes.isEmpty() ? Optional.empty() : JobRecord.read(bytes.get());
    } catch (StoreException e) {
      if (e.kind() == CORRUPT) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** A start profile is for an image, whoever has it; all domains have been listed. */
  private void collectProfiles(
      Set<Digest> profiles, Collection<Listed> domains, Tally tally, Sweeper sweeper)
      throws StoreException {
    Set<Digest> orphans = new HashSet<>(profiles);
    domains.forEach(domain -> orphans.removeAll(domain.manifests()));
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest orphan : orphans) {
      tasks.add(() -> sweeper.sweep(LAUNCHERS, ObjectNames.profile(orphan), before));
    }
    sweeper.all(tasks, tally);
  }
}
