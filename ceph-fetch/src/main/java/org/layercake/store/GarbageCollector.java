package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.INVALID;

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
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Mark and sweep, beside pushes that know nothing of it. docs/store-format.md, "Collection", has
 * the argument why nothing is lost; what it rests on here: objects are listed before tags,
 * manifests are swept before chunks are judged, and an object goes only if it has not been touched
 * since its time was read.
 */
final class GarbageCollector {
  /** Each waits for the store most of the time. */
  private static final int WORKERS = 16;

  private static final int MAX_TAGGED = 1_000_000;
  private static final Pattern OBJECT = Pattern.compile("([cmsj])/([0-9a-f]{64})");
  private static final Pattern DOMAIN =
      Pattern.compile(ImageStore.LAUNCHERS + "|site|u\\.[A-Za-z0-9_][A-Za-z0-9._-]{0,63}");

  private final ObjectStore store;
  private final Instant before;
  private final Instant recordsBefore;
  private final boolean dryRun;

  /**
   * @param before what was touched at this time or later stays
   * @param recordsBefore the same for the records of what jobs run
   */
  GarbageCollector(ObjectStore store, Instant before, Instant recordsBefore, boolean dryRun) {
    this.store = store;
    this.before = before;
    this.recordsBefore = recordsBefore;
    this.dryRun = dryRun;
  }

  /** The objects of a domain by kind. */
  private record Listed(
      Set<Digest> manifests, Set<Digest> chunks, Set<Digest> profiles, Set<Digest> records) {
    Listed() {
      this(new HashSet<>(), new HashSet<>(), new HashSet<>(), new HashSet<>());
    }
  }

  /** What became of an object that nothing needs. */
  private record Swept(boolean gone, long bytes, long waitingBytes) {
    static final Swept KEPT = new Swept(false, 0, 0);
  }

  List<Garbage> run(Optional<String> domain) throws StoreException {
    SortedMap<String, Listed> listed = new TreeMap<>();
    store.list(domain, (where, object) -> note(listed, where, object));
    Listed launchers = listed.remove(ImageStore.LAUNCHERS);
    List<Garbage> result = new ArrayList<>();
    Map<String, Set<Digest>> jobs = new HashMap<>();
    ExecutorService workers = Daemons.pool(WORKERS, "gc");
    try {
      if (launchers != null) {
        List<Swept> swept = collectRecords(launchers.records(), jobs, workers);
        swept.addAll(collectProfiles(launchers.profiles(), listed.values(), workers));
        result.add(sum(ImageStore.LAUNCHERS, swept));
      }
      for (var entry : listed.entrySet()) {
        String where = entry.getKey();
        result.add(collect(where, entry.getValue(), jobs.getOrDefault(where, Set.of()), workers));
      }
    } finally {
      workers.shutdownNow();
    }
    return result;
  }

  private static void note(SortedMap<String, Listed> listed, String domain, String object) {
    Matcher matcher = OBJECT.matcher(object);
    if (!matcher.matches() || !DOMAIN.matcher(domain).matches()) {
      return;
    }
    Listed here = listed.computeIfAbsent(domain, d -> new Listed());
    try {
      Digest digest = Digest.parseHex(matcher.group(2));
      switch (matcher.group(1)) {
        case "c" -> here.chunks().add(digest);
        case "m" -> here.manifests().add(digest);
        case "j" -> here.records().add(digest);
        default -> here.profiles().add(digest);
      }
    } catch (StoreException e) {
      throw new AssertionError("the pattern is that of a digest", e);
    }
  }

  /**
   * @param jobs what jobs run that may be requeued
   */
  private Garbage collect(String domain, Listed listed, Set<Digest> jobs, ExecutorService workers)
      throws StoreException {
    Set<Digest> tagged = tagged(domain);
    tagged.addAll(jobs);
    Set<Digest> needed = new HashSet<>();
    Set<Digest> untagged = new HashSet<>(listed.manifests());
    untagged.removeAll(tagged);
    long images = 0;
    long bytes = 0;
    for (Digest manifest : tagged) {
      if (listed.manifests().contains(manifest)) {
        chunks(domain, manifest).forEach(chunk -> needed.add(chunk.digest()));
      }
    }
    long waiting = 0;
    for (Digest manifest : untagged) {
      Swept swept = sweep(domain, ImageStore.manifestObject(manifest), before);
      images += swept.gone() ? 1 : 0;
      bytes += swept.bytes();
      waiting += swept.waitingBytes();
      if (!swept.gone()) {
        for (Manifest.Chunk chunk : chunks(domain, manifest)) {
          waiting += needed.add(chunk.digest()) ? chunk.length() : 0;
        }
      }
    }
    List<Digest> unneeded =
        listed.chunks().stream().filter(chunk -> !needed.contains(chunk)).toList();
    Garbage other = sum(domain, sweepChunks(domain, unneeded, workers));
    return new Garbage(
        domain,
        images,
        images + other.objects(),
        bytes + other.bytes(),
        waiting + other.waitingBytes());
  }

