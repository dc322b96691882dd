package org.layercake.launcher.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

public class UnixSocketTest {
  @TempDir Path directory;

  /** Two ends of a connection, blocking. */
  public static int[] pair() throws IOException {
    Path path = Files.createTempDirectory("pair").resolve("socket");
    int listening = UnixSocket.listen(path, 1);
    int client = UnixSocket.connect(path);
    int server = UnixSocket.accept(listening);
    Libc.close(listening);
    Files.delete(path);
    Files.delete(path.getParent());
    return new int[] {server, client};
  }

  @Test
  void whatIsSentIsReceived() throws Exception {
    int[] pair = pair();
    byte[] bytes = new byte[60_000];
    bytes[59_999] = 7;
    Thread sender =
        new Thread(
            () -> {
              try {
                UnixSocket.send(pair[0], ByteBuffer.wrap(bytes));
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            });
    sender.start();
    assertEquals(
        ByteBuffer.wrap(bytes),
        UnixSocket.receive(pair[1], bytes.length, System.nanoTime() + 10_000_000_000L));
    sender.join();
    assertEquals(ProcessHandle.current().pid(), UnixSocket.peer(pair[0]).pid());
    assertFalse(UnixSocket.hasHungUp(pair[0]));
    Libc.close(pair[1]);
    assertTrue(UnixSocket.hasHungUp(pair[0]));
    Libc.close(pair[0]);
  }

  @Test
  void anEmptyQueueIsNobodyAndAFileIsNoListeningSocket() throws Exception {
    int listening = UnixSocket.listen(directory.resolve("socket"), 1);
    assertEquals(UnixSocket.NOBODY, UnixSocket.accept(listening));
    UnixSocket.takeOver(listening);
    Libc.close(listening);
    int file = Libc.open("/dev/null");
    assertThrows(IOException.class, () -> UnixSocket.takeOver(file));
    Libc.close(file);
  }

  @Test
  void aPathThatDoesNotFitIsRefused() {
    Path path = directory.resolve("x".repeat(108));
    assertThrows(IOException.class, () -> UnixSocket.listen(path, 1));
  }
}
