package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Which image a name means, and for whom, whatever the back end. */
public abstract class ResolveContract extends StoreContract {
  @Test
  void digestPinsAnImageThatItsTagHasLeft() throws Exception {
    Digest old = push(file("old", random(1 << 20, 11)), "deb:12").digest();
    push(file("new", random(1 << 20, 12)), "deb:12");
    assertEquals(old, images.resolve(ImageName.parse("deb:12@" + old), user).digest());
  }

  @Test
  void unknownImageIsReportedWithNearNames() throws Exception {
    push(file("image", random(1 << 20, 13)), "debian:12");
    StoreException e =
        assertKind(
            StoreException.Kind.NOT_FOUND,
            () -> images.resolve(ImageName.parse("debain:12"), user));
    assertTrue(e.getMessage().contains(user + "/debian:12"), e.getMessage());
    assertTrue(e.getMessage().contains("the site's images"), e.getMessage());
  }

  @Test
  void imagesOfOtherUsersAreDeniedWhetherTheyExistOrNot() throws Exception {
    push(file("image", random(1 << 20, 14)), "deb:12");
    String here = user + "/deb:12";
    assertKind(StoreException.Kind.DENIED, () -> images.resolve(ImageName.parse(here), "eve"));
    assertKind(
        StoreException.Kind.DENIED, () -> images.resolve(ImageName.parse("nobody/x"), "eve"));
    assertKind(StoreException.Kind.NOT_FOUND, () -> images.resolve(ImageName.parse("deb:12"), "e"));
  }

  @Test
  void ownImageComesBeforeTheSitesAndRemovalUncoversIt() throws Exception {
    String name = "n" + System.nanoTime();
    Path source = file("image", random(1 << 20, 15));
    push(source, "site/" + name);
    assertEquals("site", images.resolve(ImageName.parse(name), user).domain());
    push(source, name);
    assertEquals(domain, images.resolve(ImageName.parse(name), user).domain());
    assertEquals("site", images.resolve(ImageName.parse("site/" + name), user).domain());
    images.remove(ImageName.parse(name), user);
    assertEquals("site", images.resolve(ImageName.parse(name), user).domain());
    images.remove(ImageName.parse("site/" + name), user);
    assertKind(StoreException.Kind.NOT_FOUND, () -> images.remove(ImageName.parse(name), user));
  }

  @Test
  void whatIsNoTagIsLeftOutOfTheListingAndCorruptWhenUsed() throws Exception {
    push(file("image", random(1 << 20, 17)), "deb:12");
    objects.swapTag(domain, "odd/1", Optional.empty(), Optional.of(bytes("rubbish")));
    objects.swapTag(domain, "stray", Optional.empty(), Optional.of(bytes("rubbish")));
    assertEquals(
        List.of(user + "/deb:12"),
        images.list(user).images().stream()
            .filter(tag -> tag.domain().equals(domain))
            .map(tag -> tag.name().toString())
            .toList());
    assertKind(StoreException.Kind.CORRUPT, () -> images.resolve(ImageName.parse("odd:1"), user));
  }

  @Test
  void secondTagPointsToTheSameImage() throws Exception {
    Digest digest = push(file("image", random(1 << 20, 16)), "deb:12").digest();
    images.tag(ImageName.parse("deb:12"), ImageName.parse("deb"), user);
    assertEquals(digest, images.resolve(ImageName.parse("deb:latest"), user).digest());
    assertKind(
        StoreException.Kind.INVALID,
        () -> images.tag(ImageName.parse("deb"), ImageName.parse("site/deb"), user));
  }

  @Test
  void sharedNameIsRunByThoseItIsSharedWithAndNobodyElse() throws Exception {
    Digest digest = push(file("image", random(1 << 20, 22)), "deb:12").digest();
    ImageName shared = ImageName.parse(user + "/deb:12");
    ImageName pinned = ImageName.parse(user + "/deb@" + digest);
    assertKind(StoreException.Kind.DENIED, () -> images.resolveToRun(shared, "eve", group -> true));
    share(Audience.user("eve").with(Audience.group("phys")));
    assertEquals(digest, images.resolveToRun(shared, "eve", group -> false).digest());
    assertEquals(digest, images.resolveToRun(pinned, "eve", group -> false).digest());
    assertEquals(digest, images.resolveToRun(shared, "bob", "phys"::equals).digest());
    assertKind(
        StoreException.Kind.DENIED, () -> images.resolveToRun(shared, "bob", "chem"::equals));
    assertKind(StoreException.Kind.DENIED, () -> images.resolve(shared, "eve"));
    share(Audience.NOBODY);
    assertKind(StoreException.Kind.DENIED, () -> images.resolveToRun(shared, "eve", group -> true));
    share(Audience.ALL);
    assertEquals(digest, images.resolveToRun(shared, "bob", group -> false).digest());
    assertEquals(Audience.ALL, images.list(user).images().get(0).audience());
  }

  @Test
  void sharingOneNameDoesNotShareTheOthers() throws Exception {
    push(file("image", random(1 << 20, 23)), "deb:12");
    Digest secret = push(file("secret", random(1 << 20, 24)), "secret").digest();
    share(Audience.ALL);
    for (String name : List.of("/secret", "/deb@" + secret)) {
      assertKind(
          StoreException.Kind.DENIED,
          () -> images.resolveToRun(ImageName.parse(user + name), "eve", group -> true));
    }
  }

  @Test
  void damagedShareAdmitsNobody() throws Exception {
    push(file("image", random(1 << 20, 25)), "deb:12");
    String many = "user eve\n" + "user u%d\n".repeat(100);
    Optional<byte[]> before = Optional.empty();
    for (String damaged :
        new String[] {"al\n", "all", "user eve", "user eve\nall\n", "all\nall\n", "\n", many}) {
      Optional<byte[]> share = Optional.of(bytes(damaged));
      assertTrue(objects.swapTag(domain, "deb/.share", before, share));
      assertKind(
          StoreException.Kind.DENIED,
          () -> images.resolveToRun(ImageName.parse(user + "/deb:12"), "eve", group -> true));
      before = share;
    }
  }

  private void share(Audience audience) throws Exception {
    assertEquals(audience, images.share(ImageName.parse("deb"), user, now -> audience));
    assertEquals(audience, images.audience(ImageName.parse("deb"), user));
  }
}
