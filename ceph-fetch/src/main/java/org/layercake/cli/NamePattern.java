package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.util.regex.Pattern;
import org.layercake.store.Glob;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;

/** Names in which {@code *} stands for any characters and {@code ?} for one. */
record NamePattern(Glob owner, Glob name, Glob tag) {
  private static final Pattern FORM =
      Pattern.compile("(?:([^/:]+)/)?([^/:]+)(?::([^/:]+))?", Pattern.DOTALL);
  private static final Pattern ALPHABET = Pattern.compile("[A-Za-z0-9._*?/:-]{1,330}");

  static NamePattern parse(String text) throws StoreException {
    var parts = FORM.matcher(text);
    if (!ALPHABET.matcher(text).matches() || !parts.matches()) {
      throw new StoreException(
          INVALID,
          "cannot list \""
              + text
              + "\": a name cannot match that (write [OWNER/]NAME[:TAG], with * and ?)");
    }
    return new NamePattern(part(parts.group(1)), part(parts.group(2)), part(parts.group(3)));
  }

  boolean matches(ImageName image) {
    return owner.matches(image.owner().orElse(""))
        && name.matches(image.name())
        && tag.matches(image.tag());
  }

  private static Glob part(String pattern) {
    return new Glob(pattern == null ? "*" : pattern);
  }
}
