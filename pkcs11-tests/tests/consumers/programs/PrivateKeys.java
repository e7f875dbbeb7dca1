import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.PublicKey;
import java.security.Security;
import java.security.Signature;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.AlgorithmParameterSpec;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;

/** Uses the private keys 'rsa' and 'ec' of the token's key store, which have certificates; prints 'all well' at the end. */
public class PrivateKeys {
    static final byte[] MESSAGE = "a message".getBytes();

    public static void main(String[] arguments) throws Exception {
        Provider provider = Security.getProvider("SunPKCS11").configure(arguments[0]);
        KeyStore store = KeyStore.getInstance("PKCS11", provider);
        store.load(null, "any".toCharArray());
        signAndDecrypt(provider, store);
        agree(provider, store);
        generate(provider);
        System.out.println("all well");
    }

    static void signAndDecrypt(Provider provider, KeyStore store) throws Exception {
        PrivateKey rsa = key(store, "rsa");
        PublicKey rsaPublic = store.getCertificate("rsa").getPublicKey();
        for (String algorithm : new String[] {"SHA1withRSA", "SHA256withRSA", "SHA512withRSA"}) {
            sign(provider, algorithm, null, rsa, rsaPublic);
        }
        sign(provider, "RSASSA-PSS", new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1), rsa, rsaPublic);
        sign(provider, "RSASSA-PSS", new PSSParameterSpec("SHA-512", "MGF1", MGF1ParameterSpec.SHA512, 64, 1), rsa, rsaPublic);
        for (String algorithm : new String[] {"SHA256withECDSA", "SHA384withECDSA", "SHA256withECDSAinP1363Format"}) {
            sign(provider, algorithm, null, key(store, "ec"), store.getCertificate("ec").getPublicKey());
        }
        Cipher encrypt = Cipher.getInstance("RSA/ECB/PKCS1Padding", "SunJCE");
        encrypt.init(Cipher.ENCRYPT_MODE, rsaPublic);
        Cipher decrypt = Cipher.getInstance("RSA/ECB/PKCS1Padding", provider);
        decrypt.init(Cipher.DECRYPT_MODE, rsa);
        check(Arrays.equals(decrypt.doFinal(encrypt.doFinal(MESSAGE)), MESSAGE), "RSA decrypts");
    }

    /** The token's half of an ECDH agreement, and Java's own half of the same. */
    static void agree(Provider provider, KeyStore store) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "SunEC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair peer = generator.generateKeyPair();
        byte[] onToken = secret(KeyAgreement.getInstance("ECDH", provider), key(store, "ec"), peer.getPublic());
        byte[] here = secret(KeyAgreement.getInstance("ECDH", "SunEC"), peer.getPrivate(), store.getCertificate("ec").getPublicKey());
        check(Arrays.equals(onToken, here), "ECDH");
    }

    static byte[] secret(KeyAgreement agreement, PrivateKey own, PublicKey other) throws Exception {
        agreement.init(own);
        agreement.doPhase(other, true);
        return agreement.generateSecret();
    }

    /** Pairs that SunPKCS11 generates are session keys of the library. */
    static void generate(Provider provider) throws Exception {
        KeyPairGenerator rsa = KeyPairGenerator.getInstance("RSA", provider);
        rsa.initialize(2048);
        KeyPair pair = rsa.generateKeyPair();
        check(((RSAPublicKey) pair.getPublic()).getModulus().bitLength() == 2048, "an RSA key of 2048 bits");
        sign(provider, "SHA256withRSA", null, pair.getPrivate(), pair.getPublic());
        KeyPairGenerator ec = KeyPairGenerator.getInstance("EC", provider);
        for (String curve : new String[] {"secp256r1", "secp384r1", "secp521r1"}) {
            ec.initialize(new ECGenParameterSpec(curve));
            pair = ec.generateKeyPair();
            sign(provider, "SHA256withECDSA", null, pair.getPrivate(), pair.getPublic());
        }
    }

    static PrivateKey key(KeyStore store, String alias) throws Exception {
        PrivateKey key = (PrivateKey) store.getKey(alias, null);
        check(key != null && key.getEncoded() == null, alias + " is there, and its value is not");
        return key;
    }

    /** Signs with the token's provider and verifies with Java's own, on a copy of the public key that is Java's own too. */
    static void sign(Provider provider, String algorithm, AlgorithmParameterSpec parameters, PrivateKey key, PublicKey publicKey)
            throws Exception {
        Signature signature = Signature.getInstance(algorithm, provider);
        if (parameters != null) {
            signature.setParameter(parameters);
        }
        signature.initSign(key);
        signature.update(MESSAGE);
        byte[] signed = signature.sign();
        Signature verifier = Signature.getInstance(algorithm, publicKey.getAlgorithm().equals("RSA") ? "SunRsaSign" : "SunEC");
        if (parameters != null) {
            verifier.setParameter(parameters);
        }
        verifier.initVerify(KeyFactory.getInstance(publicKey.getAlgorithm(), verifier.getProvider())
                .generatePublic(new X509EncodedKeySpec(publicKey.getEncoded())));
        verifier.update(MESSAGE);
        check(verifier.verify(signed), algorithm + " verifies");
        verifier.update("another".getBytes());
        check(!verifier.verify(signed), algorithm + " does not verify another message");
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
