package org.layercake.launcher;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One client connection: one request, its progress, its reply. */
final class Session implements Runnable {
  private static final Logger log = LoggerFactory.getLogger(Session.class);
  private static final int SEND_MILLIS = 5_000;
  // For HELLO and request together: a client that sends byte by byte gets no more time.
  private static final long REQUEST_NANOS = 5_000_000_000L;
  private static final long LIFE_MILLIS = 1_000;
  // Lines for the user: after 1 s, then ever more rarely, down to one in 10 s.
  private static final long FIRST_LINE_MILLIS = 1_000;
  private static final long MAX_LINE_MILLIS = 10_000;

  private final int connection;
  private final Libc.Peer peer;
  private final Jobs jobs;
  private final Runnable onEnd;

  /**
   * Takes over a connection, and closes it at the end.
   *
   * @param onEnd run last, whatever happened
   */
  Session(int connection, Libc.Peer peer, Jobs jobs, Runnable onEnd) {
    this.connection = connection;
    this.peer = peer;
    this.jobs = jobs;
    this.onEnd = onEnd;
  }

  @Override
  public void run() {
    try {
      serve();
    } catch (IOException e) {
      log.debug("event=client-gone cause={}", e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      Libc.close(connection);
      onEnd.run();
    }
  }

  private void serve() throws IOException, InterruptedException {
    Libc.setSendTimeout(connection, SEND_MILLIS);
    long deadlineNanos = System.nanoTime() + REQUEST_NANOS;
    try {
      Wire.requireHello(receive(deadlineNanos));
      answer(Wire.request(receive(deadlineNanos)));
    } catch (ProtocolException e) {
      log.warn("event=malformed cause={}", e.getMessage());
      send(new Reply.Failed(Abort.USAGE, "malformed request: " + e.getMessage()));
    } catch (Abort e) {
      logUnexpected(e);
      send(new Reply.Failed(e.exitCode(), e.getMessage()));
    } catch (RuntimeException e) {
      log.error("event=failure", e);
      send(new Reply.Failed(Abort.INTERNAL, "the launcher failed: " + e + " (tell the site)"));
    }
  }

  private void answer(Request request) throws Abort, IOException, InterruptedException {
    if (request instanceof Request.Enter enter) {
      hand(jobs.enter(new JobKey(enter.job(), peer.uid()), enter.spec()));
      return;
    }
    if (request instanceof Request.Session session) {
      join(jobs.ofSession(peer, session.job()));
      return;
    }
    if (peer.uid() != 0) {
      throw new Abort(Abort.NO_PERMISSION, "only root may ask this of the launcher");
    }
    if (request instanceof Request.Register register) {
      jobs.register(new JobKey(register.job(), register.uid()), register.spec());
    } else if (request instanceof Request.Start start) {
      jobs.start(new JobKey(start.job(), start.uid()));
    } else {
      jobs.release(request.job());
    }
    send(new Reply.Ok());
  }

  private void join(Jobs.Place place) throws Abort, IOException, InterruptedException {
    if (!place.notice().isEmpty()) {
      send(new Reply.Progress(place.notice()));
    }
    if (place.container() == null) {
      send(new Reply.Host());
    } else {
      hand(place.container());
    }
  }

  private void hand(Container container) throws Abort, IOException, InterruptedException {
    Holder holder = await(container);
    try {
      Reply entered = new Reply.Entered(container.image().join().environment());
      holder.send(connection, Wire.frame(entered));
    } catch (IllegalArgumentException e) {
      throw new Abort(
          Abort.USAGE, "cannot hand over the image's environment: it is too long (push less)", e);
    }
  }

  /** Waits as long as the client does: a client that is gone shows when progress is sent. */
  private Holder await(Container container) throws Abort, IOException, InterruptedException {
    CompletableFuture<Holder> holder = container.start();
    long waitedMillis = 0;
    long nextLineMillis = FIRST_LINE_MILLIS;
    String told = "";
    while (true) {
      try {
        return holder.get(LIFE_MILLIS, TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        waitedMillis += LIFE_MILLIS;
        String line = container.progress();
        boolean tell = waitedMillis >= nextLineMillis && !line.equals(told);
        send(new Reply.Progress(tell ? line : ""));
        if (tell) {
          told = line;
          nextLineMillis = waitedMillis + Math.min(waitedMillis, MAX_LINE_MILLIS);
        }
      } catch (ExecutionException e) {
        Throwable cause = e.getCause();
        if (cause instanceof Abort abort) {
          throw abort;
        }
        throw new Abort(Abort.INTERNAL, "the launcher failed: " + cause, cause);
      }
    }
  }

  private static void logUnexpected(Abort e) {
    if (e.exitCode() == Abort.INTERNAL || e.exitCode() == Abort.MISCONFIGURED) {
      log.error("event=abort code={}", e.exitCode(), e);
    }
  }

  private ByteBuffer receive(long deadlineNanos) throws IOException, ProtocolException {
    int length = Wire.frameLength(Libc.receive(connection, Wire.HEADER_BYTES, deadlineNanos));
    return Libc.receive(connection, length, deadlineNanos);
  }

  private void send(Reply reply) throws IOException {
    Libc.send(connection, Wire.frame(reply));
  }
}
