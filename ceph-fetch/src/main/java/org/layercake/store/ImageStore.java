package org.layercake.store;

import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.INVALID;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/**
 * Images in a store. Safe for use by many threads; keep one per process, it holds the connection.
 *
 * <p>An image belongs to an access domain: {@code u.USER}, or {@code site}, the library everyone
 * may read. Who may write where is the back end's business (keys, file modes); whose images a user
 * may read is checked here, because the launcher's own key reads all.
 */
public final class ImageStore implements AutoCloseable {
  /**
   * A tag as listed.
   *
   * @param audience who beside its owner may run it
   */
  public record Tagged(
      String domain, ImageName name, Digest digest, long size, Audience audience) {}

  /**
   * What the images of a domain take.
   *
   * @param ownBytes by image: of chunks that no other image of the domain has
   * @param usedBytes of all images together, each chunk once
   */
  public record Usage(List<Tagged> images, Map<Digest, Long> ownBytes, long usedBytes) {}

  /** What a push does about chunks that are in the store already. */
  public enum Existing {
    TRUST,
    /** Reads them, and writes over those that are damaged. */
    VERIFY
  }

  /** The least grace of {@link #collect}; a push relies on it. */
  public static final Duration MIN_GRACE = Duration.ofDays(1);

  /** Half the grace: the other half is for clocks that disagree. */
  private static final Duration MAX_UNPUBLISHED = MIN_GRACE.dividedBy(2);

  /** The launchers' own domain, of start profiles and of what jobs run; only they write there. */
  static final String LAUNCHERS = "launchers";

  /** No tag begins with a dot. */
  private static final String AUDIENCE_KEY = ".share";

  private static final int MAX_ATTEMPTS = 5;
  private static final int MAX_LISTED = 10_000;
  private static final int MAX_LISTED_FOR_HINTS = 1_000;
  private static final int MAX_HINTS = 3;
  private static final int WORKERS =
      Math.max(2, Math.min(8, java.lang.Runtime.getRuntime().availableProcessors() / 4));

  /** Chunks read again at once; a replica is read by a connection of its own. */
  private static final int READ_AGAIN = 2;

  private final ObjectStore store;
  private final InstantSource clock;
  private final ChunkWriter.Cutter cutter;
  private final ManifestCache manifests = new ManifestCache();
  private final BufferPool buffers = new BufferPool(Window.MOST + WORKERS);
  private final ExecutorService readers = Daemons.asNeeded("read");
  private final ChunkReader.Means means;
  private final JobRecords jobs;

  ImageStore(ObjectStore store, InstantSource clock, ChunkWriter.Cutter cutter) {
    this.store = store;
    this.clock = clock;
    this.cutter = cutter;
    this.means =
        new ChunkReader.Means(
            store, buffers, readers, new Semaphore(WORKERS), new Semaphore(READ_AGAIN, true));
    this.jobs = new JobRecords(store, clock);
  }

  /** Connects; gives up after 10 s. */
  public static ImageStore open(StoreConfig config) throws StoreException {
    InstantSource clock = InstantSource.system();
    ObjectStore store =
        switch (config.kind()) {
          case RADOS -> RadosStore.open(config, clock);
          case DIRECTORY -> DirectoryStore.open(config.directory().orElseThrow(), clock);
        };
    return new ImageStore(store, clock, Chunker::cut);
  }

