package org.layercake.store;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads an object's copies one by one. librados has no call that names an OSD; but a localized read
 * goes to the one that is nearest to the client's {@code crush_location}, which is taken up once,
 * when a client connects. So each copy is read by a client that connects as if it were where that
 * OSD is. By Ceph's default rule no two copies are on one host, so each is the nearest from there.
 * Copies that share a place of the CRUSH map cannot be told apart: they are asked for by chance, so
 * often that the good one is missed in one of 10^12 cases.
 *
 * <p>A replica does not serve what may be the newest write of its placement group, until it hears
 * of a later one; the primary then answers in its place, and nobody can tell (Ceph's {@code
 * can_serve_replica_read}).
 */
final class Replicas {
  /** What reading the replicas of an object came to. */
  enum Outcome {
    RIGHT,
    WRONG,
    /** None was right, and not all have answered. */
    UNANSWERED
  }

  /** Makes a connection to the same pool, with some more options. */
  interface Connector {
    RadosPool connect(Map<String, String> options) throws RadosFailure;
  }

  private static final Logger LOG = LoggerFactory.getLogger(Replicas.class);
  private static final JsonFactory JSON = new JsonFactory();

  /** By chance, the good one of so many copies is missed in one of 10^12 cases. */
  private static final double MISSED = 1e-12;

  /** Where the monitors do not say how many copies there are; no pool has more. */
  private static final int MOST_COPIES = 8;

  /** The copy is not there, or its OSD cannot read it. */
  private static final int ENOENT = -2;

  private static final int EIO = -5;

  private final RadosPool pool;
  private final Connector connector;
  private final String poolName;

  Replicas(RadosPool pool, Connector connector, String poolName) {
    this.pool = pool;
    this.connector = connector;
    this.poolName = poolName;
  }

  /**
   * Where the copies of an object are: each OSD's place by the names of CRUSH, the primary first.
   */
  private record Placement(List<SortedMap<String, String>> places) {
    boolean isAlone(SortedMap<String, String> place) {
      return !place.isEmpty() && Collections.frequency(places, place) == 1;
    }
  }

  /**
   * Reads until a copy is right.
   *
   * @param isRight is told how many bytes are in the buffer
   */
  Outcome read(String domain, String object, ByteBuffer target, IntPredicate isRight) {
    Outcome outcome = Outcome.WRONG;
    Placement placement = placement(domain, object);
    List<SortedMap<String, String>> replicas =
        placement
            .places()
            .subList(Math.min(1, placement.places().size()), placement.places().size());
    for (SortedMap<String, String> place : replicas) {
      if (placement.isAlone(place)) {
        outcome = worse(outcome, readAt(place, domain, object, target, isRight));
        if (outcome == Outcome.RIGHT) {
          return outcome;
        }
      }
    }
    if (!replicas.stream().allMatch(placement::isAlone) || placement.places().isEmpty()) {
      outcome = worse(outcome, readByChance(placement, domain, object, target, isRight));
    }
    return outcome;
  }

  private static Outcome worse(Outcome before, Outcome now) {
    return now == Outcome.WRONG ? before : now;
  }

  private Outcome readAt(
      SortedMap<String, String> place,
      String domain,
      String object,
      ByteBuffer target,
      IntPredicate isRight) {
    String location =
        place.entrySet().stream()
            .map(level -> level.getKey() + "=" + level.getValue())
            .collect(Collectors.joining(" "));
    try (RadosPool there = connector.connect(Map.of("crush_location", location))) {
      return outcome(
          read(there, domain, object, target, RadosPool.LOCALIZE_READS), isRight, location);
    } catch (RadosFailure e) {
      StoreEvent.REPLICA_NOT_READ
          .on(LOG)
          .addKeyValue("object", object)
          .addKeyValue("place", location)
          .addKeyValue("cause", e.code())
          .log();
      return Outcome.UNANSWERED;
    }
  }

  private Outcome readByChance(
      Placement placement, String domain, String object, ByteBuffer target, IntPredicate isRight) {
    int copies = placement.places().isEmpty() ? MOST_COPIES : placement.places().size();
    int tries = (int) Math.ceil(Math.log(MISSED) / Math.log1p(-1.0 / copies));
    Outcome outcome = Outcome.WRONG;
    try {
      for (int i = 0; i < tries && outcome == Outcome.WRONG; i++) {
        int count = read(pool, domain, object, target, RadosPool.BALANCE_READS);
        outcome = outcome(count, isRight, "any");
      }
      return outcome;
    } catch (RadosFailure e) {
      return Outcome.UNANSWERED;
    }
  }

  private static int read(
      RadosPool pool, String domain, String object, ByteBuffer target, int flags)
      throws RadosFailure {
    return pool.namespace(domain).startRead(object, target, flags).await();
  }

  private static Outcome outcome(int count, IntPredicate isRight, String place) {
    if (count >= 0) {
      return isRight.test(count) ? Outcome.RIGHT : Outcome.WRONG;
    }
    if (count != ENOENT) { // users may name what was never there
      StoreEvent.REPLICA_UNREADABLE
          .on(LOG)
          .addKeyValue("place", place)
          .addKeyValue("errno", -count)
          .log();
    }
    return count == ENOENT || count == EIO ? Outcome.WRONG : Outcome.UNANSWERED;
  }

  /** Without places where the monitors do not tell. */
  private Placement placement(String domain, String object) {
    try {
      List<Integer> osds = new ArrayList<>();
      Map<String, String> question =
          Map.of("prefix", "osd map", "pool", poolName, "object", object, "nspace", domain);
      parse(
          pool.ask(command(question, -1)),
          (path, value) -> {
            if (path.equals("acting")) {
              osds.add(Integer.parseInt(value));
            }
          });
      List<SortedMap<String, String>> places = new ArrayList<>();
      for (int osd : osds) { // the first is the primary: only such a pool is read from replicas
        places.add(place(osd));
      }
      return new Placement(places);
    } catch (RadosFailure | IOException | NumberFormatException e) {
      StoreEvent.PLACEMENT_UNKNOWN
          .on(LOG)
          .addKeyValue("object", object)
          .addKeyValue("cause", e.getMessage())
          .log();
      return new Placement(List.of());
    }
  }

  private SortedMap<String, String> place(int osd) throws RadosFailure, IOException {
    SortedMap<String, String> place = new TreeMap<>();
    parse(
        pool.ask(command(Map.of("prefix", "osd find"), osd)),
        (path, value) -> {
          if (path.startsWith("crush_location.")) {
            place.put(path.substring(path.indexOf('.') + 1), value);
          }
        });
    return place;
  }

  private static String command(Map<String, String> question, int id) throws IOException {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(text)) {
      json.writeStartObject();
      for (Map.Entry<String, String> part : new HashMap<>(question).entrySet()) {
        json.writeStringField(part.getKey(), part.getValue());
      }
      if (id >= 0) {
        json.writeNumberField("id", id);
      }
      json.writeStringField("format", "json");
      json.writeEndObject();
    }
    return text.toString();
  }

  private interface Values {
    void add(String path, String value);
  }

  /** Tells each value of an answer with the names that lead to it, dots between them. */
  private static void parse(String answer, Values values) throws IOException {
    try (JsonParser json = JSON.createParser(answer)) {
      JsonToken token = json.nextToken();
      while (token != null) {
        if (token.isScalarValue()) {
          String path = json.getParsingContext().pathAsPointer().toString();
          values.add(
              path.substring(1).replaceAll("/[0-9]+$", "").replace('/', '.'), json.getText());
        }
        token = json.nextToken();
      }
    }
  }
}
