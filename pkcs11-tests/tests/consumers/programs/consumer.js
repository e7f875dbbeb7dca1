// Signs, verifies and encrypts with graphene-pk11 through the library at $DSMA_LIBRARY; prints 'all well' at the end.
"use strict";
const assert = require("node:assert");
const graphene = require("graphene-pk11");

const module_ = graphene.Module.load(process.env.DSMA_LIBRARY, "dsma");
module_.initialize();
const session = module_.getSlots(0).open();
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

const key = find(graphene.ObjectClass.SECRET_KEY, "aes");
const algorithm = { name: "AES_CBC_PAD", params: Buffer.alloc(16, 7) };
const plain = Buffer.alloc(1000, "p");
const encrypted = session.createCipher(algorithm, key).once(plain, Buffer.alloc(1024));
assert.strictEqual(encrypted.length, 1008);
const decrypted = session.createDecipher(algorithm, key).once(encrypted, Buffer.alloc(1024));
assert(decrypted.equals(plain));

session.logout();
session.close();
module_.finalize();
console.log("all well");
