package org.layercake.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.store.StoreException;

class PolicyTest {
  private static final String DIGEST = "sha256:" + "a".repeat(64);

  /** What a user wants: words as the tests below have them, or a dash for the usual. */
  private static Wish wish(String words) {
    String user = "alice";
    String partition = "main";
    String account = "";
    Optional<String> tagged = Optional.of("tool:1");
    String owner = "alice";
    boolean root = false;
    boolean writable = false;
    List<String> devices = List.of();
    List<String> profiles = List.of();
    for (String word : words.split(" ", -1)) {
      String value = word.substring(word.indexOf('=') + 1);
      switch (word.split("=", -1)[0]) {
        case "user" -> user = value;
        case "partition" -> partition = value;
        case "account" -> account = value;
        case "image" -> {
          owner = value.substring(0, value.indexOf('/'));
          tagged =
              value.endsWith("@")
                  ? Optional.empty()
                  : Optional.of(value.substring(value.indexOf('/') + 1));
        }
        case "root" -> root = true;
        case "writable" -> writable = true;
        case "gpu" -> devices = List.of("nvidia.com/gpu=all", "amd.com/gpu=0");
        case "nccl" -> profiles = List.of("nccl");
        default -> assertEquals("-", word);
      }
    }
    Wish.Place place = new Wish.Place(partition, account);
    TreeMap<String, String> labels = new TreeMap<>();
    labels.put("vendor", "NVIDIA Corporation");
    return new Wish(
        user,
        Set.of("staff")::contains,
        () -> place,
        new Wish.ImageFacts(owner, tagged, DIGEST, 5L << 30, labels),
        root,
        writable,
        devices,
        profiles);
  }

  private static Policy policy(String rules) throws StoreException {
    return PolicyText.parse("policy", rules.replace("; ", "\n"));
  }

  private static String decision(Policy policy, Wish wish) throws StoreException {
    return policy
        .onContainer(wish)
        .map(rule -> (rule.allows() ? "allow " : "deny ") + rule.line())
        .orElse("allow");
  }

