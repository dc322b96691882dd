package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.util.Locale;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.Digest;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;

/**
 * An image in a registry, as users name it: {@code docker://[HOST[:PORT]/]NAME[:TAG][@sha256:HEX]}.
 * Which registry is meant without a host, skopeo and its registries.conf(5) say.
 *
 * @param repository host and name
 * @param digest that the tag does not count beside
 */
public record Reference(String repository, Optional<String> tag, Optional<Digest> digest) {
  /** What a source begins with that is one. */
  public static final String TRANSPORT = "docker://";

  private static final int MAX_LENGTH = 512;
  private static final Pattern HOST =
      Pattern.compile(
          "(?:\\[[0-9a-fA-F:]{2,39}\\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
              + "(?::[0-9]{1,5})?");
  private static final Pattern COMPONENT =
      Pattern.compile("[a-z0-9]++(?:(?:[.]|__?|-++)[a-z0-9]++)*+");
  private static final Pattern TAG = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}");

  /** What comes before the tag, and the tag: a port's colon has a slash behind it. */
  private static final Pattern TAGGED = Pattern.compile("(.*?)(?::([^:/]*))?");

  /** Parses a reference as typed; the message of the exception names the part that is wrong. */
  public static Reference parse(String text) throws StoreException {
    if (text.length() > MAX_LENGTH) {
      throw new StoreException(
          INVALID,
          "cannot push a reference of " + text.length() + " characters: at most " + MAX_LENGTH);
    }
    if (!text.startsWith(TRANSPORT)) {
      throw invalid(text, "it does not begin with " + TRANSPORT);
    }
    String rest = text.substring(TRANSPORT.length());
    Optional<Digest> digest = Optional.empty();
    int at = rest.indexOf('@');
    if (at >= 0) {
      digest = Optional.of(digest(text, rest.substring(at + 1)));
      rest = rest.substring(0, at);
    }
    Matcher tagged = TAGGED.matcher(rest);
    if (!tagged.matches()) { // it has a line break
      throw invalid(text, "it is not one line");
    }
    Optional<String> tag = Optional.ofNullable(tagged.group(2));
    if (tag.filter(t -> !TAG.matcher(t).matches()).isPresent()) {
      throw invalid(text, "\"" + tag.get() + "\" is not a tag");
    }
    requireRepository(text, tagged.group(1));
    return new Reference(tagged.group(1), tag, digest);
  }

  private static Digest digest(String text, String digest) throws StoreException {
    try {
      return Digest.parse(digest);
    } catch (StoreException e) {
      throw invalid(text, "\"" + digest + "\" is not a sha256 digest");
    }
  }

  private static void requireRepository(String text, String repository) throws StoreException {
    String[] parts = repository.split("/", -1);
    int first = parts.length > 1 && isHost(parts[0]) ? 1 : 0;
    if (first == 1 && !HOST.matcher(parts[0]).matches()) {
      throw invalid(text, "\"" + parts[0] + "\" is not a host");
    }
    for (int i = first; i < parts.length; i++) {
      if (!COMPONENT.matcher(parts[i]).matches()) {
        throw invalid(
            text,
            "\"" + parts[i] + "\" is not a part of a name (lower case, digits, . _ - between)");
      }
    }
  }

  private static StoreException invalid(String text, String cause) {
    return new StoreException(
        INVALID,
        "cannot push \""
            + text
            + "\": "
            + cause
            + " (write docker://HOST/NAME[:TAG][@sha256:HEX])");
  }

  /** As docker tells hosts from names. */
  private static boolean isHost(String part) {
    return part.indexOf('.') >= 0
        || part.indexOf(':') >= 0
        || part.equals("localhost")
        || !part.equals(part.toLowerCase(Locale.ROOT));
  }

  /** Where to log in. */
  String host() {
    int slash = repository.indexOf('/');
    return slash > 0 && isHost(repository.substring(0, slash))
        ? repository.substring(0, slash)
        : "docker.io";
  }

  /** As skopeo takes it, which refuses a tag beside a digest. */
  String asked() {
    return digest.map(this::pinned).orElse(withoutDigest());
  }

  /** The image of that digest in the same place. */
  String pinned(Digest image) {
    return TRANSPORT + repository + "@" + image;
  }

  /** What an image is called here for which nobody has said a name: the last part, with its tag. */
  public ImageName name() throws StoreException {
    String last = repository.substring(repository.lastIndexOf('/') + 1);
    return ImageName.parse(last + tag.map(t -> ":" + t).orElse(""));
  }

  /** As it was written, without the digest. */
  String withoutDigest() {
    return TRANSPORT + repository + tag.map(t -> ":" + t).orElse("");
  }

  @Override
  public String toString() {
    return withoutDigest() + digest.map(d -> "@" + d).orElse("");
  }
}
