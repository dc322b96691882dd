package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.job.NodeRig;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.UnixSocket;
import org.layercake.launcher.node.UnixSocketTest;
import org.layercake.store.ExitCode;

/** One connection, whose other end the test has; requests are those of docs/protocol.md. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SessionTest {
  private static final UnixSocket.Peer USER = new UnixSocket.Peer(1, NodeRig.NOBODY);
  private static final UnixSocket.Peer ROOT = new UnixSocket.Peer(1, 0);
  private static final String HELLO = "00000003010001";
  private static final String SPEC = "0010" + hex("image=site/small");
  private static final String ENTER_42 = "0000001b13" + "0000002a" + "00000000" + SPEC;
  private static final String REGISTER_42 = "0000001b10" + "0000002a" + "0000fffe" + SPEC;
  private static final String RELEASE_42 = "0000000512" + "0000002a";

  @TempDir Path directory;
  private NodeRig node;
  private NodeRig.Launcher launcher;
  private int[] pair;
  private final List<Session> ended = new ArrayList<>();

  @BeforeEach
  void connect() throws Exception {
    node = new NodeRig(directory);
    launcher = node.launcher();
    pair = UnixSocketTest.pair();
  }

  @AfterEach
  void close() throws Exception {
    Libc.close(pair[1]);
    node.close();
  }

  private static String hex(String text) {
    return HexFormat.of().formatHex(text.getBytes(StandardCharsets.UTF_8));
  }

  private Session session(UnixSocket.Peer peer) {
    return new Session(
        pair[0], peer, launcher.jobs.arrival(), launcher.jobs, new Unread(), ended::add);
  }

  private void send(String bytes) throws IOException {
    UnixSocket.send(pair[1], ByteBuffer.wrap(HexFormat.of().parseHex(bytes)));
  }

  /** What the session answers to these bytes; it has ended then. */
  private Answer answer(UnixSocket.Peer peer, String bytes) throws IOException {
    send(bytes);
    session(peer).run();
    assertEquals(1, ended.size());
    return next();
  }

  /** A reply: its type, and all else as text. */
  private record Answer(int type, int first, String text) {}

  private Answer next() throws IOException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    int length = UnixSocket.receive(pair[1], Wire.HEADER_BYTES, deadline).getInt();
    ByteBuffer body = UnixSocket.receive(pair[1], length, deadline);
    int type = body.get();
    int first = body.hasRemaining() ? Byte.toUnsignedInt(body.get(body.position())) : -1;
    return new Answer(type, first, StandardCharsets.UTF_8.decode(body).toString());
  }

  private static void assertFails(int exitCode, String words, Answer answer) {
    assertEquals(0x4f, answer.type(), answer.toString());
    assertEquals(exitCode, answer.first(), answer.toString());
    assertTrue(answer.text().contains(words), answer.toString());
  }

  @Test
  void aStepGetsTheNamespacesOfItsContainer() throws Exception {
    node.externStep(42, true);
    Answer answer = answer(USER, HELLO + ENTER_42);
    assertEquals(0x42, answer.type(), answer.toString());
    assertTrue(answer.text().contains("LAYERCAKE_IMAGE=site/small"), answer.toString());
  }

  @Test
  void aStepGetsAnotherContainerWhenTheImageServerEndsBeforeTheHolderHasTheMount()
      throws Exception {
    node.externStep(42, true);
    node.noteImageServer();
    holder("mkdir once 2>/dev/null && kill -9 $(cat server) && fail 74 'no mount'; work");
    Answer answer = answer(USER, HELLO + ENTER_42);
    assertEquals(0x42, answer.type(), answer.toString());
  }

  @Test
  void aStepHearsWhyWhenEachImageServerEnds() throws Exception {
    node.externStep(42, true);
    node.noteImageServer();
    holder("kill -9 $(cat server); fail 74 'no mount'");
    assertFails(74, "no mount", answer(USER, HELLO + ENTER_42));
  }

  @Test
  void aStepGetsAnotherContainerWhenTheHolderIsKilledBeforeItIsReady() throws Exception {
    node.externStep(42, true);
    holder("mkdir once 2>/dev/null && kill -9 $$; work");
    assertEquals(0x42, answer(USER, HELLO + ENTER_42).type());
  }

  @Test
  void aStepGetsAnotherContainerWhenTheHolderIsKilledAsSoonAsItIsReady() throws Exception {
    node.externStep(42, true);
    holder("mkdir once 2>/dev/null && echo ready && kill -9 $$; work");
    assertEquals(0x42, answer(USER, HELLO + ENTER_42).type());
  }

  @Test
  void aStepHearsWhyWhenEachHolderIsKilled() throws Exception {
    node.externStep(42, true);
    holder("kill -9 $$");
    assertFails(ExitCode.INTERNAL, "holder was ended by signal 9", answer(USER, HELLO + ENTER_42));
  }

  @Test
  void aStepThatFailsForAnotherReasonIsNotTriedAgain() throws Exception {
    node.externStep(42, true);
    holder("mkdir once 2>/dev/null && fail 66 'no such directory'; fail 70 'tried again'");
    assertFails(66, "no such directory", answer(USER, HELLO + ENTER_42));
  }

  private void holder(String script) throws IOException {
    node.script(
        node.library.resolve("holder"),
        """
        cd '%s'
        fail() { echo "holder: $2" >&2; exit "$1"; }
        work() { echo ready; read kept && exec sleep 1000; }
        """
                .formatted(directory)
            + script);
  }

  @Test
  void rootAnnouncesAJobAndEndsIt() throws Exception {
    assertEquals(0x40, answer(ROOT, HELLO + REGISTER_42).type());
  }

  @Test
  void aUserAnnouncesAndEndsNothing() throws Exception {
    assertFails(ExitCode.PERMISSION, "only root", answer(USER, HELLO + RELEASE_42));
  }

  @Test
  void bytesThatAreNoHelloAreMalformed() throws Exception {
    assertFails(ExitCode.REQUEST, "not HELLO", answer(USER, "00000003" + "130001"));
  }

  @Test
  void anotherVersionIsNamedToBothSides() throws Exception {
    assertFails(ExitCode.REQUEST, "version 9", answer(USER, "00000003010009"));
  }

  @Test
  void aFrameThatIsTooLongIsRefusedBeforeItIsRead() throws Exception {
    assertFails(ExitCode.REQUEST, "malformed", answer(USER, HELLO + "7fffffff13"));
  }

  @Test
  void bytesLeftOverInAFrameAreMalformed() throws Exception {
    assertFails(
        ExitCode.REQUEST, "left over", answer(ROOT, HELLO + "0000000612" + "0000002a" + "00"));
  }

  @Test
  void aJobThatIsNotHereIsRefused() throws Exception {
    assertFails(ExitCode.PERMISSION, "not on this node", answer(USER, HELLO + ENTER_42));
  }

  @Test
  void aClientThatIsGoneEndsItsSession() throws Exception {
    send(HELLO);
    UnixSocket.shutdown(pair[1]);
    session(USER).run();
    assertEquals(1, ended.size());
  }

  @Test
  void aSessionThatIsHungUpTellsOfNoFailure() throws Exception {
    Session session = session(USER);
    session.hangUp();
    session.run();
    session.close();
    assertEquals(List.of(session), ended);
  }
}
