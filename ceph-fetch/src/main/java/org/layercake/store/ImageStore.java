package org.layercake.store;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
  private static final int WORKERS =
      Math.max(2, Math.min(8, Runtime.getRuntime().availableProcessors() / 4));

  /** Chunks read again at once; a replica is read by a connection of its own. */
  private static final int READ_AGAIN = 2;

  private final ObjectStore store;
  private final InstantSource clock;
  private final BufferPool buffers = new BufferPool(Window.MOST + WORKERS);
  private final ExecutorService readers = Daemons.asNeeded("read");
  private final ChunkReader.Means means;
  private final Tags tags;
  private final JobRecords records;
  private final Resolver resolver;
  private final ImagePush.Means pushing;
  private final StartProfiles profiles;
  private final Origins origins;

  ImageStore(ObjectStore store, InstantSource clock, ChunkWriter.Cutter cutter) {
    this(store, clock, cutter, Machines.here());
  }

  /**
   * @param here the processor whose image is meant where a name has several
   */
  ImageStore(ObjectStore store, InstantSource clock, ChunkWriter.Cutter cutter, String here) {
    this.store = store;
    this.clock = clock;
    this.means =
        new ChunkReader.Means(
            store, buffers, readers, new Semaphore(WORKERS), new Semaphore(READ_AGAIN, true));
    this.tags = new Tags(store);
    this.records = new JobRecords(store, clock);
    this.resolver = new Resolver(store, tags, records, here);
    this.origins = new Origins(store);
    this.pushing = new ImagePush.Means(store, tags, origins, buffers, cutter, clock);
    this.profiles = new StartProfiles(store);
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

  /** The access domain of an owner: a RADOS namespace, or a directory. */
  public static String domain(String owner) {
    return ObjectNames.domain(owner);
  }

  /** The owner of an access domain: a user, or {@code site}. */
  public static String owner(String domain) {
    return ObjectNames.owner(domain);
  }

  /**
   * Finds an image for a user whose own key this store has: a bare name in the user's own domain
   * first, then in the site's library; with an owner there only. Other users' images are denied,
   * whether they exist or not.
   */
  public Image resolve(ImageName name, String user) throws StoreException {
    return resolver.resolve(name, user);
  }

  /**
   * The same for a processor, as {@code uname -m} names it, and no other.
   *
   * @throws StoreException of kind NOT_FOUND also when the name has none for it
   */
  public Image resolve(ImageName name, String user, String machine) throws StoreException {
    return resolver.resolve(name, user, machine);
  }

  /** All images of the name of one, which are for different processors. */
  public List<Tagged> beside(Image image) throws StoreException {
    return tags.all(image.name());
  }

  /**
   * Finds an image for a user to run, with a key that reads all: also another user's, if its owner
   * shares it.
   *
   * @param memberOf whether the user is in the group of that name
   */
  public Image resolveToRun(ImageName name, String user, Predicate<String> memberOf)
      throws StoreException {
    return resolver.resolveToRun(name, user, memberOf);
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
    return resolver.resolveForJob(job, name, user, memberOf);
  }

  /**
   * Whether this launcher is to tell of a job's image: true for one of those who ask about a job
   * and a name, and never again for 30 days.
   */
  public boolean claimComment(JobRef job, ImageName name, String domain, Digest digest)
      throws StoreException {
    return records.claimComment(job, name, domain, digest);
  }

  /**
   * Whether the store answers, and this key may do what a launcher's has to; changes nothing.
   *
   * @throws StoreException of kind MISCONFIGURED when it may not write the launchers' domain
   */
  public void probeForLauncher() throws StoreException {
    tags.names(ImageName.SITE, 1);
    records.probe();
  }

  /**
   * An image that was resolved before, by its {@link Image#pinned} name; nobody is asked again who
   * may use it.
   */
  public Image reload(ImageName pinned) throws StoreException {
    return resolver.reload(pinned);
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
    fill(image, FileFiller.of(image.manifest(), Optional.of(target), listener));
  }

  /**
   * As {@link #fetch}, into a file that may hold part of the image already: chunks that are there
   * are not read again.
   *
   * @param target open for reading and writing
   */
  public void fetchRest(Image image, FileChannel target, FetchListener listener)
      throws StoreException, IOException {
    fill(image, FileFiller.ofTheRest(image.manifest(), target, listener));
  }

  /**
   * As {@link #fetch}, to a stream, from its beginning to its end. When this throws, a part of it
   * may have been written.
   */
  public void stream(Image image, OutputStream target, FetchListener listener)
      throws StoreException, IOException {
    fill(image, new OrderedFiller(image.manifest(), target, listener));
  }

  /**
   * Reads every chunk and compares it with its digest, as {@link #fetch} does, and keeps nothing.
   *
   * @throws StoreException of kind CORRUPT naming the first that is missing or damaged
   */
  public void verify(Image image, FetchListener listener) throws StoreException, IOException {
    fill(image, FileFiller.of(image.manifest(), Optional.empty(), listener));
  }

  /**
   * Reads chunks in the order that the filler says, each verified before the filler gets it. Blocks
   * until there are none left, or the filler ends it; interrupts as for {@link #fetch}.
   */
  public void fill(Image image, Filler filler) throws StoreException, IOException {
    new ChunkReader(means, image, filler).run();
  }

  /**
   * Nothing will be fetched for a while: lets go of the memory that fetches have used and none uses
   * now, and of what wakes an idle process, until something is.
   */
  public void rest() {
    buffers.trim();
    store.rest();
  }

  /** What programs in an image read when they start, as far as that is known. */
  public StartProfile startProfile(Image image) throws StoreException {
    return profiles.of(image);
  }

  /**
   * Stores a start profile in the place of the one there is. Of two at once one is lost.
   *
   * @throws StoreException of kind DENIED unless this key may write start profiles
   */
  public void saveStartProfile(Image image, StartProfile profile) throws StoreException {
    profiles.save(image, profile);
  }

  /**
   * Begins to store an image under a name: {@link ImagePush#complete} ends that. It refuses now, as
   * far as that can be known, whatever would be refused then.
   */
  public ImagePush push(ImageName name, String user, Existing existing) throws StoreException {
    return new ImagePush(pushing, Ownership.writable(name, user, "push"), existing);
  }

  /**
   * Points a name at the image that was packed of the same source by the same packer, if its owner
   * still has that.
   *
   * @return empty when there is none: the source must be packed
   */
  public Optional<PushResult> pushKnown(
      ImageName name, String user, Origin.Source source, String packer) throws StoreException {
    ImageName wanted = Ownership.writable(name, user, "push");
    Entries before = tags.seen(wanted);
    String domain = ObjectNames.domain(wanted.owner().orElseThrow());
    Optional<Digest> packed = origins.packed(domain, source, packer);
    if (packed.isEmpty()) {
      return Optional.empty();
    }
    Optional<Image> image = resolver.usable(wanted, packed.get());
    Optional<Origin> origin = origins.of(domain, packed.get());
    if (image.isEmpty() || origin.isEmpty()) {
      return Optional.empty();
    }
    long size = image.get().manifest().size();
    Instant now = clock.instant().truncatedTo(ChronoUnit.SECONDS);
    origins.save(domain, packed.get(), origin.get().again(source, now));
    String machine = image.get().manifest().config().architecture();
    tags.move(before, machine, new Tag(packed.get(), size));
    return Optional.of(new PushResult(domain, wanted, packed.get(), size, 0));
  }

  /** From which registry an image was last pushed, as far as that is known. */
  public Optional<Origin> origin(Image image) throws StoreException {
    return origins.of(image.domain(), image.digest());
  }

  /** The user's own images, then the site's. */
  public Listing list(String user) throws StoreException {
    Ownership.requireUser(user);
    return tags.list(user).and(tags.list(ImageName.SITE));
  }

  /**
   * Since when images are as they are: when each was last pushed, or given or lost a name. Left out
   * is what has gone meanwhile.
   */
  public Map<Tagged, Instant> since(List<Tagged> images) throws StoreException {
    return Traces.of(store, images);
  }

  /** Who beside the user may run the user's own image of that name, whatever its tag. */
  public Audience audience(ImageName name, String user) throws StoreException {
    ImageName own = Ownership.shareable(name, user);
    resolver.requireKnown(name, own);
    return tags.audience(own);
  }

  /** Who beside its owner may run an image. */
  public Audience audience(Image image) throws StoreException {
    return tags.audience(image.name());
  }

  /**
   * Changes who beside the user may run the user's own image of that name, whatever its tag.
   *
   * @param change from who may now to who may then
   */
  public Audience share(ImageName name, String user, Audience.Change change) throws StoreException {
    ImageName own = Ownership.shareable(name, user);
    resolver.requireKnown(name, own);
    return tags.share(own, change);
  }

  /**
   * Points {@code target} at the image that {@code source} names, or at all images of that name if
   * it has several. Both lie in one domain.
   */
  public Tagged tag(ImageName source, ImageName target, String user) throws StoreException {
    ImageName wanted = Ownership.writable(target, user, "tag");
    Image image = resolve(source, user);
    if (!image.name().owner().equals(wanted.owner())) {
      throw new StoreException(
          INVALID,
          "cannot tag \""
              + image.name()
              + "\" as \""
              + wanted
              + "\": they have different owners (layercake copy "
              + image.name()
              + " "
              + wanted
              + ")");
    }
    Tag tag = new Tag(image.digest(), image.manifest().size());
    List<Tagged> all = source.digest().isEmpty() ? tags.all(image.name()) : List.of();
    if (all.isEmpty()) {
      tags.move(tags.seen(wanted), image.manifest().config().architecture(), tag);
    } else {
      tags.copy(all, wanted);
    }
    return new Tagged(wanted, tag.digest(), tag.size(), Audience.NOBODY, Optional.empty());
  }

  /** Removes a name; the images' bytes stay until they are pruned. Says what it pointed to. */
  public List<Tagged> remove(ImageName name, String user) throws StoreException {
    return remove(name, user, Optional.empty());
  }

  /**
   * Removes a name, for all processors or one.
   *
   * @return what it pointed to, one at least
   */
  public List<Tagged> remove(ImageName name, String user, Optional<String> machine)
      throws StoreException {
    ImageName target = Ownership.writable(name, user, "remove");
    List<Tagged> removed = tags.remove(target, machine);
    if (removed.isEmpty()) {
      throw resolver.notFound(name, List.of(target.owner().orElseThrow()));
    }
    return removed;
  }

  /**
   * Removes what no tag needs any more, and nobody has touched for the grace.
   *
   * @param owner of the domain; empty for all domains, with a key that may write them
   * @param grace a day at least: a push relies on it
   * @param dryRun says what would be removed
   */
  public List<Garbage> collect(Optional<String> owner, Duration grace, boolean dryRun)
      throws StoreException {
    return GarbageCollector.after(grace, clock.instant(), store, tags, dryRun)
        .run(owner.map(ObjectNames::domain));
  }

  /** What the user's own images take; not what was removed and is still in the store. */
  public Usage usage(String user) throws StoreException {
    Ownership.requireUser(user);
    Listing listed = tags.list(user);
    listed.requireComplete();
    return Usage.of(listed.images(), image -> resolve(image.exactly(), user).manifest());
  }

  /** How full the store's place is; empty if it cannot tell. */
  public Optional<Space> space() throws StoreException {
    return store.space();
  }
}
