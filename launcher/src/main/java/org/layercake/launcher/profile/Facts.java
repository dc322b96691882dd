package org.layercake.launcher.profile;

import java.util.Map;
import java.util.Set;
import org.layercake.store.StoreException;

/** What profiles may ask for. Only what one asks for has to be found out. */
public interface Facts {
  String partition() throws StoreException;

  /** The names of the generic resources that the job has. */
  Set<String> gres() throws StoreException;

  /** Of the image. */
  Map<String, String> labels();
}
