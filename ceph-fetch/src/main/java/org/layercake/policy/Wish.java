package org.layercake.policy;

import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.function.Predicate;
import org.layercake.store.Image;
import org.layercake.store.StoreException;

/**
 * The container that a user wants.
 *
 * @param user who wants it
 * @param inGroup whether the user is in a group; asked only when a rule names one
 * @param job where it is to run; asked only when a rule names a partition or an account
 * @param image what is to run; null for a task that has no image
 * @param devices as they are named, {@code VENDOR/CLASS=NAME}
 * @param profiles that the user adds, by name
 */
public record Wish(
    String user,
    Predicate<String> inGroup,
    Job job,
    ImageFacts image,
    boolean root,
    boolean writable,
    List<String> devices,
    List<String> profiles) {

  /** Of a task that has no image. */
  public static Wish withoutImage(String user, Predicate<String> inGroup, Job job) {
    return new Wish(user, inGroup, job, null, false, false, List.of(), List.of());
  }

  /** A job as Slurm knows it. */
  public interface Job {
    /** Asks Slurm, once. */
    Place place() throws StoreException;
  }

  /** Where a job runs, and on whose account; empty where Slurm has none. */
  public record Place(String partition, String account) {}

  /**
   * An image.
   *
   * @param owner a user, or {@code site}
   * @param tagged {@code NAME:TAG}; empty when only its digest says which image it is, since a name
   *     beside a digest is any
   * @param digest {@code sha256:} and hex
   */
  public record ImageFacts(
      String owner,
      Optional<String> tagged,
      String digest,
      long bytes,
      SortedMap<String, String> labels) {
    public static ImageFacts of(Image image) {
      return new ImageFacts(
          image.name().owner().orElseThrow(),
          image.name().digest().isPresent() ? Optional.empty() : Optional.of(image.name().tagged()),
          image.digest().toString(),
          image.manifest().size(),
          image.manifest().config().run().labels());
    }
  }
}
