package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.OptionalLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ByteSizeTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "512, 512",
    "1k, 1024",
    "' 20G ', 21474836480",
    "8388607T, 9223370937343148032",
  })
  void sizesAreInPowersOf1024(String text, long bytes) {
    assertEquals(OptionalLong.of(bytes), ByteSize.parse(text));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "G", "-1", "+1", "1.5G", "1GB", "1 G", "8388608T", "9999999999999999999"})
  void whatIsNoneIsNotGuessed(String text) {
    assertEquals(OptionalLong.empty(), ByteSize.parse(text));
  }
}
