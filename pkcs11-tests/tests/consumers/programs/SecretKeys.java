import java.security.Key;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.Provider;
import java.security.SecureRandom;
import java.security.Security;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.KeyGenerator;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/** Loads the token as a key store and uses the secret keys 'aes' and 'hmac' of it; prints 'all well' at the end. */
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
        authenticate(provider, store, plain);
        generate(provider, plain);
        System.out.println("all well");
    }

    /** The bytes of 'hmac' are 32 times 7. */
    static void authenticate(Provider provider, KeyStore store, byte[] plain) throws Exception {
        byte[] known = new byte[32];
        Arrays.fill(known, (byte) 7);
        for (String algorithm : new String[] {"HmacSHA1", "HmacSHA256", "HmacSHA512"}) {
            byte[] tag = tag(Mac.getInstance(algorithm, provider), store.getKey("hmac", null), plain);
            check(Arrays.equals(tag, tag(Mac.getInstance(algorithm, "SunJCE"), new SecretKeySpec(known, algorithm), plain)), algorithm);
        }
    }

    static byte[] tag(Mac mac, Key key, byte[] plain) throws Exception {
        mac.init(key);
        return mac.doFinal(plain);
    }

    /** Keys that SunPKCS11 generates are session keys of the library. */
    static void generate(Provider provider, byte[] plain) throws Exception {
        KeyGenerator aes = KeyGenerator.getInstance("AES", provider);
        aes.init(256);
        GCMParameterSpec gcm = new GCMParameterSpec(128, plain, 0, 12);
        check(Arrays.equals(roundTrip(provider, "AES/GCM/NoPadding", aes.generateKey(), gcm, plain), plain), "a generated AES key");
        SecretKey hmac = KeyGenerator.getInstance("HmacSHA256", provider).generateKey();
        check(tag(Mac.getInstance("HmacSHA256", provider), hmac, plain).length == 32, "a generated HMAC key");
        SecureRandom random = SecureRandom.getInstance("PKCS11", provider);
        check(!Arrays.equals(random.generateSeed(32), random.generateSeed(32)), "random bytes");
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
