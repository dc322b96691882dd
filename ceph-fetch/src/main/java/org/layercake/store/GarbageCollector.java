package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.INVALID;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

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
        Tally tally = new Tally(ImageStore.LAUNCHERS);
        for (Swept swept : collectRecords(launchers.records(), jobs, workers)) {
          tally.add(swept);
        }
        collectProfiles(launchers.profiles(), listed.values(), tally, workers);
        result.add(tally.garbage());
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
   * Users write their domains: what is wrong with one of them is its own problem.
   *
   * @param jobs what jobs run that may be requeued
   */
  private Garbage collect(String domain, Listed listed, Set<Digest> jobs, ExecutorService workers)
      throws StoreException {
    Tally tally = new Tally(domain);
    try {
      collect(domain, listed, jobs, tally, workers);
    } catch (StoreException e) {
      tally.note(e);
    }
    return tally.garbage();
  }

  private void collect(
      String domain, Listed listed, Set<Digest> jobs, Tally tally, ExecutorService workers)
      throws StoreException {
    Map<Digest, String> tagged = tagged(domain);
    Needs needs = new Needs(domain, listed.manifests());
    for (Map.Entry<Digest, String> manifest : tagged.entrySet()) {
      needs.add(manifest.getKey(), manifest.getValue());
    }
    for (Digest manifest : listed.manifests()) {
      if (tagged.containsKey(manifest)) {
        continue;
      }
      if (jobs.contains(manifest)) {
        needs.add(manifest, "");
      } else if (!sweepImage(domain, manifest, tally)) {
        tally.waitingBytes += needs.add(manifest, "");
      }
    }
    needs.settleAbsent(jobs);
    if (needs.unknown.isPresent()) {
      throw needs.unknown.get();
    }
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest chunk : listed.chunks()) {
      if (!needs.chunks.contains(chunk)) {
        tasks.add(() -> sweep(domain, ImageStore.chunkObject(chunk), before));
      }
    }
    all(tasks, tally, workers);
  }

  /** Whether it is gone. */
  private boolean sweepImage(String domain, Digest manifest, Tally tally) throws StoreException {
    try {
      Swept swept = sweep(domain, ImageStore.manifestObject(manifest), before);
      tally.addImage(swept);
      return swept.gone();
    } catch (StoreException e) {
      tally.note(e);
      return false;
    }
  }

  /** What became of a domain so far. */
  private static final class Tally {
    private final String domain;
    private long images;
    private long objects;
    private long bytes;
    private long waitingBytes;
    private Optional<StoreException> problem = Optional.empty();

    Tally(String domain) {
      this.domain = domain;
    }

    void add(Swept swept) {
      objects += swept.gone() ? 1 : 0;
      bytes += swept.bytes();
      waitingBytes += swept.waitingBytes();
    }

    void addImage(Swept swept) {
      images += swept.gone() ? 1 : 0;
      add(swept);
    }

    /** Keeps a failure with the domain, unless the next domain would meet the same. */
    void note(StoreException failure) throws StoreException {
      boolean isEverybodys = failure.kind() == UNAVAILABLE || failure.kind() == DENIED;
      if (isEverybodys || Thread.currentThread().isInterrupted()) {
        throw failure;
      }
      if (problem.isEmpty()) {
        problem = Optional.of(failure);
      }
    }

    Garbage garbage() {
      return new Garbage(domain, images, objects, bytes, waitingBytes, problem);
    }
  }

  /**
   * What the manifests need that stay. Of one that cannot be read nobody knows: damage may be
   * repaired, and a later version may read what this one cannot. Nor of one that is said not to be
   * there, while something says that it should be. So no chunk of its domain goes; the other
   * domains, and manifests, do not depend on it.
   */
  private final class Needs {
    private final String domain;
    private final Set<Digest> listed;
    private final Set<Digest> chunks = new HashSet<>();
    private final Set<Digest> absent = new HashSet<>();
    private Optional<StoreException> unknown = Optional.empty();

    Needs(String domain, Set<Digest> listed) {
      this.domain = domain;
      this.listed = listed;
    }

    /**
     * Adds a manifest's, and returns the bytes that no other needs.
     *
     * @param tag that points to it, or empty
     */
    long add(Digest manifest, String tag) throws StoreException {
      try {
        Optional<Manifest> found = Manifests.readFromPrimary(store, domain, manifest);
        if (found.isPresent()) {
          return add(found.get());
        }
        absent.add(manifest);
      } catch (Manifest.MalformedException e) {
        note(manifest, tag, (e.isDamaged() ? "damaged: " : "malformed: ") + e.getMessage(), e);
      } catch (StoreException e) {
        if (e.kind() == UNAVAILABLE || e.kind() == DENIED) {
          throw e;
        }
        note(manifest, tag, "unreadable: " + e.getMessage(), e);
      }
      return 0;
    }

    private long add(Manifest manifest) {
      long bytes = 0;
      for (Manifest.Chunk chunk : manifest.chunks()) {
        bytes += chunks.add(chunk.digest()) ? chunk.length() : 0;
      }
      return bytes;
    }

    /**
     * Tells manifests that others have removed meanwhile, which need nothing, from those that the
     * store has lost or does not show. Tags are listed anew: a manifest goes after its last tag.
     */
    void settleAbsent(Set<Digest> jobs) throws StoreException {
      if (absent.isEmpty()) {
        return;
      }
      Map<Digest, String> tagged = tagged(domain);
      for (Digest manifest : Set.copyOf(absent)) {
        boolean isWanted =
            tagged.containsKey(manifest) || (listed.contains(manifest) && jobs.contains(manifest));
        if (isWanted || store.trace(domain, ImageStore.manifestObject(manifest)).isPresent()) {
          requireAgain(manifest, tagged.getOrDefault(manifest, ""));
        }
      }
    }

    /** It may have been pushed again meanwhile. */
    private void requireAgain(Digest manifest, String tag) throws StoreException {
      absent.remove(manifest);
      add(manifest, tag);
      if (absent.contains(manifest)) {
        note(manifest, tag, "missing: the store says that it is not there", null);
      }
    }

    private void note(Digest manifest, String tag, String state, Exception cause) {
      if (unknown.isEmpty()) {
        unknown = Optional.of(unknown(manifest, tag, state, cause));
      }
    }

    private StoreException unknown(Digest manifest, String tag, String state, Exception cause) {
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
              + state
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
  private void collectProfiles(
      Set<Digest> profiles, Collection<Listed> domains, Tally tally, ExecutorService workers)
      throws StoreException {
    Set<Digest> orphans = new HashSet<>(profiles);
    domains.forEach(domain -> orphans.removeAll(domain.manifests()));
    List<Callable<Swept>> tasks = new ArrayList<>();
    for (Digest orphan : orphans) {
      tasks.add(() -> sweep(ImageStore.LAUNCHERS, ImageStore.profileObject(orphan), before));
    }
    all(tasks, tally, workers);
  }

  /** What tags point to, each with one of its tags. */
  private Map<Digest, String> tagged(String domain) throws StoreException {
    Map<Digest, String> tagged = new HashMap<>();
    store.visitTags(
        domain,
        ObjectStore.TagPart.NAME_AND_VALUE,
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

  /** Does all tasks, and tells the tally of each how it went. */
  private static void all(List<Callable<Swept>> tasks, Tally tally, ExecutorService workers)
      throws StoreException {
    for (Future<Swept> result : done(tasks, workers)) {
      try {
        tally.add(get(result));
      } catch (StoreException e) {
        tally.note(e);
      }
    }
  }

  /** Does all tasks; one that fails is the failure of all. */
  private static List<Swept> all(List<Callable<Swept>> tasks, ExecutorService workers)
      throws StoreException {
    List<Swept> results = new ArrayList<>();
    for (Future<Swept> result : done(tasks, workers)) {
      results.add(get(result));
    }
    return results;
  }

  private static List<Future<Swept>> done(List<Callable<Swept>> tasks, ExecutorService workers)
      throws StoreException {
    try {
      return workers.invokeAll(tasks);
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  private static Swept get(Future<Swept> result) throws StoreException {
    try {
      return result.get();
    } catch (InterruptedException e) {
      throw interrupted(e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException failure) {
        throw failure;
      }
      throw new StoreException(INTERNAL, "cannot collect: " + e.getCause(), e);
    }
  }

  private static StoreException interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new StoreException(INTERNAL, "cannot collect: interrupted", e);
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
