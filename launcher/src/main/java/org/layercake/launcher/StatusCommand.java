package org.layercake.launcher;

import java.io.EOFException;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;

/** Asks the node's launcher how it is, as {@code layercake-launcher status} does. */
final class StatusCommand {
  private StatusCommand() {}

  /** Gives the answer. */
  static String ask(Path socket, StatusReport.Form form) throws Abort {
    try (SocketChannel launcher = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      launcher.connect(UnixDomainSocketAddress.of(socket));
      write(launcher, Wire.hello());
      write(launcher, Wire.statusRequest(form));
      StringBuilder report = new StringBuilder();
      while (true) {
        Reply reply = Wire.reportReply(read(launcher));
        if (reply instanceof Reply.Report part) {
          report.append(part.text());
        } else if (reply instanceof Reply.Failed failed) {
          throw new Abort(failed.exitCode(), failed.message());
        } else {
          return report.toString();
        }
      }
    } catch (IOException e) {
      throw new Abort(
          ExitCode.UNAVAILABLE,
          "cannot ask the launcher at \""
              + socket
              + "\": "
              + e.getMessage()
              + " (is layercake-launcher.service running?)",
          e);
    } catch (ProtocolException e) {
      throw new Abort(
          ExitCode.UNAVAILABLE,
          "cannot understand the launcher: " + e.getMessage() + " (is it of the same version?)",
          e);
    }
  }

  private static void write(SocketChannel launcher, ByteBuffer frame) throws IOException {
    while (frame.hasRemaining()) {
      int unused = launcher.write(frame);
    }
  }

  private static ByteBuffer read(SocketChannel launcher) throws IOException, ProtocolException {
    ByteBuffer header = read(launcher, Wire.HEADER_BYTES);
    return read(launcher, Wire.frameLength(header, 1, Wire.MAX_FRAME_BYTES));
  }

  private static ByteBuffer read(SocketChannel launcher, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(bytes);
    while (buffer.hasRemaining()) {
      if (launcher.read(buffer) < 0) {
        throw new EOFException("it hung up");
      }
    }
    return buffer.flip();
  }

  /** The words after {@code status}. */
  static StatusReport.Form form(String word) throws Abort {
    return switch (word) {
      case "--json" -> StatusReport.Form.JSON;
      case "--metrics" -> StatusReport.Form.METRICS;
      default ->
          throw new Abort(
              ExitCode.REQUEST, "unknown option \"" + word + "\" (--json or --metrics)");
    };
  }
}
