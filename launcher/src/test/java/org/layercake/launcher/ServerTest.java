package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.job.Holder;
import org.layercake.launcher.job.JobKey;
import org.layercake.launcher.job.NodeRig;
import org.layercake.launcher.node.Await;
import org.layercake.launcher.node.Descriptors;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.UnixSocket;
import org.layercake.launcher.node.UnixSocketTest;

// Of a thread of its own: no interrupt ends a read of what a process prints.
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ServerTest {
  private static final JobKey JOB = new JobKey(42, NodeRig.NOBODY);

  // Of docs/protocol.md, for ServerRig.python.
  private static final String HELLO = "hello = bytes.fromhex('00000003010001')";
  private static final String FRAMES =
      """
      def frame(type, payload): return struct.pack('>IB', 1 + len(payload), type) + payload
      def text(t): return struct.pack('>H', len(t)) + t
      spec = b'image=site/small'
      register = hello + frame(0x10, struct.pack('>II', 42, 65534) + text(spec))
      release = hello + frame(0x12, struct.pack('>I', 42))
      enter = hello + frame(0x13, struct.pack('>II', 42, 0) + text(spec))
      def answer(s):
          type = 0x41
          while type == 0x41:
              head = s.recv(5, socket.MSG_WAITALL)
              if len(head) < 5: return 'gone'
              type = head[4]
              s.recv(struct.unpack('>I', head[:4])[0] - 1, socket.MSG_WAITALL)
          return '%02x' % type
      def ask(request):
          s = socket.socket(socket.AF_UNIX)
          s.connect(path)
          s.sendall(request)
          return answer(s)
      """;
  private static final int FLOODS = 4;
  private static final String OK = "40";
  private static final String ENTERED = "42";

  @TempDir Path directory;
  private ServerRig rig;
  private NodeRig node;
  private final List<Process> clients = new ArrayList<>();

  @BeforeEach
  void makeNode() throws Exception {
    rig = new ServerRig(directory);
    node = rig.node;
  }

  @AfterEach
  void closeNode() throws Exception {
    for (Process client : clients) {
      client.destroyForcibly();
    }
    rig.close();
  }

  private Process client(long uid, String... lines) throws IOException {
    Process client = rig.python(uid, HELLO, FRAMES, String.join("\n", lines));
    clients.add(client);
    return client;
  }

  private String ask(long uid, String request) throws Exception {
    return ServerRig.output(client(uid, "print(ask(" + request + "))"));
  }

  @Test
  void rootAnnouncesAndAUserEnters() throws Exception {
    rig.launcher().serve();
    assertEquals(OK, ask(0, "register"));
    node.externStep(42, true);
    assertEquals(ENTERED, ask(NodeRig.NOBODY, "enter"));
    assertEquals(OK, ask(0, "release"));
    assertEquals("4f", ask(NodeRig.NOBODY, "release"));
  }

  @Test
  void usersBeyondTheirLimitsAreShutOutAndRootIsNot() throws Exception {
    node.script(node.library.resolve("holder"), "exec sleep 1000"); // so that clients wait
    node.externStep(42, true);
    rig.launcher().serve(new Server.Limits(2, 3));
    String many =
        """
        waiting = []
        for i in range(%1$d):
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            waiting.append(s)
            if i < %1$d - 1: s.sendall(enter)
        print('gone' if waiting[-1].recv(1) == b'' else 'answered', flush=True)
        sys.stdin.readline()
        """;
    Process first = client(NodeRig.NOBODY, many.formatted(3));
    assertEquals("gone", first.inputReader().readLine(), "the third of one user");
    Process second = client(1, many.formatted(2));
    assertEquals("gone", second.inputReader().readLine(), "the fourth of all users");
    assertEquals(OK, ask(0, "register"));
  }

  /**
   * However slow the machine is, root waits only for clients that were in the kernel's queue before
   * it, which has 4,096 places, and for those that come while its own thread gets to run.
   */
  @Test
  void rootIsAnsweredWhileUsersFlood() throws Exception {
    rig.launcher().serve();
    Path counts = Files.write(directory.resolve("counts"), new byte[FLOODS * Long.BYTES]);
    Files.setPosixFilePermissions(counts, PosixFilePermissions.fromString("rw-rw-rw-"));
    String count =
        "import mmap; f = open('%s', 'r+'); counts = memoryview(mmap.mmap(f.fileno(), 0)).cast('q')"
            .formatted(counts);
    for (int i = 0; i < FLOODS; i++) {
      Process flood =
          client(
              NodeRig.NOBODY,
              count,
              "print('floods')",
              "while True:",
              "    s = socket.socket(socket.AF_UNIX)",
              "    s.connect(path)",
              "    s.send(enter)",
              "    s.close()",
              "    counts[" + i + "] += 1");
      assertEquals('f', flood.getInputStream().read());
    }
    String most =
        ServerRig.output(
            client(
                0,
                count,
                "most = 0",
                "for i in range(20):",
                "    before = sum(counts)",
                "    assert ask(register) == '40'",
                "    most = max(most, sum(counts) - before)",
                "assert sum(counts) > 4096, 'no flood'",
                "print(most)"));
    assertTrue(Integer.parseInt(most) < 4 * 4096, most);
  }

  @Test
  void aUserHasSoManyConnectionsAndOthersAreServedBeside() throws Exception {
    rig.launcher().serve();
    Process hoarder =
        client(
            NodeRig.NOBODY,
            "import resource",
            "resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))",
            "many = []",
            "for i in range(1030):",
            "    many.append(socket.socket(socket.AF_UNIX))",
            "    many[-1].connect(path)",
            "print('shut out' if many[-1].recv(1) == b'' else 'in')",
            "time.sleep(1000)");
    assertEquals("shut out", hoarder.inputReader().readLine());
    node.externStep(42, true);
    assertEquals(OK, ask(0, "register"));
    assertEquals(ENTERED, ask(1, "enter")); // another user
  }

  @Test
  void aLauncherWithoutDescriptorsAnswersRootAndWaitsForSome() throws Exception {
    ServerRig.Launcher launcher = rig.launcher().serve();
    String limit = "import signal; signal.alarm(30)";
    Process user =
        client(
            NodeRig.NOBODY,
            limit,
            "print('here')",
            "sys.stdin.readline()",
            "s.connect(path)",
            "print('shut out' if s.recv(1) == b'' else 'in')",
            "sys.stdin.readline()",
            "print(ask(enter))");
    assertEquals("here", user.inputReader().readLine());
    Process root =
        client(0, limit, "print(ask(release))", "sys.stdin.readline()", "print(ask(release))");
    assertEquals(OK, root.inputReader().readLine());
    List<Integer> all = Descriptors.takeAll();
    try {
      goOn(user);
      assertEquals("shut out", user.inputReader().readLine());
      goOn(root);
      assertEquals(OK, root.inputReader().readLine());
    } finally {
      all.forEach(Libc::close);
    }
    goOn(user);
    assertEquals("4f", user.inputReader().readLine());
    assertTrue(launcher.isServing());
  }

  private static void goOn(Process client) throws IOException {
    client.getOutputStream().write('\n');
    client.getOutputStream().flush();
  }

  @Test
  void aRequestIsAsOldAsItsConnection() throws Exception {
    rig.launcher().serve();
    assertEquals(
        OK + "\n" + OK,
        ServerRig.output(
            client(
                0,
                "s.connect(path)",
                "print(ask(release))",
                "s.sendall(register)",
                "print(answer(s))")));
    assertFalse(Files.exists(node.note(JOB)));
    assertFalse(Files.exists(node.state(JOB)));
  }

  @Test
  void anAnnouncementOfAClientThatGaveUpIsDropped() throws Exception {
    ServerRig.Launcher launcher = rig.launcher();
    launcher.listen();
    assertEquals(
        "left",
        ServerRig.output(
            client(0, "s.connect(path)", "s.sendall(register)", "s.close()", "print('left')")));
    launcher.accept();
    assertEquals(OK, ask(0, "hello + frame(0x11, struct.pack('>II', 41, 65534))"));
    assertFalse(Files.exists(node.note(JOB)));
    assertEquals(OK, ask(0, "register"));
    assertTrue(Files.exists(node.note(JOB)));
  }

  @Test
  void aStopTellsNobodyOfAFailureAndTheNextLauncherAnswers() throws Exception {
    Path holder = node.directory.resolve("lib/holder");
    String works = Files.readString(holder);
    node.script(holder, "touch " + node.directory.resolve("starting") + "; exec sleep 1000");
    node.externStep(42, true);
    ServerRig.Launcher first = rig.launcher().serve();
    Process waits = client(NodeRig.NOBODY, "print(ask(enter))");
    Await.await("the holder starts", () -> Files.exists(node.directory.resolve("starting")));
    first.stop();
    assertEquals("gone", waits.inputReader().readLine());
    Files.writeString(holder, works);
    rig.launcher().serve();
    assertEquals(ENTERED, ask(NodeRig.NOBODY, "enter"));
  }

  @Test
  void aClientThatDoesNotReadDelaysNeitherOthersNorTheEnd() throws Exception {
    ServerRig.Launcher launcher = rig.launcher().serve();
    node.externStep(42, true);
    Holder holder =
        launcher.jobs().enter(JOB, NodeRig.SPEC, launcher.jobs().arrival()).start().get();
    int[] pair = UnixSocketTest.pair();
    UnixSocket.setSendTimeout(pair[0], 60_000);
    Thread stuck =
        new Thread(
            () -> {
              try {
                for (int i = 0; i < 1000; i++) {
                  holder.send(pair[0], ByteBuffer.allocate(60_000));
                }
              } catch (IOException e) {
                // its end is closed below
              }
            });
    stuck.start();
    Await.await("it is stuck", () -> stuck.getState() == Thread.State.RUNNABLE);
    assertEquals(ENTERED, ask(NodeRig.NOBODY, "enter"));
    assertEquals(OK, ask(0, "release"));
    Await.await("the holder ends", () -> !holder.id().isRunning());
    assertTrue(stuck.isAlive());
    UnixSocket.shutdown(pair[0]);
    stuck.join();
    Libc.close(pair[0]);
    Libc.close(pair[1]);
  }
}
