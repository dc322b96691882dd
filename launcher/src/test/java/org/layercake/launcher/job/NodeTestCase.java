package org.layercake.launcher.job;

import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A node of its own for each test, and a job there. */
abstract class NodeTestCase {
  static final JobKey JOB = new JobKey(42, NodeRig.NOBODY);

  @TempDir Path directory;
  NodeRig node;

  @BeforeEach
  void makeNode() throws Exception {
    node = new NodeRig(directory);
  }

  @AfterEach
  void closeNode() throws Exception {
    node.close();
  }
}
