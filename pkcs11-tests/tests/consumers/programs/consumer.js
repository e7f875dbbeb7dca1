// Uses, generates, derives and wraps keys with graphene-pk11 through the library at $DSMA_LIBRARY; prints 'all well' at the end.
"use strict";
const assert = require("node:assert");
const crypto = require("node:crypto");
const graphene = require("graphene-pk11");

const module_ = graphene.Module.load(process.env.DSMA_LIBRARY, "dsma");
module_.initialize();
const session = module_.getSlots(0).open(graphene.SessionFlag.RW_SESSION | graphene.SessionFlag.SERIAL_SESSION);
session.login("any");

const find = (objectClass, label) => session.find({ class: objectClass, label }).items(0).toType();
const message = Buffer.from("a message");
for (const [label, mechanism] of [["rsa", "SHA256_RSA_PKCS"], ["ec", "ECDSA_SHA256"]]) {
  const signature = session.createSign(mechanism, find(graphene.ObjectClass.PRIVATE_KEY, label)).once(message);
  const verifier = () => session.createVerify(mechanism, find(graphene.ObjectClass.PUBLIC_KEY, label));
  assert(verifier().once(message, signature), mechanism);
  signature[7] ^= 1;
  // A wrong signature is an exception in pkcs11js and `false` in graphene, by version.
  let accepted = false;
  try {
    accepted = verifier().once(message, signature);
  } catch (error) {
    assert.match(String(error), /CKR_SIGNATURE_INVALID/);
  }
  assert(!accepted, mechanism);
}

const plain = Buffer.alloc(1000, "p");
const roundTrip = (algorithm, encrypting, decrypting = encrypting, text = plain) => {
  const encrypted = session.createCipher(algorithm, encrypting).once(text, Buffer.alloc(text.length + 256));
  const decrypted = session.createDecipher(algorithm, decrypting).once(encrypted, Buffer.alloc(text.length + 256));
  assert(decrypted.equals(text), algorithm.name);
  return encrypted.length;
};

const key = find(graphene.ObjectClass.SECRET_KEY, "aes");
const cbc = { name: "AES_CBC_PAD", params: Buffer.alloc(16, 7) };
assert.strictEqual(roundTrip(cbc, key), 1008);
const gcm = { name: "AES_GCM", params: new graphene.AesGcm240Params(Buffer.alloc(12, 1), Buffer.from("header"), 128) };
assert.strictEqual(roundTrip(gcm, key), 1016);
const oaep = { name: "RSA_PKCS_OAEP", params: new graphene.RsaOaepParams(graphene.MechanismEnum.SHA256, graphene.RsaMgf.MGF1_SHA256) };
roundTrip(oaep, find(graphene.ObjectClass.PUBLIC_KEY, "rsa"), find(graphene.ObjectClass.PRIVATE_KEY, "rsa"), Buffer.from("short"));

// The bytes of 'hmac' are 32 times 7.
const tag = session.createSign("SHA256_HMAC", find(graphene.ObjectClass.SECRET_KEY, "hmac")).once(message);
assert(tag.equals(crypto.createHmac("sha256", Buffer.alloc(32, 7)).update(message).digest()));
assert.strictEqual(session.createDigest("SHA256").once(message).compare(crypto.createHash("sha256").update(message).digest()), 0);
assert.strictEqual(session.generateRandom(16).length, 16);

const secret = (valueLen) => ({
  class: graphene.ObjectClass.SECRET_KEY, keyType: graphene.KeyType.AES, valueLen, token: false, encrypt: true, decrypt: true, extractable: true,
});
const curve = graphene.NamedCurve.getByName("secp256r1").value;
const ecPair = (token, use) =>
  session.generateKeyPair(
    graphene.KeyGenMechanism.EC,
    { keyType: graphene.KeyType.EC, token, paramsECDSA: curve, ...use.public },
    { keyType: graphene.KeyType.EC, token, private: true, ...use.private },
  );

// Generated in the session and on the token, where destroying the private half takes the public one along.
for (const token of [false, true]) {
  const pair = ecPair(token, { public: { verify: true }, private: { sign: true } });
  const signature = session.createSign("ECDSA_SHA256", pair.privateKey).once(message);
  assert(session.createVerify("ECDSA_SHA256", pair.publicKey).once(message, signature));
  if (token) {
    pair.privateKey.destroy();
    pair.publicKey.destroy();
  }
}
roundTrip(cbc, session.generateKey(graphene.KeyGenMechanism.AES, secret(32)).toType());

const [ours, theirs] = [1, 2].map(() => ecPair(false, { public: { derive: true }, private: { derive: true } }));
const derive = (own, other) => {
  const point = other.publicKey.getAttribute({ pointEC: null }).pointEC;
  const algorithm = { name: "ECDH1_DERIVE", params: new graphene.EcdhParams(graphene.EcKdf.NULL, null, point) };
  return session.deriveKey(algorithm, own.privateKey, secret(32)).toType();
};
roundTrip(cbc, derive(ours, theirs), derive(theirs, ours));

const wrap = { name: "AES_KEY_WRAP", params: null };
const inner = session.generateKey(graphene.KeyGenMechanism.AES, secret(16)).toType();
const { valueLen, ...unwrapped } = secret(16);
roundTrip(cbc, inner, session.unwrapKey(wrap, key, session.wrapKey(wrap, key, inner), unwrapped).toType());

session.logout();
session.close();
module_.finalize();
console.log("all well");
