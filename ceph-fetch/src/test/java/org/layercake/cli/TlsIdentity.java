package org.layercake.cli;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/** A certificate for 127.0.0.1 and localhost that nobody vouches for, and its key. */
final class TlsIdentity {
  private static final char[] PASSWORD = "changeit".toCharArray();

  private final Path directory;
  private final KeyStore store;

  private TlsIdentity(Path directory, KeyStore store) {
    this.directory = directory;
    this.store = store;
  }

  static TlsIdentity make(Path directory) throws Exception {
    Path file = directory.resolve("identity.p12");
    CommandTest.run(
        System.getProperty("java.home") + "/bin/keytool",
        "-genkeypair",
        "-alias",
        "test",
        "-keyalg",
        "RSA",
        "-keysize",
        "2048",
        "-dname",
        "CN=localhost",
        "-ext",
        "SAN=ip:127.0.0.1,dns:localhost",
        "-ext",
        "BC=ca:true",
        "-storetype",
        "PKCS12",
        "-storepass",
        new String(PASSWORD),
        "-keystore",
        file.toString());
    KeyStore store = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(file)) {
      store.load(in, PASSWORD);
    }
    TlsIdentity identity = new TlsIdentity(directory, store);
    Files.writeString(identity.pem("cert"), pem("CERTIFICATE", identity.certificate()));
    Files.writeString(identity.pem("key"), pem("PRIVATE KEY", identity.key().getEncoded()));
    return identity;
  }

  private static String pem(String what, byte[] bytes) {
    String base64 = Base64.getMimeEncoder(64, "\n".getBytes(US_ASCII)).encodeToString(bytes);
    return "-----BEGIN " + what + "-----\n" + base64 + "\n-----END " + what + "-----\n";
  }

  /** The file of the certificate ("cert") or the key ("key"). */
  Path pem(String what) {
    return directory.resolve(what + ".pem");
  }

  byte[] certificate() throws Exception {
    Certificate certificate = store.getCertificate("test");
    return certificate.getEncoded();
  }

  PrivateKey key() throws Exception {
    return (PrivateKey) store.getKey("test", PASSWORD);
  }

  SSLContext context() throws Exception {
    KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
    keys.init(store, PASSWORD);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), null, null);
    return context;
  }

  /** What a registry's configuration has below "http" for it. */
  String yaml() {
    return "  tls: {certificate: " + pem("cert") + ", key: " + pem("key") + "}\n";
  }
}
