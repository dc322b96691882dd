package org.layercake.launcher.edit;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/** The names of libraries, read once for each state of a file. */
final class Sonames {
  private static final String ATTRIBUTES = "unix:dev,ino,size,ctime";
  private static final int MAX_KNOWN = 4096;

  private final Map<Path, Known> known = new ConcurrentHashMap<>();

  private record Known(Map<String, Object> version, Optional<String> name) {}

  /** Empty for what is no library. */
  Optional<String> of(Path library) throws IOException {
    Map<String, Object> version = Files.readAttributes(library, ATTRIBUTES);
    Known last = known.get(library);
    if (last != null && last.version().equals(version)) {
      return last.name();
    }
    Optional<String> name = Soname.of(library);
    if (known.size() >= MAX_KNOWN) {
      known.clear();
    }
    known.put(library, new Known(version, name));
    return name;
  }
}
