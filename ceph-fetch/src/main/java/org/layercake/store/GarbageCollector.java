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
    Map<Digest, String> tagged = tagged(domain);
    jobs.forEach(image -> tagged.putIfAbsent(image, ""));
    Needs needs = new Needs(domain);
    Set<Digest> untagged = new HashSet<>(listed.manifests());
    untagged.removeAll(tagged.keySet());
    long images = 0;
    long bytes = 0;
    for (Map.Entry<Digest, String> manifest : tagged.entrySet()) {
      if (listed.manifests().contains(manifest.getKey())) {
        needs.add(manifest.getKey(), manifest.getValue());
      }
    }
    long waiting = 0;
    for (Digest manifest : untagged) {
      Swept swept = sweep(domain, ImageStore.manifestObject(manifest), before);
      images += swept.gone() ? 1 : 0;
      bytes += swept.bytes();
      waiting += swept.waitingBytes();
      if (!swept.gone()) {
        waiting += needs.add(manifest, "");
      }
    }
    List<Digest> unneeded =
        needs.unknown.isPresent()
            ? List.of()
            : listed.chunks().stream().filter(chunk -> !needs.chunks.contains(chunk)).toList();
    Garbage other = sum(domain, sweepChunks(domain, unneeded, workers));
    return new Garbage(
        domain,
        images,
        images + other.objects(),
        bytes + other.bytes(),
        waiting + other.waitingBytes(),
        needs.unknown);
  }

  /**
   * What the manifests need that stay. Of one that cannot be read nobody knows: damage may be
   * repaired, and a later version may read what this one cannot. So no chunk of its domain goes;
   * the other domains, and manifests, do not depend on it.
   */
  private final class Needs {
    private final String domain;
    private final Set<Digest> chunks = new HashSet<>();
    private Optional<StoreException> unknown = Optional.empty();

    Needs(String domain) {
      this.domain = domain;
    }

    /**
     * Adds a manifest's, unless it has gone meanwhile, and returns the bytes that no other needs.
     *
     * @param tag that points to it, or empty
     */
    long add(Digest manifest, String tag) throws StoreException {
      long bytes = 0;
      try {
        Optional<Manifest> found = Manifests.read(store, domain, manifest);
        for (Manifest.Chunk chunk : found.map(Manifest::chunks).orElse(List.of())) {
          bytes += chunks.add(chunk.digest()) ? chunk.length() : 0;
        }
      } catch (Manifest.MalformedException e) {
        if (unknown.isEmpty()) {
          unknown = Optional.of(unreadable(manifest, tag, e));
        }
      }
      return bytes;
    }

    private StoreException unreadable(
        Digest manifest, String tag, Manifest.MalformedException cause) {
      String name = tag.replace('/', ':');
      String image = tag.isEmpty() ? "no tag points to" : ImageStore.owner(domain) + "/" + name;
      String nextMove =
          tag.isEmpty()
              ? "it goes when its grace is over, if no job of late runs it"
              : "push " + name + " again with --repair, or: layercake rm " + name;
      return new StoreException(
          CORRUPT,
          "cannot remove chunks of domain "
              + domain
              + ": what manifest "
              + manifest
              + " needs, which "
              + (tag.isEmpty() ? image : "is " + image)
              + ", is unknown, since it is "
              + (cause.isDamaged() ? "damaged: " : "malformed: ")
              + cause.getMessage()
              + " ("
              + nextMove
              + ")",
          cause);
    }
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

  /** What tags point to, each with one of its tags. */
  private Map<Digest, String> tagged(String domain) throws StoreException {
    Map<Digest, String> tagged = new HashMap<>();
    store.visitTags(
        domain,
        (key, value) -> {
          Tag.read(value).ifPresent(tag -> tagged.putIfAbsent(tag.digest(), key));
          return tagged.size() <= MAX_TAGGED;
        });
    if (tagged.size() > MAX_TAGGED) {
      throw new StoreException(
          INVALID, "cannot collect in domain " + domain + ": more than " + MAX_TAGGED + " images");
    }
    return tagged;
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
