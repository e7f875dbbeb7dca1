import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.Security;
import java.security.cert.X509Certificate;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509KeyManager;

/** Serves a page over TLS with the key of the token's key store that the second argument names, until it is ended. */
public class TlsServer {
    public static void main(String[] arguments) throws Exception {
        Provider provider = Security.getProvider("SunPKCS11").configure(arguments[0]);
        // TLS finds who signs with an opaque key among the installed providers.
        Security.addProvider(provider);
        KeyStore store = KeyStore.getInstance("PKCS11", provider);
        store.load(null, "any".toCharArray());
        KeyManagerFactory factory = KeyManagerFactory.getInstance("SunX509");
        factory.init(store, null);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(new KeyManager[] {new OneKey((X509KeyManager) factory.getKeyManagers()[0], arguments[1])}, null, null);
        SSLServerSocket server = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 50, InetAddress.getLoopbackAddress());
        System.out.println("listening on port " + server.getLocalPort());
        while (true) {
            try (Socket socket = server.accept()) {
                BufferedReader request = new BufferedReader(new InputStreamReader(socket.getInputStream()));
                for (String line = request.readLine(); line != null && !line.isEmpty(); line = request.readLine()) {}
                socket.getOutputStream().write("HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nserved".getBytes());
            } catch (java.io.IOException exception) {
                System.out.println("a connection failed: " + exception);
            }
        }
    }

    /** Always this key, whatever the client prefers. */
    static class OneKey extends X509ExtendedKeyManager {
        private final X509KeyManager keys;
        private final String alias;

        OneKey(X509KeyManager keys, String alias) {
            this.keys = keys;
            this.alias = alias;
        }

        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            return getPrivateKey(alias).getAlgorithm().equals(type) ? alias : null;
        }

        public String[] getServerAliases(String type, Principal[] issuers) { return keys.getServerAliases(type, issuers); }

        public X509Certificate[] getCertificateChain(String alias) { return keys.getCertificateChain(alias); }

        public PrivateKey getPrivateKey(String alias) { return keys.getPrivateKey(alias); }

        public String[] getClientAliases(String type, Principal[] issuers) { return null; }

        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) { return null; }
    }
}
