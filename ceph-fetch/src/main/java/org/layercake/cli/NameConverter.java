package org.layercake.cli;

import org.layercake.store.ImageName;
import org.layercake.store.StoreException;
import picocli.CommandLine.ITypeConverter;

/** Image names as parameters: a bad one ends the command with its own message. */
final class NameConverter implements ITypeConverter<ImageName> {
  @Override
  public ImageName convert(String text) throws StoreException {
    return ImageName.parse(text);
  }
}
