package org.layercake.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.PrintStream;

/** One JSON document on stdout, indented, with a newline at its end. */
final class Json {
  private Json() {}

  interface Document {
    void write(JsonGenerator out) throws IOException;
  }

  static void print(PrintStream target, Document document) throws IOException {
    DefaultPrettyPrinter printer = new DefaultPrettyPrinter();
    printer.indentArraysWith(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE);
    try (JsonGenerator out = new JsonFactory().createGenerator(target)) {
      out.disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET);
      out.setHighestNonEscapedChar(0x7e); // nothing that a terminal or an editor would obey
      out.setPrettyPrinter(printer);
      document.write(out);
    }
    target.println();
  }
}
