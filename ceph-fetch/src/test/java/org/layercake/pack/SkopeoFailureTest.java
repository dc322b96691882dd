package org.layercake.pack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.layercake.store.StoreException;

/** Lines of skopeo's that a test cannot have from a registry of its own. */
class SkopeoFailureTest {
  private static StoreException failure(String reference, String message) throws Exception {
    String line = "time=\"2026-01-31T23:59:59Z\" level=fatal msg=\"" + message + "\"";
    return SkopeoFailure.of(
        new Program.End("skopeo", 1, line), Reference.parse(reference), "the usual places");
  }

  @ParameterizedTest
  @CsvSource({
    "FULL, 'writing blob: write /tmp/x/oci-put-blob1: no space left on device'",
    "UNAVAILABLE, 'pinging container registry a.b: Get \\\"https://a.b/v2/\\\": dial tcp: lookup a.b: no such host'",
    "UNAVAILABLE, 'reading manifest 1 in a.b/x: toomanyrequests: You have reached your pull rate limit.'",
    "DENIED, 'reading manifest 1 in a.b/x: errors: denied: requested access to the resource is denied'",
    "DENIED, 'Source image rejected: A signature was required, but no signature exists'",
    "UNAVAILABLE, 'mkdir /tmp/x: permission denied'",
    "MISCONFIGURED, 'Error loading trust policy: open /etc/containers/policy.json: no such file or directory'",
    "MISCONFIGURED, 'Get \\\"https://a.b/v2/\\\": x509: certificate signed by unknown authority'",
    "UNAVAILABLE, 'a line of the future'",
  })
  void eachSaysWhatItIs(StoreException.Kind kind, String message) throws Exception {
    StoreException e = failure("docker://a.b/x:1", message);
    assertEquals(kind, e.kind(), e.getMessage());
    assertTrue(e.getMessage().startsWith("cannot push docker://a.b/x:1: "), e.getMessage());
    assertTrue(e.getMessage().endsWith(")"), e.getMessage());
  }

  @Test
  void wordsInNamesMeanNothing() throws Exception {
    StoreException e =
        failure(
            "docker://a.b/denied/blob.unknown:429",
            "Error parsing image name \\\"docker://a.b/denied/blob.unknown:429\\\": reading manifest"
                + " 429 in a.b/denied/blob.unknown: manifest unknown");
    assertEquals(StoreException.Kind.NOT_FOUND, e.kind(), e.getMessage());
    assertTrue(e.getMessage().contains("check name and tag"), e.getMessage());
    assertFalse(e.getMessage().contains("Error parsing"), e.getMessage());
  }

  @Test
  void aPageOfARegistrysIsCutOff() throws Exception {
    String page = "reading manifest: StatusCode: 502, <html>" + "x".repeat(5000);
    assertTrue(failure("docker://a.b/x", page).getMessage().length() < 1000);
  }
}