  /** Closes the connection. No fetch or push may be under way. */
  @Override
  public void close() {
    readers.shutdown();
    try {
      readers.awaitTermination(1, TimeUnit.MINUTES);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    store.close();
  }

  /**
   * Finds an image for a user whose own key this store has: a bare name in the user's own domain
   * first, then in the site's library; with an owner there only. Other users' images are denied,
   * whether they exist or not.
   */
  public Image resolve(ImageName name, String user) throws StoreException {
    if (foreignOwner(name, user).isPresent()) {
      throw new StoreException(
          DENIED,
          "cannot read image \""
              + name
              + "\": your key reads your own images and the site's (if "
              + name.owner().orElseThrow()
              + " shares it with you, jobs can: srun --ch-image="
              + name
              + ")");
    }
    return resolveAmong(owners(name, user), name);
  }

  /**
   * Finds an image for a user to run, with a key that reads all: also another user's, if its owner
   * shares it.
   *
   * @param memberOf whether the user is in the group of that name
   */
  public Image resolveToRun(ImageName name, String user, Predicate<String> memberOf)
      throws StoreException {
    Optional<String> owner = foreignOwner(name, user);
    if (owner.isEmpty()) {
      return resolveAmong(owners(name, user), name);
    }
    if (!readAudience(domain(owner.get()), name.name()).admits(user, memberOf)
        || (name.digest().isPresent() && !isTagged(owner.get(), name))) {
      throw new StoreException(
          DENIED,
          "cannot use image \""
              + name
              + "\": "
              + owner.get()
              + " does not share it with you (ask for: layercake share "
              + name.name()
              + " --with "
              + user
              + ")");
    }
    return resolveAmong(List.of(owner.get()), name);
  }

  /**
   * As {@link #resolveToRun}, for a launcher: all nodes, steps and sessions of a job get the image
   * that the first of them got, also after a requeue, and when its tag has moved or gone. Nobody is
   * asked again who may use it. A name with a digest is the same image anyway.
   *
   * @throws StoreException of kind NOT_FOUND also when the image was collected since; of kind
   *     MISCONFIGURED when this key may not write the launchers' domain
   */
  public Image resolveForJob(JobRef job, ImageName name, String user, Predicate<String> memberOf)
      throws StoreException {
    if (name.digest().isPresent()) {
      return resolveToRun(name, user, memberOf);
    }
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      Optional<JobRecord> record = jobs.find(job, name);
      if (record.isPresent()) {
        return recorded(job, name, user, record.get());
      }
      Image image = resolveToRun(name, user, memberOf);
      if (jobs.create(job, name, image)) {
        return image;
      }
    }
    throw new StoreException(
        UNAVAILABLE,
        "cannot settle which image "
            + job
            + " runs: its record comes and goes (try again; if that does not help, tell an"
            + " administrator that clocks may differ)");
  }

