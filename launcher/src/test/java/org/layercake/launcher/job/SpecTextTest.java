package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.launcher.node.Abort;

class SpecTextTest {
  // The spec of the job or the site; what a task asks for; what it gets.
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "image=x              | image=                     | image=x",
        "image=x;batch=1      | image=;cwd=/w              | image=x;batch=1;cwd=/w",
        "image=x;cwd=/a       | image=;cwd=/a/b            | image=x;cwd=/a",
        "image=x;cwd=/a       | image=;cwd=/ab             | image=x;cwd=/ab",
        "image=x;mount=/s:/a:ro | image=;cwd=/a            | image=x;mount=/s:/a:ro",
        "image=x;mount=/s:/a:ro | image=;mount=/t:/a:rw    | image=x;mount=/t:/a:rw",
        "image=x;mount=/s:/a:ro | image=;mount=/s:/b:ro    | image=x;mount=/s:/a:ro;mount=/s:/b:ro",
        "image=x;mount=image:o/n:1:/a:ro | image=;mount=/t:/a:rw | image=x;mount=/t:/a:rw",
        "image=x;root=1       | image=;root=1;writable=default | image=x;root=1;writable=default",
        "image=x;writable=5   | image=;writable=9          | image=x;writable=9",
      })
  void aTasksWishesJoinThoseOfItsJob(String spec, String own, String merged) throws Abort {
    assertEquals(merged, SpecText.merge(spec, own));
    Spec unused = Spec.parse(merged);
  }

  @Test
  void onlyWhatAnImageCanHaveNeedsOne() {
    assertFalse(SpecText.needsImage("image=;cwd=/w;batch=1"));
    assertTrue(SpecText.needsImage("image=;workdir=/w"));
    assertTrue(SpecText.needsImage("image=;root=1"));
    assertTrue(SpecText.namesImage("image=x"));
    assertFalse(SpecText.namesImage("image=") || SpecText.namesImage("image=;root=1"));
    assertFalse(SpecText.namesImage("none") || SpecText.namesImage(""));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "root=1", "image=;image=", "image=;root=2", "image=;batch=1;batch=1", "None"})
  void whatIsNoSpecIsRefused(String own) {
    assertThrows(Abort.class, () -> SpecText.merge("image=x", own));
  }
}
