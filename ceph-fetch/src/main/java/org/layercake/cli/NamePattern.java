package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.util.regex.Pattern;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;

/** Names in which {@code *} stands for any characters and {@code ?} for one. */
record NamePattern(Pattern owner, Pattern name, Pattern tag) {
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
              + "\": no name is like that (write [OWNER/]NAME[:TAG], with * and ?)");
    }
    return new NamePattern(part(parts.group(1)), part(parts.group(2)), part(parts.group(3)));
  }

  boolean matches(ImageName image) {
    return owner.matcher(image.owner().orElse("")).matches()
        && name.matcher(image.name()).matches()
        && tag.matcher(image.tag()).matches();
  }

  /** Possessive where it can be, so that many stars take no longer than few. */
  private static Pattern part(String glob) {
    if (glob == null) {
      return Pattern.compile(".*");
    }
    String literal = glob.replaceAll("\\*+", "*").replaceAll("[.-]", "\\\\$0");
    return Pattern.compile(literal.replace("?", ".").replace("*", ".*"));
  }
}
