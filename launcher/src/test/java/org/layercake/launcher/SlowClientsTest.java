package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.node.UnixSocket;

/** Clients that announce much and send little, in a heap a quarter of the launcher's. */
class SlowClientsTest {
  private static final int CLIENTS = 1024; // a quarter of those a launcher serves

  @TempDir Path directory;

  @Test
  void anAnnouncedHelloCostsNoMemory() throws Exception {
    assertEquals("served\n", run("0001000000"));
  }

  @Test
  void anAnnouncedRequestCostsNoMemory() throws Exception {
    assertEquals("served\n", run("00000003010001" + "00004010"));
  }

  @Test
  void requestsThatHaveComeInPartHaveABound() throws Exception {
    assertEquals("served\n", run("00000003010001" + "00004010" + "13"));
  }

  private String run(String sent) throws Exception {
    List<String> command =
        List.of(
            "prlimit",
            "--nofile=4096",
            System.getProperty("java.home") + "/bin/java",
            "-XX:+UseSerialGC",
            "-Xmx24m",
            "-Xss256k",
            "-XX:+ExitOnOutOfMemoryError",
            "-cp",
            System.getProperty("java.class.path"),
            Sessions.class.getName(),
            directory.resolve("socket").toString(),
            sent);
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output.substring(output.lastIndexOf('\n', output.length() - 2) + 1);
  }

  /** What runs in the small heap: sessions, until all have ended, and their clients. */
  static final class Sessions {
    private Sessions() {}

    public static void main(String[] args) throws Exception {
      byte[] sent = HexFormat.of().parseHex(args[1]);
      int listening = UnixSocket.listen(Path.of(args[0]), CLIENTS);
      Unread unread = new Unread();
      List<Thread> sessions = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        UnixSocket.send(UnixSocket.connect(Path.of(args[0])), ByteBuffer.wrap(sent));
        int connection = UnixSocket.accept(listening);
        UnixSocket.Peer peer = UnixSocket.peer(connection);
        sessions.add(new Thread(new Session(connection, peer, 0, null, unread, ended -> {})));
        sessions.get(i).start();
      }
      for (Thread session : sessions) {
        session.join();
      }
      System.out.println("served");
    }
  }
}
