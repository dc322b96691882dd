package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FetchProgressTest {
  private final List<String> lines = new ArrayList<>();
  private final FetchProgress progress = new FetchProgress("deb:12 from pool p", 10, lines::add);

  @Test
  void aWaitIsSaidWithItsCauseAndWithoutTheAdviceToTryAgain() {
    progress.waits("cannot read in domain u.alice (c/12): Ceph does not answer (try again later)");
    progress.waits("no answer");
    assertEquals(
        List.of(
            "waiting for deb:12 from pool p: cannot read in domain u.alice (c/12): Ceph does not"
                + " answer",
            "waiting for deb:12 from pool p: no answer"),
        lines);
  }
}
