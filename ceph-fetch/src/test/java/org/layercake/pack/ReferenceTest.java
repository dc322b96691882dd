package org.layercake.pack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.store.StoreException;

class ReferenceTest {
  private static final String DIGEST = "@sha256:" + "0123456789abcdef".repeat(4);

  @ParameterizedTest
  @CsvSource({
    "ghcr.io/team/pytorch:2.3, ghcr.io, pytorch:2.3",
    "localhost:5000/x, localhost:5000, x:latest",
    "localhost/x:1, localhost, x:1",
    "ubuntu:24.04, docker.io, ubuntu:24.04",
    "nvidia/cuda:12-devel, docker.io, cuda:12-devel",
    "[::1]:5000/a/b/c__d--e.f:V_1, [::1]:5000, c__d--e.f:V_1",
    "Upper.example/x, Upper.example, x:latest",
  })
  void referencesAreReadAsDockerReadsThem(String text, String host, String name) throws Exception {
    Reference reference = Reference.parse("docker://" + text);
    assertEquals("docker://" + text, reference.toString());
    assertEquals("docker://" + text, reference.asked());
    assertEquals(host, reference.host());
    assertEquals(name, reference.name().tagged());
  }

  @Test
  void besideADigestTheTagOnlyNames() throws Exception {
    Reference reference = Reference.parse("docker://a.b/x:1" + DIGEST);
    assertEquals("docker://a.b/x" + DIGEST, reference.asked());
    assertEquals("docker://a.b/x:1", reference.withoutDigest());
    assertEquals("x:1", reference.name().tagged());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "/",
        "a.b/",
        "a.b//x",
        "a.b/X",
        "a.b/x:",
        "a.b/x:t/",
        "a.b/x:-t",
        "a.b/x y",
        "a.b/../x",
        "-a.b/x",
        "a.b:port/x",
        "a.b/x@",
        "a.b/x@sha256:0",
        "a.b/x@sha512:00",
        "a.b/x\n",
        "x:\n",
        "--help",
        "a.b/x?y",
        "a.b/_x",
        "a.b/x:é",
        "user:password@a.b/x",
        ":x",
        "a.b/x:1:2"
      })
  void whatIsNoReferenceIsRefusedInOneLine(String text) {
    StoreException e =
        assertThrows(StoreException.class, () -> Reference.parse("docker://" + text));
    assertEquals(StoreException.Kind.INVALID, e.kind());
    assertEquals(1, e.getMessage().lines().count());
  }

  @Test
  void longOnesAreRefusedAtOnce() {
    StoreException e =
        assertThrows(
            StoreException.class, () -> Reference.parse("docker://" + "a/".repeat(1 << 20)));
    assertTrue(e.getMessage().length() < 200, e.getMessage());
  }
}
