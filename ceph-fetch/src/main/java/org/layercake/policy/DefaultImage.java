package org.layercake.policy;

import java.util.List;
import java.util.Optional;
import org.layercake.store.ImageName;

/**
 * One line of the file: in which image jobs run that ask for none.
 *
 * @param line its number, from 1
 * @param text as it was written
 * @param image empty: in none
 * @param batchInside whether batch scripts run in it, too
 */
public record DefaultImage(
    int line,
    String text,
    Optional<ImageName> image,
    boolean batchInside,
    List<Condition> conditions) {}
