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
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
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
  /** A tag as listed. */
  public record Tagged(String domain, ImageName name, Digest digest, long size) {}

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

  private static final int MAX_LISTED = 10_000;
  private static final int MAX_LISTED_FOR_HINTS = 1_000;
  private static final int MAX_HINTS = 3;
  private static final int WORKERS =
      Math.max(2, Math.min(8, java.lang.Runtime.getRuntime().availableProcessors() / 4));

  private final ObjectStore store;
  private final BufferPool buffers = new BufferPool(ChunkReader.WINDOW + 2 * WORKERS);
  private final ExecutorService workers =
      Executors.newFixedThreadPool(
          WORKERS,
          task -> {
            Thread thread = new Thread(task, "verify");
            thread.setDaemon(true);
            return thread;
          });

  ImageStore(ObjectStore store) {
    this.store = store;
  }

  /** Connects; gives up after 10 s. */
  public static ImageStore open(StoreConfig config) throws StoreException {
    return new ImageStore(
        switch (config.kind()) {
          case RADOS -> RadosStore.open(config);
          case DIRECTORY -> DirectoryStore.open(config.directory().orElseThrow());
        });
  }

  /** Closes the connection. No fetch or push may be under way. */
  @Override
  public void close() {
    workers.shutdown();
    try {
      workers.awaitTermination(1, TimeUnit.MINUTES);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    store.close();
  }

  /**
   * Finds an image for a user: a bare name in the user's own domain first, then in the site's
   * library; with an owner there only. Other users' images are denied, whether they exist or not.
   */
  public Image resolve(ImageName name, String user) throws StoreException {
    List<String> owners = owners(name, user);
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
    if (name.owner().isEmpty()) {
      return List.of(user, ImageName.SITE);
    }
    String owner = name.owner().get();
    if (!owner.equals(user) && !owner.equals(ImageName.SITE)) {
      throw new StoreException(
          DENIED,
          "cannot use image \""
              + name
              + "\": the images of "
              + owner
              + " are private (ask for a copy, or use one of the site's)");
    }
    return List.of(owner);
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
    Optional<Image> image = load(domain, name, tag.get().digest());
    if (image.isEmpty()) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": the manifest "
              + tag.get().digest()
              + " is missing in domain "
              + domain
              + " (push the image again)");
    }
    return image;
  }

  private Optional<Image> load(String domain, ImageName name, Digest digest) throws StoreException {
    Optional<byte[]> bytes = store.read(domain, manifestObject(digest), Manifest.MAX_BYTES);
    if (bytes.isEmpty()) {
      return Optional.empty();
    }
    if (!Digest.of(bytes.get()).equals(digest)) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": the manifest "
              + digest
              + " in domain "
              + domain
              + " is corrupt (push the image again with --repair)");
    }
    return Optional.of(new Image(domain, name, digest, Manifest.parse(bytes.get())));
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
    for (String key : store.listTags(domain(owner), max).keySet()) {
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
    new ChunkReader(store, buffers, workers, image, Optional.of(target), listener).run();
  }

  /**
   * Reads every chunk and compares it with its digest, as {@link #fetch} does, and keeps nothing.
   *
   * @throws StoreException of kind CORRUPT naming the first that is missing or damaged
   */
  public void verify(Image image, FetchListener listener) throws StoreException, IOException {
    new ChunkReader(store, buffers, workers, image, Optional.empty(), listener).run();
  }

  /** Refuses early what {@link #push} would refuse at its end, as far as that can be known. */
  public void checkPush(ImageName name, String user) throws StoreException {
    ImageName target = writable(name, user, "push");
    readTag(domain(target.owner().orElseThrow()), target);
  }

  /**
   * Stores an image file and points the name at it: chunks first, then the manifest, the tag last.
   * Run again after an interruption it sends only what is missing.
   *
   * @throws IOException if the file can not be read
   */
  public PushResult push(
      Path squashfs,
      ImageName name,
      String user,
      ImageConfig config,
      Existing existing,
      PushListener listener)
      throws StoreException, IOException {
    ImageName target = writable(name, user, "push");
    String domain = domain(target.owner().orElseThrow());
    Optional<Tag> before = readTag(domain, target);
    ChunkWriter writer = new ChunkWriter(store, buffers, domain, existing, listener);
    List<Manifest.Chunk> chunks;
    try (FileChannel source = FileChannel.open(squashfs, StandardOpenOption.READ)) {
      chunks = writer.run(source);
    }
    Manifest manifest = manifest(squashfs, chunks, config);
    Digest digest = storeManifest(domain, manifest, existing);
    swapTag(domain, target, before, new Tag(digest, manifest.size()));
    return new PushResult(domain, target, digest, manifest.size(), writer.bytesNew());
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

  /** The user's own images, then the site's, by name. */
  public List<Tagged> list(String user) throws StoreException {
    requireUser(user);
    List<Tagged> all = new ArrayList<>();
    for (String owner : List.of(user, ImageName.SITE)) {
      for (Map.Entry<String, byte[]> entry : store.listTags(domain(owner), MAX_LISTED).entrySet()) {
        Optional<ImageName> name = nameOfKey(owner, entry.getKey());
        Optional<Tag> tag = Tag.read(entry.getValue());
        if (name.isPresent() && tag.isPresent()) {
          all.add(new Tagged(domain(owner), name.get(), tag.get().digest(), tag.get().size()));
        }
      }
    }
    return all;
  }

  /** What the user's own images take; not what was removed and is still in the store. */
  public Usage usage(String user) throws StoreException {
    List<Tagged> images =
        list(user).stream().filter(image -> image.domain().equals(domain(user))).toList();
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
    store.touch(domain, manifestObject(image.digest()));
    swapTag(domain, wanted, readTag(domain, wanted), tag);
    return new Tagged(domain, wanted, tag.digest(), tag.size());
  }

  /** Removes a tag; the image's bytes stay until they are pruned. Returns what it pointed to. */
  public Tagged remove(ImageName name, String user) throws StoreException {
    ImageName target = writable(name, user, "remove");
    String domain = domain(target.owner().orElseThrow());
    Optional<Tag> before = readTag(domain, target);
    if (before.isEmpty()) {
      throw notFound(name, List.of(target.owner().orElseThrow()));
    }
    if (!store.swapTag(domain, key(target), before.map(Tag::bytes), Optional.empty())) {
      throw lostRace("remove", target);
    }
    return new Tagged(domain, target, before.get().digest(), before.get().size());
  }

  /** With its owner filled in: what is written goes to the user's own domain unless said. */
  private static ImageName writable(ImageName name, String user, String act) throws StoreException {
    if (name.digest().isPresent()) {
      throw new StoreException(
          INVALID,
          "cannot " + act + " \"" + name + "\": a digest can not be chosen (leave out the @ part)");
    }
    return name.withOwner(owners(name, user).get(0));
  }

  private void swapTag(String domain, ImageName name, Optional<Tag> before, Tag wanted)
      throws StoreException {
    if (before.equals(Optional.of(wanted))
        || store.swapTag(domain, key(name), before.map(Tag::bytes), Optional.of(wanted.bytes()))
        || readTag(domain, name).equals(Optional.of(wanted))) {
      return;
    }
    throw lostRace("move tag", name);
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
    Optional<byte[]> bytes = store.readTag(domain, key(name));
    return bytes.isEmpty() ? Optional.empty() : Optional.of(Tag.parse(bytes.get()));
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

  static String chunkObject(Digest digest) {
    return "c/" + digest.hex();
  }

  static String manifestObject(Digest digest) {
    return "m/" + digest.hex();
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
