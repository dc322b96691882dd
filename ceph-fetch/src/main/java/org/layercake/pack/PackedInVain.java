package org.layercake.pack;

import java.io.IOException;

/**
 * What has been packed as it came turns out not to be the image's: others may read all of an image,
 * so it must be made anew, without that.
 */
final class PackedInVain extends IOException {
  private static final long serialVersionUID = 1;

  /**
   * @param why of the source, for people: {@code it has "x" twice}
   */
  PackedInVain(String why) {
    super(why);
  }
}
