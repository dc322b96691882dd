package org.layercake.launcher;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.layercake.launcher.job.Container;
import org.layercake.launcher.job.Holder;
import org.layercake.launcher.job.JobKey;
import org.layercake.launcher.job.Jobs;
import org.layercake.launcher.job.Place;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.UnixSocket;
import org.layercake.store.ExitCode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One client connection: one request, its progress, its reply. Whatever fails ends only it. */
final class Session implements Runnable, AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Session.class);
  private static final int SEND_MILLIS = 5_000;
  // For HELLO and request together: a client that sends byte by byte gets no more time.
  private static final long REQUEST_NANOS = 5_000_000_000L;
  private static final long LIFE_MILLIS = 1_000;
  // Lines for the user: after 1 s, then ever more rarely, down to one in 10 s.
  private static final long FIRST_LINE_MILLIS = 1_000;
  private static final long MAX_LINE_MILLIS = 10_000;

  private final int connection;
  private final UnixSocket.Peer peer;
  private final long arrival;
  private final Jobs jobs;
  private final Unread unread;
  private final Consumer<Session> onEnd;
  private final long acceptedNanos = System.nanoTime();
  private boolean open = true; // guarded by this
  private Optional<Long> step = Optional.empty(); // a task's

  /**
   * Takes over a connection, and closes it at the end.
   *
   * @param arrival of {@link Jobs#arrival}, when it was accepted
   * @param unread memory for requests, of all sessions together
   * @param onEnd told last, once, whatever happened
   */
  Session(
      int connection,
      UnixSocket.Peer peer,
      long arrival,
      Jobs jobs,
      Unread unread,
      Consumer<Session> onEnd) {
    this.connection = connection;
    this.peer = peer;
    this.arrival = arrival;
    this.jobs = jobs;
    this.unread = unread;
    this.onEnd = onEnd;
  }

  boolean isRoots() {
    return peer.uid() == 0;
  }

  @Override
  public void run() {
    try {
      serve();
    } catch (IOException e) {
      Event.CLIENT_GONE.on(log).addKeyValue("cause", e.getMessage()).log();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException | Error e) {
      Event.SESSION_FAILED.on(log).addKeyValue("uid", peer.uid()).setCause(e).log();
    } finally {
      close();
    }
  }

  private void serve() throws IOException, InterruptedException {
    UnixSocket.setSendTimeout(connection, SEND_MILLIS);
    long deadlineNanos = System.nanoTime() + REQUEST_NANOS;
    try {
      Wire.requireHello(receive(Wire.HELLO_BYTES, Wire.HELLO_BYTES, deadlineNanos));
      Place place = answer(request(deadlineNanos));
      if (place != null) {
        join(place);
      }
    } catch (ProtocolException e) {
      Event.MALFORMED
          .on(log)
          .addKeyValue("uid", peer.uid())
          .addKeyValue("cause", e.getMessage())
          .log();
      UnixSocket.discard(connection, Wire.MAX_FRAME_BYTES);
      send(new Reply.Failed(ExitCode.REQUEST, "malformed request: " + e.getMessage()));
    } catch (Abort e) {
      send(new Reply.Failed(e.exitCode(), e.getMessage()));
    } catch (RuntimeException | Error e) {
      Event.FAILURE.on(log).addKeyValue("uid", peer.uid()).setCause(e).log();
      send(new Reply.Failed(ExitCode.INTERNAL, "the launcher failed: " + e + " (tell the site)"));
    }
  }

  /**
   * Returns what is to be waited for, or null when the request is answered. By then nothing has the
   * request: thousands may wait.
   */
  private Place answer(Request request) throws Abort, IOException, InterruptedException {
    if (request instanceof Request.Enter enter) {
      JobKey job = new JobKey(enter.job(), peer.uid());
      step = Optional.of(enter.step());
      return await(jobs.ofTask(job, enter.step(), enter.spec(), arrival));
    }
    if (request instanceof Request.Session session) {
      return await(jobs.ofSession(peer, session.job(), arrival));
    }
    if (peer.uid() != 0) {
      throw new Abort(ExitCode.PERMISSION, "only root may ask this of the launcher");
    }
    if (request instanceof Request.Status status) {
      report(StatusReport.of(jobs.status(), status.form()));
      return null;
    }
    boolean gaveUp = UnixSocket.hasHungUp(connection);
    if (request instanceof Request.Release release && gaveUp) {
      jobs.releaseLate(release.job(), arrival);
    } else if (request instanceof Request.Release release) {
      jobs.release(release.job(), arrival);
    } else if (gaveUp) {
      // It has stopped waiting; its prolog or extern step, and perhaps its job, went on without us.
      Event.CLIENT_GAVE_UP.on(log).addKeyValue("job", request.job()).log();
      return null;
    } else if (request instanceof Request.Register register) {
      jobs.register(new JobKey(register.job(), register.uid()), register.spec(), arrival);
    } else {
      Request.Start start = (Request.Start) request;
      jobs.start(new JobKey(start.job(), start.uid()), arrival);
    }
    send(new Reply.Ok());
    return null;
  }

  private Place await(CompletableFuture<Place> place)
      throws Abort, IOException, InterruptedException {
    while (true) {
      try {
        return place.get(LIFE_MILLIS, TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        send(new Reply.Progress(""));
      } catch (ExecutionException e) {
        throw Abort.of(e.getCause());
      }
    }
  }

  private void report(String text) throws IOException {
    int characters = Wire.MAX_FRAME_BYTES / 4; // at most four bytes each
    for (int from = 0; from < text.length(); from += characters) {
      send(new Reply.Report(text.substring(from, Math.min(text.length(), from + characters))));
    }
    send(new Reply.Ok());
  }

  private void join(Place place) throws Abort, IOException, InterruptedException {
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
    Container given = container;
    Holder holder;
    try {
      holder = await(given);
    } catch (Abort e) {
      if (!container.mayBeTriedAgain()) {
        throw e;
      }
      Event.CONTAINER_AGAIN
          .on(log)
          .addKeyValue("uid", peer.uid())
          .addKeyValue("cause", e.getMessage())
          .log();
      // Once: an image, or a job without memory, may end each.
      given = jobs.enterAnew(container, arrival);
      holder = await(given);
    }
    holder.send(connection, Wire.frame(new Reply.Entered(given.environment())));
    if (step.isPresent()) {
      given.noteStep(step.get(), (System.nanoTime() - acceptedNanos) / 1_000_000);
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
        throw Abort.of(e.getCause());
      }
    }
  }

  private Request request(long deadlineNanos)
      throws Abort, IOException, ProtocolException, InterruptedException {
    return Wire.request(receive(1, Wire.MAX_REQUEST_BYTES, deadlineNanos));
  }

  private ByteBuffer receive(int least, int most, long deadlineNanos)
      throws Abort, IOException, ProtocolException, InterruptedException {
    ByteBuffer header = UnixSocket.receive(connection, Wire.HEADER_BYTES, deadlineNanos);
    int length = Wire.frameLength(header, least, most);
    UnixSocket.awaitData(connection, deadlineNanos);
    unread.take(peer.uid(), length, deadlineNanos);
    try {
      return UnixSocket.receive(connection, length, deadlineNanos);
    } finally {
      unread.give(peer.uid(), length);
    }
  }

  private void send(Reply reply) throws IOException {
    UnixSocket.send(connection, Wire.frame(reply));
  }

  /** Ends the connection for the client, who asks the next launcher; the session then ends. */
  synchronized void hangUp() {
    if (open) {
      UnixSocket.shutdown(connection);
    }
  }

  /** Closes the connection; also of a session that was never run. Twice is harmless. */
  @Override
  public void close() {
    synchronized (this) {
      if (!open) {
        return;
      }
      open = false;
      Libc.close(connection);
    }
    onEnd.accept(this);
  }
}
