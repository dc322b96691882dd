package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.StoreException;

/** What skopeo says, and what to do then. Its words are those of containers/image and of Go. */
final class SkopeoFailure {
  private static final int MAX_CAUSE_CHARS = 600;

  /** As logrus writes a line where no terminal is. */
  private static final Pattern MESSAGE = Pattern.compile("msg=\"((?:[^\"\\\\]|\\\\.)*+)\"");

  /** What comes before the cause: our own words, or the reference again. */
  private static final Pattern PREFIX =
      Pattern.compile(
          "(?:Error parsing image name|[Ii]nitializing source|Invalid source name)"
              + " \\\\?\"?docker://[^\\s\"\\\\]*+\\\\?\"?: ");

  private static final Pattern NAMES = Pattern.compile("reading manifest \\S++ in ");

  /**
   * One way to fail.
   *
   * @param move the next one, in which HOST and PLACES stand for what they are here
   */
  private record Way(Pattern words, StoreException.Kind kind, String move) {
    Way(String words, StoreException.Kind kind, String move) {
      this(Pattern.compile(words, Pattern.CASE_INSENSITIVE), kind, move);
    }
  }

  /** What may be gone when it is tried again at once. */
  private static final Way BROKEN =
      new Way(
          "connection re|no such host|timeout|timed out|deadline|unreachable|EOF|no route"
              + "|server misbehaving|\\b50[0-9]\\b|broken pipe|content-length|length mismatch",
          UNAVAILABLE,
          "try again; what has arrived is not fetched again");

  /** The first that fits counts. */
  private static final List<Way> WAYS =
      List.of(
          new Way(
              " is blocked in ",
              DENIED,
              "a rule of this machine; take the image from another registry, or ask an"
                  + " administrator"),
          new Way(
              "loading trust policy",
              MISCONFIGURED,
              "correct that policy.json; if it does not exist, have containers-common installed"
                  + " (golang-github-containers-common in Debian)"),
          new Way(
              "source image rejected",
              DENIED,
              "a rule in policy.json of this machine, or of ~/.config/containers: take a signed"
                  + " image, or ask an administrator"),
          new Way(
              "toomanyrequests|too many requests|\\b429\\b",
              UNAVAILABLE,
              "HOST limits how much is asked of it: try again later; some allow more after: skopeo"
                  + " login HOST"),
          new Way(
              "unauthorized|authentication required|invalid username/password"
                  + "|(?<!permission )denied|forbidden|unable to retrieve auth token|\\b40[13]\\b",
              DENIED,
              "is the name right? Else log in: skopeo login HOST, podman login HOST or docker login"
                  + " HOST; credentials were looked for in PLACES"),
          new Way(
              // A helper that is missing, a file that is malformed.
              "credential|getting username and password",
              MISCONFIGURED,
              "credentials were looked for in PLACES: correct them, or give --authfile"),
          new Way(
              "blob unknown|fetching blob: .*\\b404\\b",
              NOT_FOUND,
              "HOST lacks a part of the image: have it pushed there again"),
          new Way(
              "manifest unknown|name unknown|not found|\\b404\\b|repository name not known",
              NOT_FOUND,
              "check name and tag: skopeo list-tags docker://REPOSITORY"),
          new Way(
              "server gave HTTP response to HTTPS client",
              MISCONFIGURED,
              "if it is to be used without encryption: --tls-verify=false"),
          new Way(
              "x509|certificate|tls: ",
              MISCONFIGURED,
              "put the CA's certificate into /etc/containers/certs.d/HOST/ca.crt or"
                  + " ~/.config/containers/certs.d/HOST/ca.crt, or, if nobody else can be in"
                  + " between: --tls-verify=false"),
          new Way(
              "no space left|disk quota exceeded|file too large",
              FULL,
              "set TMPDIR to a larger place"),
          new Way(
              "exceeded maximum allowed size",
              BAD_SOURCE,
              "HOST sends more than there is of a manifest: tell its operators"),
          new Way(
              "digest did not match|does not match|digest mismatch|unexpected digest"
                  + "|invalid checksum",
              BAD_SOURCE,
              "HOST sends other bytes than it names: tell its operators"),
          BROKEN);

  private SkopeoFailure() {}

  /**
   * The failure of a push.
   *
   * @param places where credentials were looked for
   */
  static StoreException of(Program.End end, Reference reference, String places) {
    if (end.isKilled()) {
      return new StoreException(
          INTERNAL,
          "cannot push " + reference + ": skopeo was killed (push again; was it out of memory?)");
    }
    String cause = cause(end.complaint());
    Optional<Way> way = way(cause, reference);
    String move =
        way.map(Way::move)
            .orElse("these are skopeo's words; try again")
            .replace("HOST", reference.host())
            .replace("REPOSITORY", reference.repository())
            .replace("PLACES", places);
    return failure(way.map(Way::kind).orElse(UNAVAILABLE), reference, cause, move);
  }

  /** Whether the connection has broken, or the registry has failed. */
  static boolean isBroken(Program.End end, Reference reference) {
    return way(cause(end.complaint()), reference).equals(Optional.of(BROKEN));
  }

  private static Optional<Way> way(String cause, Reference reference) {
    // A name may have any of the words in it.
    String words = NAMES.matcher(cause.replace(reference.repository(), "")).replaceAll("");
    return WAYS.stream().filter(way -> way.words().matcher(words).find()).findFirst();
  }

  private static StoreException failure(
      StoreException.Kind kind, Reference reference, String cause, String move) {
    return new StoreException(kind, "cannot push " + reference + ": " + cause + " (" + move + ")");
  }

  /** Registries send pages of HTML: the beginning will do. */
  private static String cause(String complaint) {
    Matcher message = MESSAGE.matcher(complaint);
    String cause = message.find() ? message.group(1) : complaint;
    cause = PREFIX.matcher(cause).replaceFirst("").replace("\\n", " ").replace("\\\"", "\"");
    return cause.length() <= MAX_CAUSE_CHARS ? cause : cause.substring(0, MAX_CAUSE_CHARS) + "…";
  }
}
