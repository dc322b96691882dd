package org.layercake.launcher.edit;

import org.layercake.store.ImageConfig;

/**
 * A change of the environment.
 *
 * @param value empty for what is taken out
 */
public record Variable(Act act, String name, String value, Origin origin) {
  /** What is done with it. */
  public enum Act {
    SET,
    /** Put before what the image has, with a colon between. */
    PREPEND,
    UNSET
  }

  /** Of {@code NAME=VALUE}, or {@code NAME} alone for what is taken out. */
  public static Variable parse(Act act, String text, Origin origin) {
    String whole = act == Act.UNSET ? text + "=" : text;
    int equals = whole.indexOf('=');
    if (!ImageConfig.isVariable(whole) || (act == Act.UNSET && text.indexOf('=') >= 0)) {
      throw new IllegalArgumentException(
          "\"" + text + "\" is not " + (act == Act.UNSET ? "a variable's NAME" : "NAME=VALUE"));
    }
    return new Variable(act, whole.substring(0, equals), whole.substring(equals + 1), origin);
  }
}
