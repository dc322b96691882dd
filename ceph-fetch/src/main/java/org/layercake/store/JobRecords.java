package org.layercake.store;

import static org.layercake.store.ObjectNames.LAUNCHERS;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/** The records by which all nodes of a job run one image. Written and read by launchers alone. */
final class JobRecords {
  /** A record that nobody has needed for so long is of a job that has ended. */
  static final Duration KEPT = Duration.ofDays(30);

  /**
   * How much older than its job's submission a record may seem because clocks differ. Munge bears 5
   * minutes (munge(7), "ttl"), and without it there are no jobs.
   */
  private static final Duration SKEW = Duration.ofMinutes(10);

  /** A record of a running job is marked as wanted so often, not by each of a thousand nodes. */
  private static final Duration WANTED_EVERY = Duration.ofDays(1);

  /** No record has this name. */
  private static final String NO_RECORD = "probe";

  private final ObjectStore store;
  private final InstantSource clock;

  JobRecords(ObjectStore store, InstantSource clock) {
    this.store = store;
    this.clock = clock;
  }

  /** The job's record for the name as it was asked for; another job's is removed. */
  Optional<JobRecord> find(JobRef job, ImageName asked) throws StoreException {
    String object = ObjectNames.record(job, asked);
    try {
      Optional<byte[]> bytes =
          store.read(LAUNCHERS, object, JobRecord.MAX_BYTES, ObjectStore.Copy.PRIMARY);
      if (bytes.isEmpty()) {
        return Optional.empty();
      }
      JobRecord record = JobRecord.read(bytes.get()).orElseThrow(() -> damaged(job, object));
      boolean isNew = record.created().isAfter(clock.instant().minus(SKEW));
      return isNew || isKept(job, object, record) ? Optional.of(record) : Optional.empty();
    } catch (StoreException e) {
      throw explained(e, job);
    }
  }

  /** Looks closer at a record that is not new: it may be of a job that had the same id. */
  private boolean isKept(JobRef job, String object, JobRecord record) throws StoreException {
    Optional<ObjectStore.Trace> trace = store.trace(LAUNCHERS, object);
    Optional<Instant> submitted = job.submitted().time();
    if (submitted.filter(time -> record.created().isBefore(time.minus(SKEW))).isPresent()) {
      // If another node was faster, its record has a later time and stays.
      if (trace.isPresent()) {
        store.remove(LAUNCHERS, object, trace.get().seen());
      }
      return false;
    }
    Instant recently = clock.instant().minus(WANTED_EVERY);
    if (trace.filter(found -> found.seen().isBefore(recently)).isPresent()) {
      store.touch(LAUNCHERS, object);
    }
    return true;
  }

  /** Notes what a job runs; false if somebody else has noted it first. */
  boolean create(JobRef job, ImageName asked, Image image, Entries all) throws StoreException {
    Digest first = image.digest();
    SortedMap<String, Digest> others = new TreeMap<>();
    if (all.areSeveral()) {
      first = all.tag(Entries.FIRST).map(Tag::digest).orElse(first);
      for (String machine : all.values().tailMap(Entries.FIRST + '\0').keySet()) {
        Optional<Tag> tag = all.tag(machine);
        tag.ifPresent(its -> others.put(machine, its.digest()));
      }
    }
    return create(job, ObjectNames.record(job, asked), image.domain(), first, others);
  }

  /** Notes that somebody tells of it; false if somebody else does. */
  boolean claimComment(JobRef job, ImageName asked, String domain, Digest digest)
      throws StoreException {
    return create(
        job, ObjectNames.commentClaim(job, asked), domain, digest, Collections.emptySortedMap());
  }

  private boolean create(
      JobRef job, String object, String domain, Digest first, SortedMap<String, Digest> others)
      throws StoreException {
    Instant now = clock.instant().truncatedTo(ChronoUnit.SECONDS);
    JobRecord record = new JobRecord(ObjectNames.owner(domain), first, now, others);
    try {
      return store.create(LAUNCHERS, object, ObjectStore.content(record.bytes()));
    } catch (StoreException e) {
      throw explained(e, job);
    }
  }

  /** Fails where {@link #create} would, for want of an answer or a right, and changes nothing. */
  void probe() throws StoreException {
    try {
      store.touch(LAUNCHERS, NO_RECORD);
    } catch (StoreException e) {
      throw explained(e, "cannot record which images jobs run: ");
    }
  }

  private static StoreException damaged(JobRef job, String object) {
    return new StoreException(
        CORRUPT,
        "the record "
            + object
            + " of domain "
            + LAUNCHERS
            + " is malformed (an administrator may remove it; "
            + job
            + " then takes what its tag points to)");
  }

  private static StoreException explained(StoreException e, JobRef job) {
    return explained(e, "cannot determine which image " + job + " runs: ");
  }

  private static StoreException explained(StoreException e, String act) {
    if (e.kind() == DENIED) {
      return new StoreException(
          MISCONFIGURED,
          act
              + "the launcher may not write the domain \""
              + LAUNCHERS
              + "\" (tell an administrator: operations.md says how to let it): "
              + e.getMessage(),
          e);
    }
    return new StoreException(e.kind(), act + e.getMessage(), e);
  }
}
