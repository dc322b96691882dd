package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.layercake.pack.ContainerRoot;
import org.layercake.pack.Packing;
import org.layercake.pack.Scratch;
import org.layercake.store.Existing;
import org.layercake.store.ImageConfig;
import org.layercake.store.ImageName;
import org.layercake.store.ImagePush;
import org.layercake.store.ImageStore;
import org.layercake.store.Machines;
import org.layercake.store.PushResult;
import org.layercake.store.StoreException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
    name = "save",
    mixinStandardHelpOptions = true,
    description = {
      "Stores the container of your job on this node, in its present state, as an image.",
      "",
      "The job must have been started with --ch-writable. Run the command on a node of the"
          + " job, outside the container: in the batch script, or by srun --ch-image=none. Mounts"
          + " (your home, /tmp) do not become part of the image. Only changes are sent."
    },
    footerHeading = "%nExample:%n",
    footer = {
      "  salloc --ch-image=deb:12 --ch-writable --ch-root",
      "  srun sh -c 'apt-get update && apt-get install -y gfortran'",
      "  srun --ch-image=none layercake save deb:gfortran"
    })
final class Save extends StoreCommand implements Callable<Integer> {
  /** What launchers add to an image's own variables. */
  private static final String LAUNCHERS = "LAYERCAKE_";

  private static final String IMAGE = LAUNCHERS + "IMAGE=";

  /** The label of a saved image that says which image it was. */
  private static final String PARENT = "layercake.parent";

  @Parameters(
      index = "0",
      paramLabel = "[OWNER/]NAME[:TAG]",
      converter = NameConverter.class,
      description = "The new image's name; the tag is \"latest\" when left out.")
  private ImageName name;

  @Override
  public Integer call() throws Exception {
    try (ImageStore store = openStore();
        ImagePush push = store.push(name, user(), Existing.TRUST);
        Scratch scratch = new Scratch(session().environment());
        Progress progress = new Progress(session().err());
        ContainerRoot root = ContainerRoot.open(scratch)) {
      Packing packing = new Packing(scratch, new PushProgress(progress, push));
      Packing.Packed packed = packing.pack(root, config(store, root.environment()));
      PushResult result =
          new Sending(scratch, progress, "save the container", name)
              .send(push, packed, Optional.empty());
      String line = "on " + node() + ": " + Sending.summary(result);
      answer(Json.pushed(result), out -> out.println(line));
      return 0;
    }
  }

  /** That of the image it began with, where the user may read that, else what the job has of it. */
  private ImageConfig config(ImageStore store, List<String> environment) throws StoreException {
    Optional<String> parent =
        environment.stream()
            .filter(variable -> variable.startsWith(IMAGE))
            .map(variable -> variable.substring(IMAGE.length()))
            .findFirst();
    ImageConfig config = parents(store, parent).orElseGet(() -> ofJob(environment));
    ImageConfig.Run run = config.run();
    SortedMap<String, String> labels = new TreeMap<>(run.labels());
    parent.ifPresent(name -> labels.put(PARENT, name));
    return new ImageConfig(
        config.environment(),
        config.architecture(),
        new ImageConfig.Run(run.directory(), run.entryPoint(), run.command(), run.user(), labels));
  }

  /** An image that is shared may be run, and not read. */
  private Optional<ImageConfig> parents(ImageStore store, Optional<String> parent)
      throws StoreException {
    if (parent.isEmpty()) {
      return Optional.empty();
    }
    try {
      ImageName pinned = ImageName.parse(parent.get());
      return Optional.of(store.resolve(pinned, user()).manifest().config());
    } catch (StoreException e) {
      if (e.kind() == DENIED || e.kind() == NOT_FOUND) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private static ImageConfig ofJob(List<String> environment) {
    List<String> own = environment.stream().filter(v -> !v.startsWith(LAUNCHERS)).toList();
    return new ImageConfig(own, Machines.here(), ImageConfig.Run.NONE);
  }

  private static String node() throws IOException {
    return InetAddress.getLocalHost().getHostName();
  }
}
