package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.MISCONFIGURED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.layercake.store.StoreException;

/**
 * Calls skopeo(1), which knows users' credentials, mirrors and signatures, and how registries
 * behave. It runs as the user, with the user's environment, in which it looks for all of these.
 */
final class Skopeo {
  /** It waits by itself when a registry says that there were too many requests. */
  private static final int ANSWER_SECONDS = 150;

  private static final String REMEDY = "install the package skopeo, or ask an administrator to";

  private final Scratch scratch;
  private final Map<String, String> environment;
  private final Optional<Path> authFile;
  private final boolean verifiesTls;

  /**
   * @param authFile that credentials are looked for in, instead of the usual places
   */
  Skopeo(
      Scratch scratch,
      Map<String, String> environment,
      Optional<Path> authFile,
      boolean verifiesTls)
      throws StoreException {
    this.scratch = scratch;
    this.environment = environment;
    this.authFile = authFile.map(Path::toAbsolutePath);
    this.verifiesTls = verifiesTls;
    if (authFile.isPresent() && !Files.isReadable(authFile.get())) { // it would say nothing
      throw new StoreException(
          NOT_FOUND,
          "cannot read "
              + authFile.get()
              + ": no such file, or no permission (check --authfile; skopeo login --authfile makes"
              + " one)");
    }
  }

  /**
   * The bytes of the manifest that a reference points to, or of the list.
   *
   * @param asked as skopeo takes it
   */
  byte[] manifest(Reference reference, String asked) throws StoreException, IOException {
    List<String> command = command("inspect", "--raw");
    if (!verifiesTls) { // "=true" would overrule registries.conf
      command.add("--tls-verify=false");
    }
    command.add(asked);
    Program program = start(command);
    program
        .process()
        .onExit()
        .orTimeout(ANSWER_SECONDS, TimeUnit.SECONDS)
        .exceptionally(late -> program.process().destroyForcibly());
    byte[] bytes;
    try (InputStream out = program.process().getInputStream()) {
      bytes = out.readNBytes(LayeredImage.MAX_JSON_BYTES + 1);
    }
    if (bytes.length > LayeredImage.MAX_JSON_BYTES) {
      program.process().destroyForcibly();
      throw BadSource.of(
          reference.toString(),
          "its manifest is longer than " + LayeredImage.MAX_JSON_BYTES + " bytes");
    }
    Program.End end = program.await();
    if (end.isKilled()) {
      throw new StoreException(
          UNAVAILABLE,
          "cannot push "
              + reference
              + ": "
              + reference.host()
              + " has not answered for "
              + ANSWER_SECONDS
              + " s, or skopeo was killed (try again later)");
    }
    requireGood(end, reference);
    return bytes;
  }

  /** Begins to copy an image into an OCI layout, which may have some of its files already. */
  Program copy(Reference reference, String asked, Path layout) throws StoreException, IOException {
    List<String> command =
        command(
            "copy",
            "--quiet",
            "--remove-signatures", // they are checked before, and a layout cannot have them
            "--dest-oci-accept-uncompressed-layers"); // else they had other digests
    command.add(asked);
    if (!verifiesTls) {
      command.add("--src-tls-verify=false");
    }
    if (layout.toString().indexOf(':') >= 0) { // behind which skopeo expects a name
      throw new StoreException(
          MISCONFIGURED,
          "cannot push " + reference + ": TMPDIR has a colon in its path (set another)");
    }
    command.add("oci:" + layout + ":image");
    return start(command);
  }

  private List<String> command(String act, String... options) {
    List<String> command = new ArrayList<>(List.of("skopeo", act));
    command.addAll(List.of(options));
    authFile.ifPresent(file -> command.addAll(List.of("--authfile", file.toString())));
    return command;
  }

  private Program start(List<String> command) throws StoreException, IOException {
    Program program = Program.start(scratch, "skopeo", command, environment, REMEDY);
    program.process().getOutputStream().close();
    return program;
  }

  /** What skopeo has complained of, in words for who pushes. */
  void requireGood(Program.End end, Reference reference) throws StoreException {
    if (!end.isGood()) {
      throw SkopeoFailure.of(end, reference, credentialPlaces());
    }
  }

  private String credentialPlaces() {
    if (authFile.isPresent()) {
      return authFile.get().toString();
    }
    String set = environment.get("REGISTRY_AUTH_FILE");
    String runtime = environment.get("XDG_RUNTIME_DIR");
    return set != null
        ? set + ", which REGISTRY_AUTH_FILE names"
        : (runtime == null ? "" : runtime + "/containers/auth.json and ") + "~/.docker/config.json";
  }
}
