package org.layercake.store;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * What a job ran in, as it is kept in one word of a comment: {@code layercake:image=…,digest=…} and
 * so on; docs/operations.md, "Accounting", describes it.
 *
 * @param image with its owner and its tag
 * @param node the one whose start this tells of
 * @param millis how long that took
 * @param fetched bytes from the store by then
 * @param copied from other images of the node
 * @param cached there before
 * @param devices that were asked for or given
 */
public record ImageUse(
    String image,
    String digest,
    String node,
    long millis,
    long fetched,
    long copied,
    long cached,
    List<String> devices) {
  private static final String MARK = "layercake:";
  private static final int MAX_CHARS = 16_384;
  private static final Pattern IMAGE = Pattern.compile("[A-Za-z0-9._/:-]{1,330}");
  private static final Pattern DIGEST = Pattern.compile("sha256:[0-9a-f]{64}");
  private static final Pattern NUMBER = Pattern.compile("[0-9]{1,18}");

  /** One word: it has none of the characters that a shell, a table or a database cares about. */
  public String text() {
    return MARK
        + "image="
        + image
        + ",digest="
        + digest
        + ",node="
        + node
        + ",millis="
        + millis
        + ",fetched="
        + fetched
        + ",copied="
        + copied
        + ",cached="
        + cached
        + (devices.isEmpty() ? "" : ",devices=" + String.join("+", devices));
  }

  /** Whether it is a word of ours, or several. */
  public static boolean isText(String text) {
    return text.startsWith(MARK) && text.indexOf(' ') < 0;
  }

  /** All that a comment tells of, whatever else is in it; what is not of this form is left out. */
  public static List<ImageUse> parse(String comment) {
    List<ImageUse> uses = new ArrayList<>();
    String bounded = comment.length() > MAX_CHARS ? comment.substring(0, MAX_CHARS) : comment;
    for (String word : bounded.split("[\\s;]+", -1)) {
      if (word.startsWith(MARK)) {
        add(uses, word.substring(MARK.length()));
      }
    }
    return uses;
  }

  private static void add(List<ImageUse> uses, String fields) {
    Map<String, String> values = new HashMap<>();
    for (String field : fields.split(",", -1)) {
      int equals = field.indexOf('=');
      if (equals > 0) {
        values.put(field.substring(0, equals), Text.clean(field.substring(equals + 1)));
      }
    }
    String image = values.getOrDefault("image", "");
    String digest = values.getOrDefault("digest", "");
    if (IMAGE.matcher(image).matches() && DIGEST.matcher(digest).matches()) {
      String devices = values.getOrDefault("devices", "");
      uses.add(
          new ImageUse(
              image,
              digest,
              values.getOrDefault("node", ""),
              number(values, "millis"),
              number(values, "fetched"),
              number(values, "copied"),
              number(values, "cached"),
              devices.isEmpty() ? List.of() : List.of(devices.split("\\+", -1))));
    }
  }

  private static long number(Map<String, String> values, String name) {
    String text = values.getOrDefault(name, "");
    return NUMBER.matcher(text).matches() ? Long.parseLong(text) : 0;
  }
}
