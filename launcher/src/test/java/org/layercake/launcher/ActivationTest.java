package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.job.NodeRig;
import org.layercake.launcher.node.Await;

/** A small program plays systemd: it holds the socket, starts launchers and hears what they say. */
@Timeout(180)
class ActivationTest {
  private static final String SYSTEMD =
      """
      import os, signal, socket, struct, sys
      path, command = sys.argv[1], sys.argv[2:]
      listening = socket.socket(socket.AF_UNIX)
      listening.bind(path)
      os.chmod(path, 0o666)
      listening.listen(100)
      notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
      notify.bind('\\0' + path)
      notify.settimeout(60)

      def start():
          pid = os.fork()
          if pid == 0:
              os.dup2(listening.fileno(), 3)
              os.set_inheritable(3, True)
              os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', NOTIFY_SOCKET='@' + path)
              os.execvp(command[0], command)
          return pid

      def hear(what):
          said = notify.recv(100).decode()
          assert said == what, said

      def client():
          s = socket.socket(socket.AF_UNIX)
          s.connect(path)
          register = struct.pack('>IIH', 42, 65534, 16) + b'image=site/small'
          s.sendall(bytes.fromhex('00000003010001') + struct.pack('>IB', 1 + len(register), 0x10) + register)
          return s

      def answered(s):
          assert s.recv(5, socket.MSG_WAITALL)[4] == 0x40

      before = os.stat(path).st_ino
      waits = client()
      for i in range(2):
          launcher = start()
          hear('READY=1')
          answered(waits)
          answered(client())
          os.kill(launcher, signal.SIGTERM)
          hear('STOPPING=1')
          os.waitpid(launcher, 0)
          assert os.stat(path).st_ino == before
          waits = client()
      launcher = start()
      hear('READY=1')
      answered(waits)
      print('serves', flush=True)
      sys.stdin.readline()
      os.kill(launcher, signal.SIGTERM)
      os.waitpid(launcher, 0)
      print('done', flush=True)
      """;

  // HELLO and ENTER of job 42, but for the text of the spec.
  private static final String ENTER =
      "00000003010001" + "0000001b13" + "0000002a" + "00000000" + "0010";

  @TempDir Path directory;

  @Test
  void clientsWaitInTheSocketForTheNextLauncher() throws Exception {
    ServerRig rig = new ServerRig(directory);
    NodeRig node = rig.node;
    Path seen = directory.resolve("descriptors");
    node.script(
        directory.resolve("lib/holder"),
        "ls -l /proc/$$/fd >" + seen + "; echo ready; read kept && exec sleep 1000");
    List<String> command =
        new ArrayList<>(List.of("/usr/bin/python3", "-c", SYSTEMD, rig.socket.toString()));
    // As layercake-launcher does it: by a shell that becomes the JVM.
    command.addAll(List.of("sh", "-c", "exec \"$0\" \"$@\""));
    command.addAll(launcher());
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    Process systemd = builder.start();
    try {
      assertEquals("serves", lastLine(systemd, "serves"));
      node.externStep(42, true);
      assertTrue(enters(rig));
      String descriptors = Files.readString(seen);
      assertTrue(descriptors.contains("pipe:"), descriptors);
      assertFalse(descriptors.contains("socket:"), descriptors);
      systemd.getOutputStream().write('\n');
      systemd.getOutputStream().flush();
      assertEquals("done", lastLine(systemd, "done"));
    } finally {
      systemd.descendants().forEach(ProcessHandle::destroyForcibly);
      systemd.destroyForcibly();
      rig.close();
    }
  }

