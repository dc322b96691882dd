package org.layercake.store;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The names of all that is in a store: the one place that makes them and reads them. {@code
 * docs/store-format.md}, "What there is", lists them.
 */
final class ObjectNames {
  /** The launchers' own domain, of start profiles and of what jobs run; only they write there. */
  static final String LAUNCHERS = "launchers";

  /** Where a domain's tags are: in the omap of the object of this name, or in this directory. */
  static final String TAGS = "t";

  private static final String USER_DOMAIN = "u.";
  private static final Pattern DOMAIN =
      Pattern.compile(LAUNCHERS + "|" + ImageName.SITE + "|u\\.[A-Za-z0-9_][A-Za-z0-9._-]{0,63}");

  /** No tag begins with a dot. */
  private static final String AUDIENCE = ".share";

  /** No tag has one. */
  private static final char BESIDE = '@';

  /** What objects hold. */
  enum Kind {
    CHUNK("c"),
    MANIFEST("m"),
    /** A start profile, by the digest of its image. */
    PROFILE("s"),
    /** What a job runs. */
    RECORD("j"),
    /** Where an image came from, by its digest. */
    ORIGIN("o"),
    /** Which image a source was packed into. */
    PACKED("p");

    private final String folder;

    Kind(String folder) {
      this.folder = folder;
    }

    /** What the names of its objects begin with, before a slash. */
    String folder() {
      return folder;
    }

    String object(Digest digest) {
      return folder + "/" + digest.hex();
    }
  }

  /** An object's name, read. */
  record Named(Kind kind, Digest digest) {}

  private ObjectNames() {}

  /** The access domain of an owner: a RADOS namespace, or a directory. */
  static String domain(String owner) {
    return owner.equals(ImageName.SITE) ? ImageName.SITE : USER_DOMAIN + owner;
  }

  /** The owner of an access domain: a user, or {@code site}. */
  static String owner(String domain) {
    return domain.startsWith(USER_DOMAIN) ? domain.substring(USER_DOMAIN.length()) : domain;
  }

  static boolean isDomain(String text) {
    return DOMAIN.matcher(text).matches();
  }

  static String chunk(Digest digest) {
    return Kind.CHUNK.object(digest);
  }

  static String manifest(Digest digest) {
    return Kind.MANIFEST.object(digest);
  }

  /** Of an image, by its digest. */
  static String profile(Digest digest) {
    return Kind.PROFILE.object(digest);
  }

  /**
   * The record of which image a job runs under a name. Of a digest, because the cluster's name may
   * hold anything; it comes last, so that no two jobs make one text.
   */
  static String record(JobRef job, ImageName asked) {
    return record(job, asked.toString());
  }

  /** The record of who tells Slurm of it. No image's name begins so. */
  static String commentClaim(JobRef job, ImageName asked) {
    return record(job, "comment " + asked);
  }

  private static String record(JobRef job, String what) {
    String text = job.job() + " " + job.uid() + " " + what + " " + job.cluster();
    return Kind.RECORD.object(Digest.of(text.getBytes(UTF_8)));
  }

  /** Where an image came from. */
  static String origin(Digest image) {
    return Kind.ORIGIN.object(image);
  }

  /** Which image a source was packed into: another packer may make another of it. */
  static String packed(Origin.Source source, String packer) {
    String text = source.manifest() + " " + source.architecture() + " " + packer;
    return Kind.PACKED.object(Digest.of(text.getBytes(UTF_8)));
  }

  /** Empty for what is no name of ours: others may have written it. */
  static Optional<Named> read(String object) {
    int slash = object.indexOf('/');
    try {
      for (Kind kind : Kind.values()) {
        if (slash > 0 && object.substring(0, slash).equals(kind.folder)) {
          Digest digest = Digest.parseHex(object.substring(slash + 1));
          return Optional.of(new Named(kind, digest));
        }
      }
    } catch (StoreException e) {
      return Optional.empty(); // what follows is no digest
    }
    return Optional.empty();
  }

  /** The tag of an image, within its domain. */
  static String tag(ImageName name) {
    return name.name() + "/" + name.tag();
  }

  /** The tag of an image for a processor that was pushed beside one for another. */
  static String tag(ImageName name, String machine) {
    return tag(name) + BESIDE + machine;
  }

  /** For which processor a tag is that is beside another; empty for others. */
  static Optional<String> machine(String tag) {
    int at = tag.lastIndexOf(BESIDE);
    return Optional.of(tag.substring(at + 1)).filter(m -> at >= 0 && Machines.KNOWN.contains(m));
  }

  /** The tag that says who may run an owner's images of that name. */
  static String audience(String name) {
    return name + "/" + AUDIENCE;
  }

  /** The image that a tag is for, of whatever processor; empty for what is no name of ours. */
  static Optional<ImageName> image(String owner, String key) {
    int at = machine(key).isPresent() ? key.lastIndexOf(BESIDE) : key.length();
    String tag = key.substring(0, at);
    int slash = tag.indexOf('/');
    if (slash < 0) {
      return Optional.empty();
    }
    try {
      return Optional.of(
          new ImageName(
              Optional.of(owner),
              tag.substring(0, slash),
              tag.substring(slash + 1),
              Optional.empty()));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }
}