  /** A record chooses among the images of those whose name it is, and no other's. */
  private Image recorded(JobRef job, ImageName name, String user, JobRecord record)
      throws StoreException {
    if (!owners(name, user).contains(record.owner())) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": the record "
              + JobRecord.object(job, name)
              + " of what "
              + job
              + " runs names an image of "
              + record.owner()
              + " (tell an administrator: somebody may have a node's key)");
    }
    ImageName found = name.withOwner(record.owner());
    String domain = domain(record.owner());
    Optional<Image> image = load(domain, found, record.digest());
    return image.orElseThrow(
        () ->
            new StoreException(
                NOT_FOUND,
                "cannot find image \""
                    + name
                    + "\": "
                    + job
                    + " runs "
                    + record.digest()
                    + " since "
                    + record.created()
                    + ", which was collected as garbage meanwhile (push it again, or submit the job"
                    + " anew)"));
  }

  /**
   * An image that was resolved before, by its {@link Image#pinned} name; nobody is asked again who
   * may use it.
   */
  public Image reload(ImageName pinned) throws StoreException {
    return resolveAmong(List.of(pinned.owner().orElseThrow()), pinned);
  }

  private Image resolveAmong(List<String> owners, ImageName name) throws StoreException {
    for (String owner : owners) {
      Optional<Image> image = find(name.withOwner(owner));
      if (image.isPresent()) {
        return image.get();
      }
    }
    throw notFound(name, owners);
  }

  private static List<String> owners(ImageName name, String user) throws StoreException {
    requireUser(user);
    return name.owner().map(List::of).orElse(List.of(user, ImageName.SITE));
  }

  /** The owner if that is neither the user nor the site. */
  private static Optional<String> foreignOwner(ImageName name, String user) {
    return name.owner().filter(owner -> !owner.equals(user) && !owner.equals(ImageName.SITE));
  }

  /** Who may run what has this name may run what its tags point to, not what else the owner has. */
  private boolean isTagged(String owner, ImageName name) throws StoreException {
    Digest digest = name.digest().orElseThrow();
    for (ImageName tag : tagNames(owner, MAX_LISTED)) {
      if (tag.name().equals(name.name()) && pointsTo(tag, digest)) {
        return true;
      }
    }
    return false;
  }

  private boolean pointsTo(ImageName tag, Digest digest) throws StoreException {
    Optional<Tag> found = tagOf(store.readTag(domain(tag.owner().orElseThrow()), key(tag)));
    return found.isPresent() && found.get().digest().equals(digest);
  }

  private Optional<Image> find(ImageName name) throws StoreException {
    String domain = domain(name.owner().orElseThrow());
    if (name.digest().isPresent()) {
      return load(domain, name, name.digest().get());
    }
    Optional<Tag> tag = readTag(domain, name);
    if (tag.isEmpty()) {
      return Optional.empty();
    }
    Digest digest = tag.get().digest();
    Optional<Image> image = load(domain, name, digest);
    if (image.isEmpty()) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": the manifest "
              + digest
              + " is missing in domain "
              + domain
              + " (push the image again)");
    }
    return image;
  }

  private Optional<Image> load(String domain, ImageName name, Digest digest) throws StoreException {
    return manifests
        .get(domain, digest, () -> read(domain, name, digest))
        .map(manifest -> new Image(domain, name, digest, manifest));
  }

  private Optional<Manifest> read(String domain, ImageName name, Digest digest)
      throws StoreException {
    try {
      return Manifests.read(store, domain, digest);
    } catch (Manifest.MalformedException e) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": the manifest "
              + digest
              + " in domain "
              + domain
              + (e.isDamaged()
                  ? " is corrupt (push the image again with --repair)"
                  : " is malformed, and was when it was stored: "
                      + e.getMessage()
                      + " (push the image again)"),
          e);
    }
  }

  private StoreException notFound(ImageName name, List<String> owners) throws StoreException {
    TreeSet<String> near = new TreeSet<>();
    for (String owner : owners) {
      if (name.digest().isEmpty()) {
        near.addAll(NearNames.find(name, tagNames(owner, MAX_LISTED_FOR_HINTS)));
      }
    }
    String hint =
        near.isEmpty()
            ? "see: layercake ls"
            : "did you mean " + String.join(", ", near.stream().limit(MAX_HINTS).toList()) + "?";
    String places = String.join(" or ", owners.stream().map(ImageStore::placeName).toList());
    return new StoreException(
        NOT_FOUND, "cannot find image \"" + name + "\": not among " + places + " (" + hint + ")");
  }

  private static String placeName(String owner) {
    return owner.equals(ImageName.SITE) ? "the site's images" : "the images of " + owner;
  }

  private List<ImageName> tagNames(String owner, int max) throws StoreException {
    List<ImageName> names = new ArrayList<>();
    for (String key :
        store.listTags(domain(owner), ObjectStore.TagPart.NAME, max).tags().keySet()) {
      nameOfKey(owner, key).ifPresent(names::add);
    }
    return names;
  }

  /**
   * Writes the whole image into {@code target}, every chunk at its offset, in any order, verified
   * first. Blocks; an interrupt of the calling thread ends it with an {@link
   * java.io.InterruptedIOException}. When this throws, the target may have been written in part,
   * and nobody writes to it any more.
   *
   * @throws IOException if the target can not be written
   */
  public void fetch(Image image, FileChannel target, FetchListener listener)
      throws StoreException, IOException {
    reader(image, Optional.of(target), listener).run();
  }

  /**
   * As {@link #fetch}, into a file that may hold part of the image already: chunks that are there
   * are not read again.
   *
   * @param target open for reading and writing
   */
  public void fetchRest(Image image, FileChannel target, FetchListener listener)
      throws StoreException, IOException {
    List<Manifest.Chunk> chunks = image.manifest().chunks();
    List<Integer> missing = new ArrayList<>();
    for (int i = 0; i < chunks.size(); i++) {
      if (!isIn(target, chunks.get(i))) {
        missing.add(i);
      }
    }
    target.truncate(image.manifest().size());
    reader(image, new FileFiller(image.manifest(), missing, Optional.of(target), listener)).run();
  }

  private static boolean isIn(FileChannel file, Manifest.Chunk chunk) throws IOException {
    if (file.size() < chunk.offset() + chunk.length()) {
      return false;
    }
    ByteBuffer content = ByteBuffer.allocate(chunk.length());
    while (content.hasRemaining()
        && file.read(content, chunk.offset() + content.position()) >= 0) {}
    return Digest.of(content.flip()).equals(chunk.digest());
  }

  /**
   * Reads every chunk and compares it with its digest, as {@link #fetch} does, and keeps nothing.
   *
   * @throws StoreException of kind CORRUPT naming the first that is missing or damaged
   */
  public void verify(Image image, FetchListener listener) throws StoreException, IOException {
    reader(image, Optional.empty(), listener).run();
  }

  /**
   * Nothing will be fetched for a while: lets go of the memory that fetches have used and none uses
   * now, and of what wakes an idle process, until something is.
   */
  public void rest() {
    buffers.trim();
    store.rest();
  }

  private ChunkReader reader(Image image, Optional<FileChannel> target, FetchListener listener) {
    List<Integer> all = new ArrayList<>();
    for (int i = 0; i < image.manifest().chunks().size(); i++) {
      all.add(i);
    }
    return reader(image, new FileFiller(image.manifest(), all, target, listener));
  }

  private ChunkReader reader(Image image, Filler filler) {
    return new ChunkReader(means, image, filler);
  }

  /**
   * Reads chunks in the order that the filler says, each verified before the filler gets it. Blocks
   * until there are none left, or the filler ends it; interrupts as for {@link #fetch}.
   */
  public void fill(Image image, Filler filler) throws StoreException, IOException {
    reader(image, filler).run();
  }

  /** What programs in an image read when they start, as far as that is known. */
  public StartProfile startProfile(Image image) throws StoreException {
    Optional<byte[]> bytes =
        store.read(LAUNCHERS, profileObject(image.digest()), StartProfile.MAX_BYTES);
    return bytes.isEmpty()
        ? StartProfile.NONE
        : StartProfile.parse(bytes.get(), image.manifest().chunks().size());
  }

  /**
   * Stores a start profile in the place of the one there is. Of two at once one is lost.
   *
   * @throws StoreException of kind DENIED unless this key may write start profiles
   */
  public void saveStartProfile(Image image, StartProfile profile) throws StoreException {
    byte[] bytes = profile.bytes();
    ByteBuffer content = ByteBuffer.allocateDirect(bytes.length).put(0, bytes);
    store.overwrite(LAUNCHERS, profileObject(image.digest()), content);
  }

  /** Refuses early what {@link #push} would refuse at its end, as far as that can be known. */
  public void checkPush(ImageName name, String user) throws StoreException {
    ImageName target = writable(name, user, "push");
    store.readTag(domain(target.owner().orElseThrow()), key(target));
  }

  /** Prepares to store a file that is still being written, for a push under that name. */
  public PushAhead pushAhead(ImageName name, String user, Existing existing) throws StoreException {
    String domain = domain(writable(name, user, "push").owner().orElseThrow());
    return new PushAhead(
        new ChunkWriter(store, buffers, cutter, domain, existing, (done, fresh) -> {}),
        clock.instant());
  }

  /**
   * Stores an image file and points the name at it: chunks first, then the manifest, the tag last.
   * Run again after an interruption it sends only what is missing.
   *
   * @param ahead what began to store the file before it was finished; it ends here
   * @throws IOException if the file can not be read
   */
  public PushResult push(
      Path squashfs,
      ImageName name,
      String user,
      ImageConfig config,
      Existing existing,
      PushAhead ahead,
      PushListener listener)
      throws StoreException, IOException {
    ImageName target = writable(name, user, "push");
    String domain = domain(target.owner().orElseThrow());
    Optional<byte[]> before = store.readTag(domain, key(target));
    ChunkWriter writer = new ChunkWriter(store, buffers, cutter, domain, existing, listener);
    List<ChunkWriter.Stored> guesses = ahead.finish();
    List<Manifest.Chunk> chunks;
    try (FileChannel source = FileChannel.open(squashfs, StandardOpenOption.READ)) {
      chunks = writer.run(source::read, guesses);
    }
    listener.beforeVisible();
    Manifest manifest = manifest(squashfs, chunks, config);
    Digest digest = storeManifest(domain, manifest, existing);
    if (Duration.between(ahead.begun(), clock.instant()).compareTo(MAX_UNPUBLISHED) > 0) {
      requireKept(domain, target, chunks);
    }
    moveTag(domain, target, before, new Tag(digest, manifest.size()));
    return new PushResult(domain, target, digest, manifest.size(), writer.bytesNew());
  }

  /**
   * A push so slow that a collection may have taken its first chunks for garbage. Now that there is
   * a manifest no other will; what was taken before is found out here.
   */
  private void requireKept(String domain, ImageName name, List<Manifest.Chunk> chunks)
      throws StoreException {
    for (Manifest.Chunk chunk : chunks) {
      if (!store.touch(domain, chunkObject(chunk.digest()))) {
        throw new StoreException(
            UNAVAILABLE,
            "cannot push "
                + name
                + ": it took more than "
                + MAX_UNPUBLISHED.toHours()
                + " h, and parts of it were collected as garbage meanwhile (push it again, the rest"
                + " is there)");
      }
    }
  }

  private static Manifest manifest(Path file, List<Manifest.Chunk> chunks, ImageConfig config)
      throws StoreException {
    long size = chunks.stream().mapToLong(Manifest.Chunk::length).sum();
    try {
      return new Manifest(Chunker.ID, size, config, chunks);
    } catch (IllegalArgumentException e) {
      throw new StoreException(
          BAD_SOURCE, "cannot push " + file + ": it would make " + e.getMessage(), e);
    }
  }

  private Digest storeManifest(String domain, Manifest manifest, Existing existing)
      throws StoreException {
    byte[] bytes = manifest.bytes();
    if (bytes.length > Manifest.MAX_BYTES) {
      throw new StoreException(
          BAD_SOURCE, "cannot push image: too large (its manifest has " + bytes.length + " bytes)");
    }
    Digest digest = Digest.of(bytes);
    ByteBuffer content = ByteBuffer.allocateDirect(bytes.length).put(0, bytes);
    String object = manifestObject(digest);
    if (existing == Existing.VERIFY) {
      store.overwrite(domain, object, content);
    } else if (!store.touch(domain, object)) {
      store.create(domain, object, content);
    }
    return digest;
  }

  /**
   * Images by name.
   *
   * @param isComplete whether there are no more than these
   */
  public record Listing(List<Tagged> images, boolean isComplete) {
    /** To be called when what there is has been shown. */
    public void requireComplete() throws StoreException {
      if (!isComplete) {
        throw new StoreException(
            CORRUPT,
            "cannot list all images: more than "
                + MAX_LISTED
                + " entries, or "
                + (ObjectStore.MAX_LISTED_BYTES >> 20)
                + " MiB of them, are stored as tags of yours or of the site's (remove some)");
      }
    }
  }

  /** The user's own images, then the site's. */
  public Listing list(String user) throws StoreException {
    requireUser(user);
    Listing own = tags(user);
    Listing sites = tags(ImageName.SITE);
    List<Tagged> all = new ArrayList<>(own.images());
    all.addAll(sites.images());
    return new Listing(all, own.isComplete() && sites.isComplete());
  }

  private Listing tags(String owner) throws StoreException {
    ObjectStore.TagList listed =
        store.listTags(domain(owner), ObjectStore.TagPart.NAME_AND_VALUE, MAX_LISTED);
    SortedMap<String, byte[]> entries = listed.tags();
    List<Tagged> tags = new ArrayList<>();
    for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
      Optional<ImageName> name = nameOfKey(owner, entry.getKey());
      Optional<Tag> tag = Tag.read(entry.getValue());
      if (name.isPresent() && tag.isPresent()) {
        byte[] audience = entries.get(audienceKey(name.get().name()));
        tags.add(
            new Tagged(
                domain(owner),
                name.get(),
                tag.get().digest(),
                tag.get().size(),
                owner.equals(ImageName.SITE) ? Audience.ALL : audience(audience)));
      }
    }
    return new Listing(tags, listed.isComplete());
  }

  /** Who beside the user may run the user's own image of that name, whatever its tag. */
  public Audience audience(ImageName name, String user) throws StoreException {
    String domain = shareable(name, user);
    requireTagged(domain, name, user);
    return readAudience(domain, name.name());
  }

  /** Who beside its owner may run an image. */
  public Audience audience(Image image) throws StoreException {
    return image.domain().equals(domain(ImageName.SITE))
        ? Audience.ALL
        : readAudience(image.domain(), image.name().name());
  }

  /**
   * Changes who beside the user may run the user's own image of that name, whatever its tag.
   *
   * @param change from who may now to who may then
   */
  public Audience share(ImageName name, String user, AudienceChange change) throws StoreException {
    String domain = shareable(name, user);
    requireTagged(domain, name, user);
    String key = audienceKey(name.name());
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      Optional<byte[]> before = store.readTag(domain, key);
      Audience wanted = change.apply(audience(before.orElse(null)));
      Optional<byte[]> after = wanted.isNobody() ? Optional.empty() : Optional.of(wanted.bytes());
      if (store.swapTag(domain, key, before, after)) {
        return wanted;
      }
    }
    throw lostRace("share", name);
  }

  /** What {@link #share} does to an audience. */
  public interface AudienceChange {
    Audience apply(Audience now) throws StoreException;
  }

  private static String shareable(ImageName name, String user) throws StoreException {
    requireUser(user);
    if (!name.tag().equals(ImageName.DEFAULT_TAG) || name.digest().isPresent()) {
      throw new StoreException(
          INVALID,
          "cannot share \""
              + name
              + "\": a name is shared with all its tags (write "
              + name.name()
              + ")");
    }
    if (name.owner().filter(owner -> !owner.equals(user)).isPresent()) {
      throw new StoreException(
          INVALID,
          "cannot share \""
              + name
              + "\": only your own images are yours to share, and the site's are everybody's");
    }
    return domain(user);
  }

  private void requireTagged(String domain, ImageName name, String user) throws StoreException {
    if (tagNames(user, MAX_LISTED).stream().noneMatch(tag -> tag.name().equals(name.name()))
        && store.readTag(domain, audienceKey(name.name())).isEmpty()) {
      throw notFound(name, List.of(user));
    }
  }

  private Audience readAudience(String domain, String name) throws StoreException {
    return audience(store.readTag(domain, audienceKey(name)).orElse(null));
  }

  /** What cannot be read admits nobody. */
  private static Audience audience(byte[] stored) {
    try {
      return stored == null ? Audience.NOBODY : Audience.parse(stored);
    } catch (StoreException e) {
      return Audience.NOBODY;
    }
  }

  /**
   * Removes what no tag needs any more, and nobody has touched for the grace.
   *
   * @param owner of the domain; empty for all domains, with a key that may write them
   * @param grace at least {@link #MIN_GRACE}
   * @param dryRun says what would be removed
   */
  public List<Garbage> collect(Optional<String> owner, Duration grace, boolean dryRun)
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
    Instant now = clock.instant();
    Duration recordsGrace = grace.compareTo(JobRecords.KEPT) > 0 ? grace : JobRecords.KEPT;
    return new GarbageCollector(store, now.minus(grace), now.minus(recordsGrace), dryRun)
        .run(owner.map(ImageStore::domain));
  }

  /** How full the store's place is; empty if it cannot tell. */
  public Optional<Space> space() throws StoreException {
    return store.space();
  }

  /** What the user's own images take; not what was removed and is still in the store. */
  public Usage usage(String user) throws StoreException {
    requireUser(user);
    Listing listed = tags(user);
    listed.requireComplete();
    List<Tagged> images = listed.images();
    Map<Digest, Map<Digest, Integer>> chunks = new HashMap<>(); // of each image, by digest
    Map<Digest, Integer> holders = new HashMap<>(); // of each chunk
    Map<Digest, Integer> all = new HashMap<>();
    for (Tagged image : images) {
      if (!chunks.containsKey(image.digest())) {
        Map<Digest, Integer> own = new HashMap<>();
        resolve(image.name(), user)
            .manifest()
            .chunks()
            .forEach(chunk -> own.put(chunk.digest(), chunk.length()));
        own.keySet().forEach(chunk -> holders.merge(chunk, 1, Integer::sum));
        chunks.put(image.digest(), own);
        all.putAll(own);
      }
    }
    Map<Digest, Long> ownBytes = new HashMap<>();
    chunks.forEach((image, own) -> ownBytes.put(image, sum(own, chunk -> holders.get(chunk) == 1)));
    return new Usage(images, ownBytes, sum(all, chunk -> true));
  }

  private static long sum(Map<Digest, Integer> chunks, Predicate<Digest> wanted) {
    return chunks.entrySet().stream()
        .filter(chunk -> wanted.test(chunk.getKey()))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /** Points {@code target} at the image that {@code source} names. Both lie in one domain. */
  public Tagged tag(ImageName source, ImageName target, String user) throws StoreException {
    ImageName wanted = writable(target, user, "tag");
    Image image = resolve(source, user);
    String domain = domain(wanted.owner().orElseThrow());
    if (!image.domain().equals(domain)) {
      throw new StoreException(
          INVALID,
          "cannot tag \""
              + image.name()
              + "\" as \""
              + wanted
              + "\": they have different owners (pull the image, then push it)");
    }
    Tag tag = new Tag(image.digest(), image.manifest().size());
    moveTag(domain, wanted, store.readTag(domain, key(wanted)), tag);
    return tagged(domain, wanted, tag);
  }

  /** Removes a tag; the image's bytes stay until they are pruned. Returns what it pointed to. */
  public Tagged remove(ImageName name, String user) throws StoreException {
    ImageName target = writable(name, user, "remove");
    String domain = domain(target.owner().orElseThrow());
    Optional<Tag> before = readTag(domain, target);
    if (before.isEmpty()) {
      throw notFound(name, List.of(target.owner().orElseThrow()));
    }
    // The grace of what no tag needs begins now.
    store.touch(domain, manifestObject(before.get().digest()));
    if (!store.swapTag(domain, key(target), before.map(Tag::bytes), Optional.empty())) {
      throw lostRace("remove", target);
    }
    return tagged(domain, target, before.get());
  }

  private static Tagged tagged(String domain, ImageName name, Tag tag) {
    return new Tagged(domain, name, tag.digest(), tag.size(), Audience.NOBODY);
  }

  /** With its owner filled in: what is written goes to the user's own domain unless said. */
  private static ImageName writable(ImageName name, String user, String act) throws StoreException {
    if (name.digest().isPresent()) {
      throw new StoreException(
          INVALID,
          "cannot " + act + " \"" + name + "\": a digest can not be chosen (leave out the @ part)");
    }
    if (foreignOwner(name, user).isPresent()) {
      throw new StoreException(
          DENIED,
          "cannot "
              + act
              + " \""
              + name
              + "\": the images of "
              + name.owner().orElseThrow()
              + " are private (choose a name of your own)");
    }
    return name.withOwner(owners(name, user).get(0));
  }

  /**
   * Points a tag at a manifest that was there a moment ago. The last touch proves that it still is:
   * a collection that has not seen the tag move fails to remove what was touched, and one that was
   * faster is found out.
   */
  private void moveTag(String domain, ImageName name, Optional<byte[]> before, Tag wanted)
      throws StoreException {
    Optional<Tag> left = tagOf(before);
    if (left.filter(tag -> !tag.digest().equals(wanted.digest())).isPresent()) {
      store.touch(domain, manifestObject(left.get().digest())); // its grace begins now
    }
    boolean moved =
        left.equals(Optional.of(wanted))
            || store.swapTag(domain, key(name), before, Optional.of(wanted.bytes()))
            || tagOf(store.readTag(domain, key(name))).equals(Optional.of(wanted));
    if (!moved) {
      throw lostRace("move tag", name);
    }
    if (!store.touch(domain, manifestObject(wanted.digest()))) {
      undoMove(domain, key(name), before, wanted);
      throw new StoreException(
          UNAVAILABLE,
          "cannot tag \""
              + name
              + "\": its image was collected as garbage at the same time (push it again)");
    }
  }

  /** Back to what the tag was, if that is still there; if someone else moved it, that holds. */
  private void undoMove(String domain, String key, Optional<byte[]> before, Tag wanted)
      throws StoreException {
    boolean undone = store.swapTag(domain, key, Optional.of(wanted.bytes()), before);
    Optional<Tag> left = tagOf(before);
    if (undone && left.isPresent() && !store.touch(domain, manifestObject(left.get().digest()))) {
      store.swapTag(domain, key, before, Optional.empty());
    }
  }

  private static StoreException lostRace(String act, ImageName name) {
    return new StoreException(
        UNAVAILABLE,
        "cannot "
            + act
            + " \""
            + name
            + "\": someone else moved it at the same time (look with \"layercake ls\", try again)");
  }

  private Optional<Tag> readTag(String domain, ImageName name) throws StoreException {
    Optional<byte[]> stored = store.readTag(domain, key(name));
    Optional<Tag> tag = tagOf(stored);
    if (stored.isPresent() && tag.isEmpty()) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": its tag in domain "
              + domain
              + " is malformed (push the image again)");
    }
    return tag;
  }

  /** Empty also for what is no tag. */
  private static Optional<Tag> tagOf(Optional<byte[]> stored) throws StoreException {
    return stored.isEmpty() ? Optional.empty() : Tag.read(stored.get());
  }

  private static void requireUser(String user) throws StoreException {
    if (!ImageName.isUser(user)) {
      throw new StoreException(
          INVALID, "cannot use the store as \"" + user + "\": this user name can not own images");
    }
  }

  /** The access domain of an owner: a RADOS namespace, or a directory. */
  public static String domain(String owner) {
    return owner.equals(ImageName.SITE) ? "site" : "u." + owner;
  }

  /** The owner of an access domain: a user, or {@code site}. */
  public static String owner(String domain) {
    return domain.startsWith("u.") ? domain.substring(2) : domain;
  }

  static String chunkObject(Digest digest) {
    return "c/" + digest.hex();
  }

  static String manifestObject(Digest digest) {
    return "m/" + digest.hex();
  }

  /** Of an image, by its digest. */
  static String profileObject(Digest digest) {
    return "s/" + digest.hex();
  }

  private static String audienceKey(String name) {
    return name + "/" + AUDIENCE_KEY;
  }

  private static String key(ImageName name) {
    return name.name() + "/" + name.tag();
  }

  /** Empty for what is no name of ours: others may have written it. */
  private static Optional<ImageName> nameOfKey(String owner, String key) {
    int slash = key.indexOf('/');
    if (slash < 0) {
      return Optional.empty();
    }
    try {
      return Optional.of(
          new ImageName(
              Optional.of(owner),
              key.substring(0, slash),
              key.substring(slash + 1),
              Optional.empty()));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
