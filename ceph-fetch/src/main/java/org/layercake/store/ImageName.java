package org.layercake.store;

import static org.layercake.store.StoreException.Kind.INVALID;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.util.Optional;
import java.util.regex.Pattern;

/**
 * What users type to name an image: {@code [OWNER/]NAME[:TAG][@sha256:HEX]}.
 *
 * <p>All ASCII. OWNER is a user name or {@code site}: a letter, digit or underscore, then letters,
 * digits and {@code . _ -}, at most 64. NAME: a letter or digit, then letters, digits and {@code .
 * _ -}, at most 128; {@code none} is reserved. TAG: a letter, digit or underscore, then letters,
 * digits and {@code . _ -}, at most 128; {@code latest} when left out. With a digest, the tag is
 * not looked at.
 */
public record ImageName(Optional<String> owner, String name, String tag, Optional<Digest> digest) {
  /** The owner that stands for the site's library. */
  public static final String SITE = "site";

  public static final String DEFAULT_TAG = "latest";

  private static final int MAX_LENGTH = 512;

  /** What registries' names begin with elsewhere. No name of ours has two slashes together. */
  private static final Pattern ELSEWHERE = Pattern.compile("[a-z][a-z0-9-]{0,31}://");

  private static final String ALPHABET =
      "letters, digits, '.', '_', '-', and must begin with a letter or digit";
  private static final Pattern OWNER = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,63}");
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,127}");
  private static final Pattern TAG = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}");

  public ImageName {
    if (owner.filter(o -> !OWNER.matcher(o).matches()).isPresent()
        || !NAME.matcher(name).matches()
        || !TAG.matcher(tag).matches()) {
      throw new IllegalArgumentException("not the parts of an image name");
    }
  }

  /**
   * Parses a name as typed; the message of the exception names the part that is wrong.
   *
   * @throws StoreException of kind NOT_FOUND when it names an image elsewhere
   */
  public static ImageName parse(String text) throws StoreException {
    if (ELSEWHERE.matcher(text).lookingAt()) {
      throw new StoreException(
          NOT_FOUND,
          "cannot use \""
              + text
              + "\" as image: it is not in the store (layercake push "
              + text
              + " brings it there, and says its name)");
    }
    if (text.length() > MAX_LENGTH) {
      throw new StoreException(
          INVALID, "cannot use image name of " + text.length() + " bytes: at most " + MAX_LENGTH);
    }
    String rest = text;
    Optional<Digest> digest = Optional.empty();
    int at = rest.indexOf('@');
    if (at >= 0) {
      digest = Optional.of(Digest.parse(rest.substring(at + 1)));
      rest = rest.substring(0, at);
    }
    Optional<String> owner = Optional.empty();
    int slash = rest.indexOf('/');
    if (slash >= 0) {
      owner = Optional.of(part(text, "owner", OWNER, rest.substring(0, slash), 64));
      rest = rest.substring(slash + 1);
    }
    String tag = DEFAULT_TAG;
    int colon = rest.indexOf(':');
    if (colon >= 0) {
      tag = part(text, "tag", TAG, rest.substring(colon + 1), 128);
      rest = rest.substring(0, colon);
    }
    String name = part(text, "name", NAME, rest, 128);
    if (name.equals("none")) {
      throw invalid(text, "\"none\" is reserved: it stands for no container");
    }
    return new ImageName(owner, name, tag, digest);
  }

  /** True if this is a user name that can own images; {@code site} is not. */
  public static boolean isUser(String user) {
    return OWNER.matcher(user).matches() && !user.equals(SITE);
  }

  /** The name as {@code NAME:TAG}, the way the store keeps it. */
  public String tagged() {
    return name + ":" + tag;
  }

  /** The same without its digest, which it may not mean any more. */
  public ImageName unpinned() {
    return new ImageName(owner, name, tag, Optional.empty());
  }

  ImageName withOwner(String newOwner) {
    return new ImageName(Optional.of(newOwner), name, tag, digest);
  }

  @Override
  public String toString() {
    return owner.map(o -> o + "/").orElse("")
        + (digest.isPresent() && tag.equals(DEFAULT_TAG) ? name : tagged())
        + digest.map(d -> "@" + d).orElse("");
  }

  private static String part(String text, String what, Pattern form, String part, int max)
      throws StoreException {
    if (part.isEmpty()) {
      throw invalid(text, "the " + what + " is empty");
    }
    if (part.length() > max) {
      throw invalid(text, "the " + what + " is longer than " + max + " characters");
    }
    if (!form.matcher(part).matches()) {
      throw invalid(text, "the " + what + " \"" + part + "\" may have " + ALPHABET);
    }
    return part;
  }

  private static StoreException invalid(String text, String cause) {
    return new StoreException(
        INVALID,
        "cannot use image name \"" + text + "\": " + cause + " (write [OWNER/]NAME[:TAG])");
  }
}
