package org.layercake.launcher;

import java.io.IOException;
import java.util.Map;
import java.util.OptionalInt;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.UnixSocket;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What systemd and its services say to each other: sd_listen_fds(3), sd_notify(3). Without systemd
 * nothing happens.
 */
final class Systemd {
  private static final Logger log = LoggerFactory.getLogger(Systemd.class);
  private static final int FIRST_DESCRIPTOR = 3; // SD_LISTEN_FDS_START

  private final Map<String, String> environment;

  Systemd(Map<String, String> environment) {
    this.environment = environment;
  }

  /**
   * The listening socket that systemd holds for us, over restarts; empty when it holds none.
   *
   * @throws IOException when it gave us something else
   */
  OptionalInt listeningSocket() throws IOException {
    String pid = environment.get("LISTEN_PID");
    String count = environment.getOrDefault("LISTEN_FDS", "0");
    if (!String.valueOf(ProcessHandle.current().pid()).equals(pid) || count.equals("0")) {
      return OptionalInt.empty();
    }
    if (!count.equals("1")) {
      throw new IOException("systemd passed " + count + " sockets and not one (see the .socket)");
    }
    UnixSocket.takeOver(FIRST_DESCRIPTOR);
    return OptionalInt.of(FIRST_DESCRIPTOR);
  }

  /** Says that requests are answered from now on. */
  void ready() {
    tell("READY=1");
  }

  /** Says that they are not any more. */
  void stopping() {
    tell("STOPPING=1");
  }

  private void tell(String state) {
    String socket = environment.getOrDefault("NOTIFY_SOCKET", "");
    if (socket.isEmpty()) {
      return;
    }
    try {
      UnixSocket.sendDatagram(socket, state);
    } catch (IOException e) {
      Event.NOTIFY_FAILED
          .on(log)
          .addKeyValue("state", state)
          .addKeyValue("cause", e.getMessage())
          .log();
    }
  }
}
