package org.layercake.launcher.profile;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.regex.Pattern;
import org.layercake.launcher.edit.Mount;
import org.layercake.store.Glob;

/**
 * A path of the node, in whose names {@code *} stands for any characters. Names that are not plain
 * ASCII match no pattern.
 */
record PathPattern(String text) {
  /** How many paths one may mean. */
  static final int MAX_MATCHES = 256;

  private static final int MAX_ENTRIES = 100_000; // looked at
  private static final int MAX_PATTERNS = 2; // among the names of a path
  private static final Pattern PLAIN = Pattern.compile("[\\x20-\\x7e]+");

  /** Refuses what is none, or means too much, with an {@link IllegalArgumentException}. */
  static PathPattern parse(String text) {
    if (!Mount.isPath(text) || !PLAIN.matcher(text).matches() || text.contains(":")) {
      throw new IllegalArgumentException(
          "\"" + text + "\" is not an absolute path of plain characters without colons, . and ..");
    }
    List<String> names =
        Arrays.stream(text.split("/", -1)).filter(name -> !name.isEmpty()).toList();
    List<String> patterns = names.stream().filter(name -> name.contains("*")).toList();
    boolean isAll =
        !patterns.isEmpty()
            && (names.get(0).contains("*") || names.get(names.size() - 1).matches("\\*+"));
    if (isAll || patterns.size() > MAX_PATTERNS) {
      throw new IllegalArgumentException(
          "\""
              + text
              + "\" means too much: * is not for the first name, not all of the last, and in "
              + MAX_PATTERNS
              + " names at most (name the directory instead)");
    }
    return new PathPattern(text);
  }

  boolean isGlob() {
    return text.contains("*");
  }

  /**
   * The paths that are there, sorted; what has no {@code *} is what it means, there or not.
   *
   * @throws IllegalArgumentException when they are too many
   */
  List<String> matches() throws IOException {
    if (!isGlob()) {
      return List.of(text);
    }
    List<String> found = List.of("");
    int[] looked = {0};
    boolean expanded = false;
    for (String name : text.substring(1).split("/", -1)) {
      List<String> longer = new ArrayList<>();
      for (String path : found) {
        if (name.contains("*")) {
          longer.addAll(entries(path, name, looked));
        } else if (!expanded || Files.exists(Path.of(path + "/" + name))) {
          longer.add(path + "/" + name);
        }
      }
      expanded |= name.contains("*");
      found = longer;
      require(found.size() <= MAX_MATCHES);
    }
    return found;
  }

  private List<String> entries(String directory, String pattern, int[] looked) throws IOException {
    List<String> matching = new ArrayList<>();
    Glob glob = new Glob(pattern);
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(Path.of(directory))) {
      for (Path entry : entries) {
        String name = entry.getFileName().toString();
        require(++looked[0] <= MAX_ENTRIES && matching.size() <= MAX_MATCHES);
        if (glob.matches(name)
            && PLAIN.matcher(name).matches()
            && (!name.startsWith(".") || pattern.startsWith("."))) {
          matching.add(directory + "/" + name);
        }
      }
    } catch (NoSuchFileException | NotDirectoryException e) {
      return List.of();
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    Collections.sort(matching);
    return matching;
  }

  private void require(boolean isBounded) {
    if (!isBounded) {
      throw new IllegalArgumentException(
          "\"" + text + "\" means more than " + MAX_MATCHES + " paths, or too many to look at");
    }
  }
}
