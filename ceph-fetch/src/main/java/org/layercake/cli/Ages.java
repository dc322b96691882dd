package org.layercake.cli;

import java.time.Duration;
import java.time.Instant;

/** Times for people. */
final class Ages {
  private Ages() {}

  /** How long ago something was, in the largest unit of which it was two: {@code 90 min}. */
  static String human(Instant then, Instant now) {
    Duration age = then.isAfter(now) ? Duration.ZERO : Duration.between(then, now); // other clocks
    if (age.toMinutes() < 2) {
      return age.toSeconds() + " s";
    } else if (age.toHours() < 2) {
      return age.toMinutes() + " min";
    } else if (age.toDays() < 2) {
      return age.toHours() + " h";
    } else if (age.toDays() < 2 * 365) {
      return age.toDays() + " d";
    }
    return age.toDays() / 365 + " y";
  }
}
