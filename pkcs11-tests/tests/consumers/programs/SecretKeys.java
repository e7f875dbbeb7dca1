import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.Provider;
import java.security.SecureRandom;
import java.security.Security;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;

/** Loads the token as a key store and encrypts with a secret key of it; prints 'all well' at the end. */
public class SecretKeys {
    public static void main(String[] arguments) throws Exception {
        Provider provider = Security.getProvider("SunPKCS11").configure(arguments[0]);
        KeyStore store = KeyStore.getInstance("PKCS11", provider);
        store.load(null, "any".toCharArray());
        SecretKey key = (SecretKey) store.getKey("aes", null);
        check(key != null && key.getEncoded() == null, "the key is there, and its value is not");
        byte[] plain = new byte[1000];
        new SecureRandom().nextBytes(plain);
        byte[] iv = Arrays.copyOf(plain, 16);
        for (String transformation : new String[] {"AES/CBC/PKCS5Padding", "AES/CTR/NoPadding"}) {
            check(Arrays.equals(roundTrip(provider, transformation, key, new IvParameterSpec(iv), plain), plain), transformation);
        }
        GCMParameterSpec gcm = new GCMParameterSpec(128, iv, 0, 12);
        check(Arrays.equals(roundTrip(provider, "AES/GCM/NoPadding", key, gcm, plain), plain), "AES/GCM");
        byte[] digest = MessageDigest.getInstance("SHA-256", provider).digest(plain);
        check(Arrays.equals(digest, MessageDigest.getInstance("SHA-256", "SUN").digest(plain)), "SHA-256");
        System.out.println("all well");
    }

    static byte[] roundTrip(Provider provider, String transformation, SecretKey key, java.security.spec.AlgorithmParameterSpec spec, byte[] plain)
            throws Exception {
        Cipher cipher = Cipher.getInstance(transformation, provider);
        cipher.init(Cipher.ENCRYPT_MODE, key, spec);
        byte[] encrypted = cipher.doFinal(plain);
        check(!Arrays.equals(Arrays.copyOf(encrypted, plain.length), plain), transformation + " changes the text");
        cipher.init(Cipher.DECRYPT_MODE, key, spec);
        return cipher.doFinal(encrypted);
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
