package org.layercake.it;

/** A hostile client: frames of docs/protocol.md, written by hand and sent from a task's shell. */
final class Protocol {
  private Protocol() {}

  /** A python3 command that asks to enter a job's container and prints the final reply. */
  static String enter(long job, String spec) {
    return ask(
        "spec = b\"" + spec + "\"",
        "body = struct.pack(\">BIIH\", 0x13, " + job + ", 0, len(spec)) + spec");
  }

  /** The same for the container of an ssh session that says it is of that job. */
  static String session(long job) {
    return ask("body = struct.pack(\">BI\", 0x14, " + job + ")");
  }

  private static String ask(String... body) {
    return python(
        String.join("\n", body),
        "s.sendall(bytes.fromhex(\"00000003010001\") + struct.pack(\">I\", len(body)) + body)",
        "f = s.makefile(\"rb\")",
        "while True:",
        "    body = f.read(struct.unpack(\">I\", f.read(4))[0])",
        "    if body[0] != 0x41: break",
        "print(\"ABORT %d\" % body[1] if body[0] == 0x4f else \"type %x\" % body[0])");
  }

  /** A python3 command that sends raw bytes and prints what comes back, in hex. */
  static String raw(String hex) {
    return python(
        "s.sendall(bytes.fromhex(\"" + hex + "\"))",
        "s.shutdown(socket.SHUT_WR)",
        "print(s.makefile(\"rb\").read().hex())");
  }

  /** A python3 command of these lines, run with {@code s} connected to the launcher. */
  static String python(String... lines) {
    return "python3 -c '"
        + "import socket, struct\n"
        + "s = socket.socket(socket.AF_UNIX)\n"
        + "s.settimeout(60)\n"
        + "s.connect(\"/run/layercake/launcher.sock\")\n"
        + String.join("\n", lines)
        + "'";
  }
}
