package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class ImageUseTest {
  private static final String DIGEST = "sha256:" + "0".repeat(64);
  private static final ImageUse PLAIN =
      new ImageUse("alice/deb:12", DIGEST, "n1", 530, 1_000_000, 2, 3, List.of());
  private static final ImageUse WITH_DEVICES =
      new ImageUse(
          "site/cuda:12", DIGEST, "n2", 7, 0, 0, 9, List.of("nvidia.com/gpu=all", "a.b/c=0"));

  @Test
  void whatIsWrittenIsReadAgain() {
    for (ImageUse use : List.of(PLAIN, WITH_DEVICES)) {
      assertTrue(ImageUse.isText(use.text()), use.text());
      assertTrue(use.text().matches("[A-Za-z0-9:=,./+_-]+"), use.text());
      assertEquals(List.of(use), ImageUse.parse(use.text()));
    }
    String both = PLAIN.text() + ";" + WITH_DEVICES.text();
    assertTrue(ImageUse.isText(both), both);
    assertEquals(List.of(PLAIN, WITH_DEVICES), ImageUse.parse(both));
  }

  @Test
  void whatOthersHaveWrittenBesideItIsLeftAlone() {
    String comment = "JS1:abc= " + PLAIN.text() + "\nlayercake: is nice";
    assertFalse(ImageUse.isText(comment));
    assertEquals(List.of(PLAIN), ImageUse.parse(comment));
    assertEquals(List.of(), ImageUse.parse(""));
  }

  @Test
  void whatIsMalformedIsNotShown() {
    String text = PLAIN.text();
    assertEquals(List.of(), ImageUse.parse(text.replace("sha256:0", "sha256:x")));
    assertEquals(List.of(), ImageUse.parse(text.replace("alice/deb:12", "\u001b[2J")));
    assertEquals(List.of(), ImageUse.parse(text.replace("image=", "picture=")));
    assertEquals(List.of(), ImageUse.parse("x".repeat(1 << 20) + " " + text));
    ImageUse huge = ImageUse.parse(text.replace("millis=530", "millis=" + "9".repeat(30))).get(0);
    assertEquals(0, huge.millis());
    ImageUse later = ImageUse.parse(text + ",new-field=7,=,x").get(0);
    assertEquals(PLAIN, later);
  }
}