  @Test
  void aLauncherThatIsToldToStopHangsUpOnThoseWhoWaitBeforeAnythingFails() throws Exception {
    ServerRig rig = new ServerRig(directory);
    NodeRig node = rig.node;
    // What a worker waits for here ends at once when it is interrupted.
    node.script(directory.resolve("scontrol"), "exec sleep 1000");
    node.externStep(42, true);
    Process launcher =
        new ProcessBuilder(launcher())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("log").toFile())
            .start();
    try {
      Await.await("it listens", () -> Files.exists(rig.socket));
      Process waits =
          rig.python(
              NodeRig.NOBODY,
              "s.connect(path)",
              "s.sendall(bytes.fromhex('" + ENTER + "') + b'image=site/small')",
              "type = 0x41",
              "while type == 0x41:",
              "    head = s.recv(5, socket.MSG_WAITALL)",
              "    type = head[4] if len(head) == 5 else 'gone'",
              "    if type == 0x41: s.recv(struct.unpack('>I', head[:4])[0] - 1, socket.MSG_WAITALL)",
              "    print('waits' if type == 0x41 else type, flush=True)");
      assertEquals("waits", lastLine(waits, "waits"));
      launcher.destroy();
      assertEquals("gone", lastLine(waits, "gone"));
      launcher.waitFor();
    } finally {
      launcher.descendants().forEach(ProcessHandle::destroyForcibly);
      launcher.destroyForcibly();
      rig.close();
    }
  }

  /** The command that runs a launcher of the node. */
  private List<String> launcher() throws IOException {
    return List.of(
        ProcessHandle.current().info().command().orElseThrow(),
        "-cp",
        // Surefire hides the real one in a jar.
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
        Main.class.getName(),
        config().toString());
  }

  private Path config() throws IOException {
    return Files.writeString(
        directory.resolve("launcher.conf"),
        """
        store = directory
        directory = %1$s/store
        cache-directory = %1$s/cache
        run-directory = %1$s/run
        library-directory = %1$s/lib
        slurm-spool-directory = %1$s/spool
        scontrol = %1$s/scontrol
        ch-run = /bin/true
        instant-start = false
        """
            .formatted(directory));
  }

  private static boolean enters(ServerRig rig) throws Exception {
    String output =
        ServerRig.output(
            rig.python(
                NodeRig.NOBODY,
                "s.connect(path)",
                "s.sendall(bytes.fromhex('" + ENTER + "') + b'image=site/small')",
                "type = 0x41",
                "while type == 0x41:",
                "    head = s.recv(5, socket.MSG_WAITALL)",
                "    type = head[4]",
                "    s.recv(struct.unpack('>I', head[:4])[0] - 1, socket.MSG_WAITALL)",
                "print(hex(type))"));
    return output.equals("0x42");
  }

  /** Reads up to a line; the launchers' own lines come before, and are told when it never comes. */
  private static String lastLine(Process process, String wanted) throws IOException {
    StringBuilder all = new StringBuilder();
    for (String line = process.inputReader(UTF_8).readLine();
        line != null;
        line = process.inputReader(UTF_8).readLine()) {
      all.append(line).append('\n');
      if (line.equals(wanted)) {
        return line;
      }
    }
    return all.toString();
  }

  @Test
  void systemdStartsTheNextLauncherHoweverOftenOneEnds() throws Exception {
    String unit =
        Files.readString(
            Path.of("src/main/dist/usr/lib/systemd/system/layercake-launcher.service"));
    // Elsewhere systemd ignores them: systemd.unit(5), systemd.service(5).
    assertTrue(section(unit, "Unit").contains("StartLimitIntervalSec=0"), unit);
    assertTrue(section(unit, "Service").contains("Restart=always"), unit);
  }

  private static List<String> section(String unit, String name) {
    return unit.lines()
        .dropWhile(line -> !line.equals("[" + name + "]"))
        .skip(1)
        .takeWhile(line -> !line.startsWith("["))
        .toList();
  }

  @Test
  void withoutSystemdThereIsNoSocketAndNobodyToTell() throws Exception {
    Systemd none = new Systemd(Map.of("LISTEN_PID", "1", "LISTEN_FDS", "1"));
    assertTrue(none.listeningSocket().isEmpty());
    none.ready();
    String pid = Long.toString(ProcessHandle.current().pid());
    Systemd two = new Systemd(Map.of("LISTEN_PID", pid, "LISTEN_FDS", "2"));
    assertThrows(IOException.class, two::listeningSocket);
  }
}
