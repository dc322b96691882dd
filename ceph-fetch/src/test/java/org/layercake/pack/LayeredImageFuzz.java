package org.layercake.pack;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.Oracle.requireLine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.layercake.store.ImageConfig;
import org.layercake.store.StoreException;

/**
 * Archives of images in layers, from the tar to the tree that is packed and the configuration. An
 * input is a script, see {@link ArchiveScript}, or itself a tar.
 */
public final class LayeredImageFuzz {
  private static final String SOURCE = "image.tar";

  private final Scratch scratch;
  private final Path tar;
  private final Decompressor decompressor;

  private static LayeredImageFuzz once; // a directory for all inputs

  private LayeredImageFuzz() throws Exception {
    scratch = new Scratch(Map.of("TMPDIR", System.getProperty("java.io.tmpdir")));
    tar = scratch.file("archive.tar");
    decompressor = new Decompressor(scratch, bytes -> {});
  }

  public static void fuzzerTestOneInput(byte[] data) throws Exception {
    if (once == null) {
      once = new LayeredImageFuzz();
    }
    once.check(TarReader.mayBegin(data) ? data : ArchiveScript.archive(data));
  }

  private void check(byte[] archive) throws IOException {
    Files.write(tar, archive);
    try {
      Optional<LayeredImage> layered = LayeredImage.read(tar, decompressor, Wanted.ANY);
      if (layered.isPresent()) {
        checkTree(layered.get());
      }
    } catch (IOException e) {
      TarReaderFuzz.requireReason(e);
    } catch (StoreException e) {
      requireLine(e.getMessage());
    }
  }

  private void checkTree(LayeredImage layered) throws IOException, StoreException {
    Packer.Result packed = PackedTree.check(layered.layers());
    Optional<FileTree.Inode> file = packed.tree().file("ch/environment");
    if (file.isEmpty() || packed.kept(file.get()) != null) { // else a program reads it
      ImageConfig config =
          new Environment(scratch, line -> assertTrue(!line.isBlank(), "an empty line for people"))
              .of(packed, SOURCE, layered.config(), "x86_64");
      assertTrue(config.environment().stream().allMatch(ImageConfig::isVariable), "no variable");
    }
  }
}
