package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.INVALID;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import org.layercake.pack.Packing;
import org.layercake.pack.Platform;
import org.layercake.pack.Reference;
import org.layercake.pack.Registry;
import org.layercake.pack.RegistryPull;
import org.layercake.pack.Scratch;
import org.layercake.pack.Wanted;
import org.layercake.store.Existing;
import org.layercake.store.ImageName;
import org.layercake.store.ImagePush;
import org.layercake.store.ImageStore;
import org.layercake.store.Origin;
import org.layercake.store.PushResult;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "push",
    mixinStandardHelpOptions = true,
    description = {
      "Stores an image under a name.",
      "",
      "Only data that the store does not have yet is sent. Most of a rebuilt image is there"
          + " already. To resume an interrupted push, run it again. The name moves when the image"
          + " is complete, and has been read back and compared with the source.",
      "",
      "skopeo fetches images from registries. It uses the credentials of skopeo login,"
          + " podman login and docker login, and obeys registries.conf(5) and policy.json(5). If"
          + " the store has the image already, nothing is fetched, and only the name moves."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  layercake push debian.tar.zst deb:12",
      "  docker save pytorch | layercake push - pytorch:2",
      "  layercake push docker://ghcr.io/team/pytorch:2.3",
      "  layercake push ./rootfs mytools",
      "  layercake push --tag 2.4 --arch arm64 saved.tar pytorch",
      "  layercake push image.sqfs site/python:3.11     (with an administrator's key)"
    })