  /**
   * A job's record keeps its image, too, for as long as it is kept itself.
   *
   * @param jobs what they run is added here, by domain
   */
  private List<Swept> collectRecords(
      Set<Digest> records, Map<String, Set<Digest>> jobs, ExecutorService workers)
      throws StoreException {
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest record : records) {
      tasks.add(
          () -> {
            String object = JobRecord.object(record);
            Swept swept = sweep(ImageStore.LAUNCHERS, object, recordsBefore);
            if (swept.gone()) {
              return swept;
            }
            record(object).ifPresent(found -> note(jobs, found));
            return Swept.KEPT; // it is wanted, not waiting
          });
    }
    return all(tasks, workers);
  }

  private static synchronized void note(Map<String, Set<Digest>> jobs, JobRecord record) {
    jobs.computeIfAbsent(ImageStore.domain(record.owner()), domain -> new HashSet<>())
        .add(record.digest());
  }

  /** Empty also for one that is malformed: launchers refuse it, so it keeps nothing. */
  private Optional<JobRecord> record(String object) throws StoreException {
    try {
      Optional<byte[]> bytes =
          store.read(ImageStore.LAUNCHERS, object, JobRecord.MAX_BYTES, ObjectStore.Copy.PRIMARY);
      return bytes.isEmpty() ? Optional.empty() : JobRecord.read(bytes.get());
    } catch (StoreException e) {
      if (e.kind() == CORRUPT) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** A start profile is for an image, whoever has it; all domains have been listed. */
  private List<Swept> collectProfiles(
      Set<Digest> profiles, Collection<Listed> domains, ExecutorService workers)
      throws StoreException {
    Set<Digest> orphans = new HashSet<>(profiles);
    domains.forEach(domain -> orphans.removeAll(domain.manifests()));
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest orphan : orphans) {
      tasks.add(() -> sweep(ImageStore.LAUNCHERS, ImageStore.profileObject(orphan), before));
    }
    return all(tasks, workers);
  }

  /** Of objects that are no images. */
  private static Garbage sum(String domain, List<Swept> swept) {
    return new Garbage(
        domain,
        0,
        swept.stream().filter(Swept::gone).count(),
        swept.stream().mapToLong(Swept::bytes).sum(),
        swept.stream().mapToLong(Swept::waitingBytes).sum());
  }

  private Set<Digest> tagged(String domain) throws StoreException {
    Set<Digest> digests = new HashSet<>();
    store.visitTags(
        domain,
        (tag, value) -> {
          Tag.read(value).ifPresent(found -> digests.add(found.digest()));
          return digests.size() <= MAX_TAGGED;
        });
    if (digests.size() > MAX_TAGGED) {
      throw new StoreException(
          INVALID, "cannot collect in domain " + domain + ": more than " + MAX_TAGGED + " images");
    }
    return digests;
  }

  /** None if the manifest has gone meanwhile. One that cannot be read may need any chunk. */
  private List<Manifest.Chunk> chunks(String domain, Digest digest) throws StoreException {
    try {
      return Manifests.read(store, domain, digest).map(Manifest::chunks).orElse(List.of());
    } catch (Manifest.MalformedException e) {
      throw new StoreException(
          CORRUPT,
          "cannot collect in domain "
              + domain
              + ": manifest "
              + ImageStore.manifestObject(digest)
              + " is damaged, what it needs is unknown (push its image again with --repair, or"
              + " remove its tags)",
          e);
    }
  }

  private List<Swept> sweepChunks(String domain, List<Digest> chunks, ExecutorService workers)
      throws StoreException {
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest chunk : chunks) {
      tasks.add(() -> sweep(domain, ImageStore.chunkObject(chunk), before));
    }
    return all(tasks, workers);
  }

  private static List<Swept> all(List<Callable<Swept>> tasks, ExecutorService workers)
      throws StoreException {
    List<Swept> results = new ArrayList<>();
    try {
      for (Future<Swept> result : workers.invokeAll(tasks)) {
        results.add(result.get());
      }
      return results;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(INTERNAL, "cannot collect: interrupted", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException failure) {
        throw failure;
      }
      throw new StoreException(INTERNAL, "cannot collect: " + e.getCause(), e);
    }
  }

  private Swept sweep(String domain, String object, Instant before) throws StoreException {
    Optional<ObjectStore.Trace> trace = store.trace(domain, object);
    if (trace.isEmpty()) {
      return Swept.KEPT;
    }
    long bytes = trace.get().bytes();
    if (!trace.get().seen().isBefore(before)) {
      return new Swept(false, 0, bytes);
    }
    boolean gone = dryRun || store.remove(domain, object, trace.get().seen());
    return gone ? new Swept(true, bytes, 0) : Swept.KEPT;
  }
}
