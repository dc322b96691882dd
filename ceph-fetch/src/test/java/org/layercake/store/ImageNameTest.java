package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.StoreContract.assertKind;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ImageNameTest {
  private static final String DIGEST = "sha256:" + "0a".repeat(32);

  @Test
  void bareNameHasTheTagLatest() throws Exception {
    ImageName name = ImageName.parse("deb");
    assertEquals(Optional.empty(), name.owner());
    assertEquals("deb", name.name());
    assertEquals("latest", name.tag());
    assertEquals("deb:latest", name.toString());
  }

  @Test
  void allPartsAreTakenApart() throws Exception {
    ImageName name = ImageName.parse("alice/py.to_rch-2:3.11_b@" + DIGEST);
    assertEquals(Optional.of("alice"), name.owner());
    assertEquals("py.to_rch-2", name.name());
    assertEquals("3.11_b", name.tag());
    assertEquals(DIGEST, name.digest().orElseThrow().toString());
    assertEquals(name, ImageName.parse(name.toString()));
  }

  @Test
  void nameWithADigestAndNoTagStaysSo() throws Exception {
    assertEquals("site/deb@" + DIGEST, ImageName.parse("site/deb@" + DIGEST).toString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "\"\"|the name is empty",
        ":12|the name is empty",
        "deb:|the tag is empty",
        "/deb|the owner is empty",
        "alice/|the name is empty",
        "a/b/c|the name \"b/c\"",
        "deb:12:13|the tag \"12:13\"",
        "deb:-x|the tag \"-x\"",
        "..|the name \"..\"",
        "../etc:x|the owner \"..\"",
        "deb:..|the tag \"..\"",
        "d eb|the name \"d eb\"",
        "d\u00e9b|the name",
        "none|reserved",
        "deb@|digest",
        "deb@sha256:00|digest",
      })
  void refusalNamesTheOffendingPart(String text, String part) {
    StoreException e = assertKind(StoreException.Kind.INVALID, () -> ImageName.parse(text));
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }

  @Test
  void overlongPartsAreRefused() {
    for (String text :
        new String[] {
          "n".repeat(129), "n:" + "t".repeat(129), "o".repeat(65) + "/n", "n".repeat(100_000)
        }) {
      assertKind(StoreException.Kind.INVALID, () -> ImageName.parse(text));
    }
  }

  @Test
  void messageHasNoControlCharacters() {
    StoreException e =
        assertKind(StoreException.Kind.INVALID, () -> ImageName.parse("a\u001b[2J\u009b\nb"));
    assertFalse(e.getMessage().chars().anyMatch(Character::isISOControl), e.getMessage());
  }

  @Test
  void siteIsNoUser() {
    assertTrue(ImageName.isUser("alice"));
    assertTrue(ImageName.isUser("_apt"));
    assertFalse(ImageName.isUser("site"));
    assertFalse(ImageName.isUser("../x"));
    assertFalse(ImageName.isUser(""));
  }

  @Test
  void aReferenceToARegistryIsAnsweredWithTheLineToType() {
    StoreException e =
        assertKind(StoreException.Kind.NOT_FOUND, () -> ImageName.parse("docker://a.b/team/x:1"));
    assertTrue(e.getMessage().contains("(layercake push docker://a.b/team/x:1 "), e.getMessage());
  }
}