  // Rules, with "; " between lines; the wish; the decision, with the line that made it.
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "allow                                     | -                       | allow 1",
        "deny                                      | -                       | deny 1",
        "# nothing                                 | -                       | allow",
        "deny root=yes                             | root                    | deny 1",
        "deny root=yes                             | -                       | allow",
        "deny root=no                              | -                       | deny 1",
        "deny root!=no                             | root                    | deny 1",
        "deny writable=yes partition=main          | writable                | deny 1",
        "deny writable=yes partition=main          | writable partition=gpu  | allow",
        "allow user=dana; deny root=yes            | root user=dana          | allow 1",
        "allow user=dana; deny root=yes            | root                    | deny 2",
        "deny user!=dana,alice                     | user=alice              | allow",
        "deny user!=dana,alice                     | user=bob                | deny 1",
        "deny user=stud*                           | user=stud0815           | deny 1",
        "allow group=staff; deny                   | -                       | allow 1",
        "allow group=others; deny                  | -                       | deny 2",
        "deny group!=staff                         | -                       | allow",
        "deny account!=phys*                       | account=physics         | allow",
        "deny account!=phys*                       | -                       | deny 1",
        "deny partition=gpu image!=site/*          | partition=gpu           | deny 1",
        "deny partition=gpu image!=site/*          | partition=gpu image=site/x:1 | allow",
        "deny image=*/tool:1                       | image=bob/tool:1        | deny 1",
        "deny image=*/tool:1                       | image=bob/tool:2        | allow",
        "deny image=*/tool                         | image=bob/tool:2        | deny 1",
        "deny image=*/tool                         | image=bob/tools:2       | allow",
        "deny image=site/old*                      | image=site/x@           | deny 1",
        "allow image=site/good; deny               | image=site/good@        | deny 2",
        "allow image=site/*; deny                  | image=site/x@           | allow 1",
        "deny image!=site/good                     | image=site/good@        | deny 1",
        "deny image!=site/good                     | image=bob/good:1        | deny 1",
        "deny digest=sha256:aaa*                   | -                       | deny 1",
        "deny digest!=sha256:aaa*                  | -                       | allow",
        "deny label=vendor=NVIDIA?Corp*            | -                       | deny 1",
        "deny label=maker=*                        | -                       | allow",
        "deny label!=vendor=AMD*                   | -                       | deny 1",
        "deny size>4G                              | -                       | deny 1",
        "deny size>5G                              | -                       | allow",
        "deny device=nvidia.com/* partition=main   | gpu                     | deny 1",
        "deny device=nvidia.com/gpu=1              | gpu                     | allow",
        "deny device!=amd.com/*                    | -                       | deny 1",
        "deny profile=n*                           | nccl                    | deny 1",
        "deny profile=n*                           | gpu                     | allow",
        "deny mount=/data                          | -                       | allow",
        "deny  root=yes \t user=alice  --  ask us  | root                    | deny 1",
      })
  void theFirstRuleThatAppliesDecides(String rules, String wish, String decision)
      throws StoreException {
    assertEquals(decision, decision(policy(rules), wish(wish)));
  }

  // Rules; a source, without links; the line that decides about it.
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "deny mount=/data                        | /data          | deny 1",
        "deny mount=/data                        | /data/x        | deny 1",
        "deny mount=/data                        | /data2         | none",
        "deny mount=/data/secret                 | /data          | deny 1",
        "deny mount=/data/secret                 | /              | deny 1",
        "allow mount=/data/secret                | /data          | none",
        "allow mount=/data/pub; deny mount=/data | /data/pub/x    | allow 1",
        "allow mount=/data/pub; deny mount=/data | /data/x        | deny 2",
        "deny mount!=/scratch,/home              | /home/alice    | none",
        "deny mount!=/scratch,/home              | /srv           | deny 1",
        "deny mount!=/scratch/a                  | /scratch       | deny 1",
        "allow mount!=/scratch/a                 | /scratch       | none",
        "deny mount=/ user=bob                   | /srv           | none",
        "deny mount=/ root=no                    | /srv           | deny 1",
        "deny user=alice                         | /srv           | none",
      })
  void mountsHaveRulesOfTheirOwn(String rules, String source, String decision)
      throws StoreException {
    List<Rule> onMounts = policy(rules).onMounts(wish("-"));
    assertEquals(
        decision,
        onMounts.stream()
            .filter(rule -> rule.isAbout(source))
            .map(rule -> (rule.allows() ? "allow " : "deny ") + rule.line())
            .findFirst()
            .orElse("none"));
  }

  // Rules; the job, as above; what is on the host; the decision, with the line that made it.
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "deny                                | -              | STEP  | allow",
        "deny root=no                        | -              | STEP  | allow",
        "deny host=*                         | -              | STEP  | deny 1",
        "deny host=*                         | -              | SSH   | deny 1",
        "deny host=step,batch                | -              | BATCH | deny 1",
        "deny host=step,batch                | -              | SHELL | allow",
        "deny host!=ssh                      | -              | SHELL | deny 1",
        "deny host!=ssh                      | -              | SSH   | allow",
        "deny host=s*                        | -              | BATCH | allow",
        "allow; deny host=step               | -              | STEP  | deny 2",
        "allow user=alice host=*; deny host=* | -             | STEP  | allow 1",
        "allow user=dana host=*; deny host=* | -              | STEP  | deny 2",
        "deny host=* partition=gpu           | partition=gpu  | STEP  | deny 1",
        "deny host=* partition=gpu           | -              | STEP  | allow",
        "deny host=* account!=phys*          | account=physics | STEP | allow",
        "deny host=* group=staff             | -              | BATCH | deny 1",
        "default image=site/x                | -              | STEP  | allow",
      })
  void tasksOnTheHostHaveRulesOfTheirOwn(String rules, String job, HostTask task, String decision)
      throws StoreException {
    Wish like = wish(job);
    Wish wish = Wish.withoutImage(like.user(), like.inGroup(), like.job());
    assertEquals(
        decision,
        policy(rules)
            .onHost(wish, task)
            .map(rule -> (rule.allows() ? "allow " : "deny ") + rule.line())
            .orElse("allow"));
    assertTrue(policy(rules).onContainer(like).map(rule -> rule.host().isEmpty()).orElse(true));
  }

  // Rules; the job; in which image it runs that asks for none, and where its batch script is.
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "allow                                               | -             | none",
        "default image=site/x                                | -             | site/x:latest host",
        "default image=site/x:2 batch=inside                 | -             | site/x:2 inside",
        "default image=bo/x:2 batch=host                     | -             | bo/x:2 host",
        "default image=site/x partition=gpu                  | -             | none",
        "default image=site/x partition=gpu,main             | -             | site/x:latest host",
        "default image=site/a partition=gpu; default image=site/b | partition=gpu | site/a:latest host",
        "default image=site/a partition=gpu; default image=site/b | -        | site/b:latest host",
        "default image=none user=alice; default image=site/b | -             | none",
        "default image=none user=dana; default image=site/b  | -             | site/b:latest host",
        "default image=site/x account=phys*                  | account=physics | site/x:latest host",
        "default image=site/x group=staff user!=dana         | -             | site/x:latest host",
        "default image=site/x group!=staff                   | -             | none",
      })
  void jobsThatAskForNothingHaveTheImageOfTheFirstLineThatApplies(
      String rules, String job, String image) throws StoreException {
    Wish like = wish(job);
    Wish wish = Wish.withoutImage(like.user(), like.inGroup(), like.job());
    assertEquals(
        image,
        policy(rules)
            .defaultImage(wish)
            .flatMap(
                line -> line.image().map(name -> name + (line.batchInside() ? " inside" : " host")))
            .orElse("none"));
  }

  // Rules; the wish; the line that refuses it wherever the job will run, and whoever pays.
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "deny root=yes                         | root    | 1",
        "deny root=yes                         | -       | 0",
        "deny root=yes partition=main          | root    | 0",
        "allow partition=gpu; deny root=yes    | root    | 0",
        "allow group=x; deny root=yes          | root    | 0",
        "allow user=dana; deny root=yes        | root    | 2",
        "deny partition=gpu; deny image=*/tool | -       | 2",
        "deny image=*/tool:2                   | image=alice/x@ | 0",
        "deny host=* ; allow                   | -       | 0",
      })
  void whatIsRefusedAnywayIsKnownEarly(String rules, String wish, int line) throws StoreException {
    assertEquals(line, policy(rules).anyhowRefusing(wish(wish)).map(Rule::line).orElse(0));
  }

  @Test
  void slurmIsAskedOnlyByRulesThatNeedIt() throws StoreException {
    Wish wish = wish("-");
    Wish unasked =
        new Wish(
            wish.user(),
            group -> {
              throw new AssertionError("asked for a group");
            },
            () -> {
              throw new AssertionError("asked for the job");
            },
            wish.image(),
            false,
            false,
            List.of(),
            List.of());
    Policy rules = policy("deny root=yes partition=gpu; deny user=bob group=staff; allow");
    assertEquals("allow 3", decision(rules, unasked));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "permit root=yes | begins with \"permit\"",
        "deny root | is not KEY=VALUE",
        "deny root=maybe | is not yes or no",
        "deny Root=yes | is not KEY=VALUE",
        "deny rout=yes | there is no \"rout\"",
        "deny user= | is empty",
        "deny user=a,,b | is empty",
        "deny user=a user=b | is there twice",
        "deny mount=/a mount!=/b | is there twice",
        "deny image=pytorch | is not OWNER/NAME",
        "deny image=site/x@sha256:12 | is not OWNER/NAME",
        "deny label=vendor | is not NAME=VALUE",
        "deny group=st* | names no group",
        "deny mount=data | is not an absolute path",
        "deny mount=/data/../etc | is not an absolute path",
        "deny mount=/data/ | is not an absolute path",
        "deny size>big | is not a size",
        "deny size=4G | compared by >",
        "deny size>999999999999999T | is not a size",
        "deny user>4 | compared by >",
        "deny host=job | is none of step, batch, shell and ssh",
        "deny host=* image=site/x | goes by partition, account, user and group",
        "deny host=* mount=/data | has no mounts",
        "default | says which",
        "default image=x | has no owner",
        "default image=site/* | cannot use image name",
        "default image=site/x image=bob/* | goes by partition",
        "default image=site/x image=site/y:1 | goes by partition",
        "default image=site/x root=yes | goes by partition",
        "default image=site/x batch=yes | is not inside or host",
        "default image=site/x batch=host batch=host | there is no \"batch\"",
        "default image=site/x user=a user=b | is there twice",
        "default image=site/x -- why | is not KEY=VALUE",
        "deny user=\u00e4 | is not KEY=VALUE",
      })
  void whatIsNotUnderstoodIsRefusedWithItsLine(String text) {
    String[] parts = text.split(" \\| ", -1);
    StoreException e =
        assertThrows(StoreException.class, () -> policy("# one; allow; " + parts[0]));
    assertEquals(StoreException.Kind.MISCONFIGURED, e.kind());
    assertTrue(e.getMessage().contains("line 3: "), e.getMessage());
    assertTrue(e.getMessage().contains(parts[1]), e.getMessage());
  }

  @Test
  void aFileIsBounded() {
    for (String many :
        List.of(
            "deny\n".repeat(PolicyText.MAX_RULES + 1),
            "deny user=" + "a,".repeat(PolicyText.MAX_VALUES) + "a",
            "deny -- " + "x".repeat(201))) {
      assertThrows(StoreException.class, () -> policy(many));
    }
  }

  @Test
  void patternsThatLookBackOftenTakeNoTime() throws StoreException {
    String stars = Arrays.stream(new String[60]).map(s -> "*a").collect(Collectors.joining());
    assertEquals("allow", decision(policy("deny user=" + stars), wish("user=" + "b".repeat(400))));
    assertEquals(
        "allow", decision(policy("deny user=" + stars + "c"), wish("user=" + "a".repeat(400))));
  }
}
