package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import org.layercake.store.StoreException;

/**
 * The words by which other programs say where an image is, containers-transports(5). Those of files
 * are taken, the others answered with the line to type.
 */
final class Transport {
  private static final Set<String> FILES = Set.of("oci", "oci-archive", "dir", "docker-archive");
  private static final Set<String> OTHERS = Set.of("ostree", "sif", "tarball", "atomic");

  private Transport() {}

  /**
   * Where an image is.
   *
   * @param name of one of several images there
   */
  record Place(Path path, Optional<String> name) {}

  /** The file or directory that a source is in. */
  static Place file(String source) throws StoreException {
    int colon = source.indexOf(':');
    String word = colon < 0 ? "" : source.substring(0, colon);
    String rest = source.substring(colon + 1);
    if (FILES.contains(word)) {
      return withName(rest);
    }
    switch (word) {
      case "docker-daemon" ->
          throw other(source, "docker save " + rest + " | layercake push - NAME");
      case "containers-storage" ->
          throw other(source, "podman save " + rest + " | layercake push - NAME");
      case "docker" -> throw other(source, "layercake push docker://" + rest);
      case "http", "https" ->
          throw other(source, "curl -fL " + source + " | layercake push - NAME");
      default -> {
        if (OTHERS.contains(word)) {
          throw other(source, "skopeo copy " + source + " dir:DIR && layercake push DIR NAME");
        }
        return new Place(Path.of(source), Optional.empty());
      }
    }
  }

  /** Behind the path may be the name of one of several images. */
  private static Place withName(String rest) {
    int colon = rest.indexOf(':');
    Path path = Path.of(rest);
    return colon < 0 || Files.exists(path)
        ? new Place(path, Optional.empty())
        : new Place(Path.of(rest.substring(0, colon)), Optional.of(rest.substring(colon + 1)));
  }

  private static StoreException other(String source, String line) {
    return new StoreException(
        INVALID, "cannot push " + source + ": it is not read from there (type: " + line + ")");
  }
}
