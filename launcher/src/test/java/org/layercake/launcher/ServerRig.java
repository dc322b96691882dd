package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.layercake.launcher.job.Jobs;
import org.layercake.launcher.job.NodeRig;

/** A node whose launchers answer on a socket, and clients of it. */
final class ServerRig {
  final NodeRig node;
  final Path socket;
  private final List<Launcher> launchers = new ArrayList<>();

  ServerRig(Path directory) throws Exception {
    this.node = new NodeRig(directory);
    this.socket = node.runDirectory.resolve("launcher.sock");
  }

  /** A launcher of the node, which answers nobody yet. */
  Launcher launcher() throws Exception {
    Launcher launcher = new Launcher(node.launcher());
    launchers.add(launcher);
    return launcher;
  }

  final class Launcher {
    private final NodeRig.Launcher launcher;
    private Server server;
    private Thread serving;

    private Launcher(NodeRig.Launcher launcher) {
      this.launcher = launcher;
    }

    Jobs jobs() {
      return launcher.jobs;
    }

    /** Answers clients on the node's socket. */
    Launcher serve() throws IOException {
      listen();
      accept();
      return this;
    }

    /** The same, so many of them at once. */
    Launcher serve(Server.Limits limits) throws IOException {
      server = new Server(socket, launcher.jobs, OptionalInt.empty(), limits);
      accept();
      return this;
    }

    /** Opens the socket only: clients wait in the kernel's queue. */
    void listen() throws IOException {
      server = new Server(socket, launcher.jobs, OptionalInt.empty());
    }

    void accept() {
      serving = new Thread(this::serveUntilStopped, "serve");
      serving.start();
    }

    private void serveUntilStopped() {
      try {
        server.serve();
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }

    boolean isServing() {
      return serving.isAlive();
    }

    /** As on SIGTERM. */
    void stop() throws Exception {
      if (server != null) {
        server.stopAccepting();
        serving.join();
        server.close();
        server = null;
      }
      launcher.stop();
    }
  }

  /**
   * Starts a Python program as a user, with {@code s} a socket that is not connected and {@code
   * path} the launcher's.
   */
  Process python(long uid, String... lines) throws IOException {
    String program =
        "import os, socket, struct, sys, time\npath = sys.argv[1]\ns = socket.socket(socket.AF_UNIX)\n"
            + String.join("\n", lines);
    return new ProcessBuilder(
            "setpriv",
            "--reuid=" + uid,
            "--clear-groups",
            "/usr/bin/python3",
            "-u", // what it prints is waited for
            "-c",
            program,
            socket.toString())
        .directory(Path.of("/").toFile())
        .redirectErrorStream(true)
        .start();
  }

  static String output(Process process) throws Exception {
    String output = new String(process.getInputStream().readAllBytes(), UTF_8).strip();
    process.waitFor();
    return output;
  }

  void close() throws Exception {
    for (Launcher launcher : launchers) {
      launcher.stop();
    }
    node.close();
  }
}