final class Push extends StoreCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "SOURCE",
      description =
          "A squashfs, SIF or AppImage file, a directory, a tar file (plain, gz, xz, zst, bz2 or lz4),"
              + " an image in layers (OCI layout, or what docker save, podman save and skopeo copy"
              + " write), a pipe, or - for such a file on the standard input. Or an image in a registry:"
              + " docker://REGISTRY/NAME[:TAG][@DIGEST].")
  private String source;

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "[OWNER/]NAME[:TAG]",
      converter = NameConverter.class,
      description =
          "The image's name; without TAG it is \"latest\". For docker://, NAME can be left out;"
              + " it is then the last part of the reference, with its tag.")
  private ImageName name;

  @Option(
      names = "--repair",
      description = "Also verify data that the store already has, and replace damaged data.")
  private boolean repair;

  @Option(
      names = {"--arch", "--platform"},
      paramLabel = "ARCH",
      description =
          "Take the image for this processor (amd64, arm64, amd64/v3 for a variant, or linux/arm64),"
              + " not this machine's.")
  private Optional<String> architecture;

  @Option(
      names = "--tag",
      paramLabel = "NAME",
      description =
          "Take the image with this name or tag from an archive of several; without this"
              + " option, the error lists them.")
  private Optional<String> tag;

  @Option(
      names = "--data",
      description = "Store a data set: it need not contain programs, and is for all processors.")
  private boolean data;

  @Option(
      names = "--force",
      description =
          "Store the image even if it does not look like a root file system, or is for another"
              + " processor than it says.")
  private boolean force;

  @Mixin private LimitOptions limits;

  @Option(
      names = {"-q", "--quiet"},
      description = "Print only the result and errors.")
  private boolean quiet;

  @Option(
      names = "--authfile",
      paramLabel = "FILE",
      description = "docker:// only: look for credentials in this file.")
  private Optional<Path> authFile;

  @Option(
      names = "--tls-verify",
      paramLabel = "true|false",
      arity = "1",
      defaultValue = "true",
      description =
          "docker:// only: with \"false\", accept a registry without encryption, or with any"
              + " certificate.")
  private boolean tlsVerify;

  @Override
  public Integer call() throws Exception {
    if (source.startsWith(Reference.TRANSPORT)) {
      pushFromRegistry(Reference.parse(source));
    } else {
      Transport.Place place = Transport.file(source);
      pushFile(place.path(), wanted(place.name()));
    }
    return 0;
  }

  private Wanted wanted(Optional<String> named) throws StoreException {
    return new Wanted(tag.or(() -> named), platform(), force, data);
  }

  private Optional<Platform> platform() throws StoreException {
    return architecture.isPresent()
        ? Optional.of(Platform.parse(architecture.get()))
        : Optional.empty();
  }

  private void pushFile(Path file, Wanted wanted) throws StoreException, IOException {
    if (authFile.isPresent() || !tlsVerify) {
      throw new StoreException(
          INVALID,
          "cannot push " + source + ": --authfile and --tls-verify are for docker:// only");
    }
    if (name == null) {
      throw new StoreException(
          INVALID,
          "cannot push " + source + ": it needs a name (layercake push SOURCE NAME[:TAG])");
    }
    try (Progress progress = progress();
        ImageStore store = openStore();
        ImagePush push = store.push(name, user(), existing());
        Scratch scratch = new Scratch(session().environment(), limits.limits(properties()))) {
      Packing packing = new Packing(scratch, new PushProgress(progress, push));
      Packing.Packed packed = packing.pack(file, session().in(), wanted);
      say(complete(push, scratch, packed, Optional.empty(), progress));
    }
  }

  /** The registry is asked first: what is known is not fetched. */
  private void pushFromRegistry(Reference reference) throws StoreException, IOException {
    if (tag.isPresent()) {
      throw new StoreException(
          INVALID,
          "cannot push "
              + source
              + ": --tag is for archives (say it in the reference: docker://REGISTRY/NAME:TAG)");
    }
    if (name == null) {
      name = reference.name();
    }
    Platform platform = platform().orElseGet(Platform::ofThisMachine);
    String packer = new Version().getVersion()[0];
    try (Progress progress = progress();
        Scratch scratch = new Scratch(session().environment(), limits.limits(properties()))) {
      progress.await("asking for " + reference);
      Registry registry =
          new Registry(
              scratch,
              session().environment(),
              new Registry.Options(platform, authFile, tlsVerify));
      FutureTask<Registry.Found> asked = new FutureTask<>(() -> registry.find(reference));
      Thread asking = new Thread(asked, "ask-registry");
      asking.setDaemon(true);
      asking.start();
      pushFound(registry, asked, scratch, packer, progress);
    }
  }

  /** The store is opened while the registry is asked: each takes its time to answer. */
  private void pushFound(
      Registry registry,
      Future<Registry.Found> asked,
      Scratch scratch,
      String packer,
      Progress progress)
      throws StoreException, IOException {
    try (ImageStore store = openStore()) {
      Registry.Found found = answer(asked);
      Optional<PushResult> known =
          repair ? Optional.empty() : store.pushKnown(name, user(), found.source(), packer);
      if (known.isPresent()) {
        progress.end();
        say(known.get());
        return;
      }
      try (ImagePush push = store.push(name, user(), existing())) {
        PushProgress shown = new PushProgress(progress, push);
        try (RegistryPull pull = registry.pull(found, watcher(progress, shown))) {
          Packing.Packed packed =
              packed(new Packing(scratch, shown), pull, wanted(Optional.empty()));
          say(complete(push, scratch, packed, Optional.of(pull.origin(packer)), progress));
          pull.remove();
        }
      }
    }
  }

  private static Registry.Found answer(Future<Registry.Found> asked)
      throws StoreException, IOException {
    try {
      return asked.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException known) {
        throw known;
      } else if (e.getCause() instanceof IOException known) {
        throw known;
      }
      throw new IllegalStateException(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** What has come is of no use for the next try when it is what was wrong. */
  private static Packing.Packed packed(Packing packing, RegistryPull pull, Wanted wanted)
      throws StoreException, IOException {
    try {
      return packing.pack(pull, wanted);
    } catch (StoreException e) {
      if (e.kind() == BAD_SOURCE) {
        pull.remove();
      }
      throw e;
    }
  }

  private RegistryPull.Watcher watcher(Progress progress, PushProgress shown) {
    return new RegistryPull.Watcher() {
      @Override
      public void begins(int layers, long bytes, long there, Path place) {
        progress.say(
            "%s: %d %s, %s%s; needs some %s in %s"
                .formatted(
                    source,
                    layers,
                    layers == 1 ? "layer" : "layers",
                    Sizes.human(bytes),
                    there > 0 ? ", " + Sizes.human(there) + " of it here already" : "",
                    Sizes.human(2 * bytes),
                    place));
      }

      @Override
      public void reached(long bytes) {
        shown.fetched(bytes);
      }

      @Override
      public void tells(String line) {
        progress.note(line);
      }
    };
  }

  /** From the first moment on: Ceph may take its time to answer. */
  private Progress progress() {
    Progress progress = new Progress(session().err(), quiet);
    progress.await("asking the store");
    return progress;
  }

  private Existing existing() {
    return repair ? Existing.VERIFY : Existing.TRUST;
  }

  private PushResult complete(
      ImagePush push,
      Scratch scratch,
      Packing.Packed packed,
      Optional<Origin> origin,
      Progress progress)
      throws StoreException, IOException {
    return new Sending(scratch, progress, "push " + source, name).send(push, packed, origin);
  }

  private void say(PushResult result) {
    answer(Json.pushed(result), out -> out.println(Sending.summary(result)));
  }
}
