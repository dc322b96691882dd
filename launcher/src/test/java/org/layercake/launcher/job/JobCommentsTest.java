package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.image.Bytes;
import org.layercake.launcher.image.ImageKey;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Await;
import org.layercake.store.ImageName;
import org.layercake.store.ImageUse;

/** What Slurm's record of a job is told, by a scontrol that keeps it in a file. */
@Timeout(120)
class JobCommentsTest extends NodeTestCase {
  private static final String FIELD = "AdminComment";
  private static final String NONE = "(null)";

  private Path record() {
    return directory.resolve("record");
  }

  /** A Slurm whose job 42 has the record as its comment, and that takes updates of it. */
  private Slurm slurm(String beforeUpdate) throws IOException {
    Path program = directory.resolve("scontrol-comments");
    node.script(
        program,
        """
        case $* in
          *config*) echo ClusterName = c ;;
          *show*) echo 'JobId=42 JobName=x AdminComment=forged Restarts=0 Power=' ;;
          "update JobId=42 AdminComment="*) %2$s
            echo "${3#*=}" >%1$s.new; mv %1$s.new %1$s
            echo >>%1$s.updates ;;
          *) exit 1 ;;
        esac
        """
            .formatted(record(), beforeUpdate));
    node.script(
        directory.resolve("squeue"),
        "printf '%%-20s%%s   \\n' 42 \"$(cat %1$s)\"; echo >>%1$s.shown".formatted(record()));
    return new Slurm(program.toString(), Optional.of(FIELD));
  }

  private ContainerStart start(String image) throws Exception {
    ImageKey key = ImageKey.parse("site/" + node.digest());
    ImageName asked = ImageName.parse(image);
    Bytes bytes = new Bytes(7, 8, 9);
    return new ContainerStart(JOB, asked, key, 530, 400, bytes, List.of(), List.of(), false, false);
  }

  private int updates() {
    return lines(".updates");
  }

  private int lines(String kind) {
    try {
      Path lines = Path.of(record() + kind);
      return Files.exists(lines) ? Files.readAllLines(lines).size() : 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String comment() throws IOException {
    return Files.readString(record()).strip();
  }

  @Test
  void oneOfAllNodesTellsSlurmOfEachImage() throws Exception {
    Files.writeString(record(), NONE);
    Images images = node.launcher().images;
    JobComments first = new JobComments(slurm(""), images);
    JobComments second = new JobComments(slurm(""), images);
    first.note(start("small"));
    Await.await("the comment is there", () -> updates() == 1);
    second.note(start("small"));
    second.note(start("site/small:latest"));
    Await.await("both images are there", () -> updates() == 2);
    List<ImageUse> uses = ImageUse.parse(comment());
    assertEquals(2, uses.size(), comment());
    ImageUse use = uses.get(0);
    assertEquals("site/small:latest", use.image());
    assertEquals(node.digest(), use.digest());
    assertEquals(
        List.of(530L, 7L, 8L, 9L),
        List.of(use.millis(), use.fetched(), use.copied(), use.cached()));
  }

  @Test
  void whatIsSomebodyElsesStays() throws Exception {
    String others = "layercake:x by hand";
    Files.writeString(record(), others);
    JobComments comments = new JobComments(slurm(""), node.launcher().images);
    comments.note(start("small"));
    Await.await("it was looked at", () -> lines(".shown") == 1);
    comments.note(start("small:two"));
    Await.await("it was looked at again", () -> lines(".shown") == 2);
    assertEquals(others, Files.readString(record()));
    Files.writeString(record(), NONE);
    comments.note(start("small:three"));
    Await.await("the comment is there", () -> updates() == 1);
    assertEquals("site/small:three", ImageUse.parse(comment()).get(0).image());
  }

  @Test
  void aStartDoesNotWaitForSlurm() throws Exception {
    Files.writeString(record(), NONE);
    Path go = directory.resolve("go");
    Slurm slow = slurm("while [ ! -e %s ]; do sleep 0.1; done".formatted(go));
    Jobs jobs = new Jobs(node.settings(), node.launcher().images, slow, Runnable::run);
    node.externStep(42, true);
    Container container = jobs.enter(JOB, NodeRig.SPEC, jobs.arrival());
    assertTrue(container.start().isDone());
    assertEquals(0, updates());
    Files.createFile(go);
    Await.await("the comment is there", () -> updates() == 1);
    assertEquals("site/small:latest", ImageUse.parse(comment()).get(0).image());
  }
}
