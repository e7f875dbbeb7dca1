"""Uses, generates, derives and wraps keys with python-pkcs11 through the library at $DSMA_LIBRARY; prints 'all well' at the end."""

import hashlib
import hmac
import os

import pkcs11
from pkcs11 import KDF, MGF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

PSS = (Mechanism.SHA512, MGF.SHA512, 64)
READABLE = {Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False}


def sign(private, public, mechanism, parameter=None):
    how = {"mechanism": mechanism, "mechanism_param": parameter}
    signature = private.sign(b"a message", **how)
    assert public.verify(b"a message", signature, **how), mechanism
    assert not public.verify(b"another", signature, **how), mechanism


def keys_of_the_token(session):
    signatures = [("rsa", Mechanism.SHA256_RSA_PKCS, None), ("rsa", Mechanism.SHA512_RSA_PKCS_PSS, PSS), ("ec", Mechanism.ECDSA_SHA256, None)]
    for label, mechanism, parameter in signatures:
        private = session.get_key(label=label, object_class=ObjectClass.PRIVATE_KEY)
        sign(private, session.get_key(label=label, object_class=ObjectClass.PUBLIC_KEY), mechanism, parameter)
    key = session.get_key(label="aes")
    assert key.key_type == KeyType.AES
    for length in [0, 1, 16, 1000]:
        plain, iv = os.urandom(length), os.urandom(16)
        assert key.decrypt(key.encrypt(plain, mechanism_param=iv), mechanism_param=iv) == plain
    gcm = {"mechanism": Mechanism.AES_GCM, "mechanism_param": pkcs11.GCMParams(os.urandom(12), b"header", 128)}
    assert key.decrypt(key.encrypt(b"plain", **gcm), **gcm) == b"plain"
    # A stream: python-pkcs11 feeds a generator's pieces to C_EncryptUpdate.
    pieces, iv = [os.urandom(n) for n in (5, 4096, 27)], os.urandom(16)
    encrypted = b"".join(key.encrypt(pieces, mechanism_param=iv))
    assert key.decrypt(encrypted, mechanism_param=iv) == b"".join(pieces)
    # The bytes of 'hmac' are 32 times 7.
    key, tag = session.get_key(label="hmac"), hmac.new(b"\7" * 32, b"a message", hashlib.sha256).digest()
    assert key.sign(b"a message", mechanism=Mechanism.SHA256_HMAC) == tag
    assert key.verify(b"a message", tag, mechanism=Mechanism.SHA256_HMAC)


def generation(session):
    for store in [False, True]:
        public, private = session.generate_keypair(KeyType.RSA, 2048, store=store, label="generated rsa")
        sign(private, public, Mechanism.SHA256_RSA_PKCS)
        assert private.decrypt(public.encrypt(b"plain")) == b"plain"
        if store:
            # DSM has one sobject for both: the first call takes it away, the second finds that so.
            private.destroy()
            public.destroy()
        key = session.generate_key(KeyType.AES, 256, store=store, label=f"aes {store}")
        iv = os.urandom(16)
        assert key.decrypt(key.encrypt(b"plain", mechanism_param=iv), mechanism_param=iv) == b"plain"
        if store:
            assert session.get_key(label=f"aes {store}") == key
            key.destroy()
            assert not list(session.get_objects({Attribute.LABEL: f"aes {store}"}))
    edwards = {Attribute.EC_PARAMS: bytes.fromhex("06032b6570")}
    parameters = session.create_domain_parameters(KeyType.EC_EDWARDS, edwards, local=True)
    public, private = parameters.generate_keypair(mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN)
    sign(private, public, Mechanism.EDDSA)


def agreement(session):
    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
    public, private = parameters.generate_keypair()
    ours = session.get_key(label="ec", object_class=ObjectClass.PRIVATE_KEY)
    point = session.get_key(label="ec", object_class=ObjectClass.PUBLIC_KEY)[Attribute.EC_POINT]
    here = ours.derive_key(KeyType.AES, 256, mechanism_param=(KDF.NULL, None, public[Attribute.EC_POINT]))
    there = private.derive_key(KeyType.AES, 256, mechanism_param=(KDF.NULL, None, point))
    iv = os.urandom(16)
    assert there.decrypt(here.encrypt(b"plain", mechanism_param=iv), mechanism_param=iv) == b"plain"


def wrapping(session):
    wrapping_key = session.get_key(label="aes")
    key = session.generate_key(KeyType.AES, 128, template=READABLE)
    wrapped = wrapping_key.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)
    back = wrapping_key.unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, wrapped, mechanism=Mechanism.AES_KEY_WRAP, template=READABLE)
    assert back[Attribute.VALUE] == key[Attribute.VALUE] and len(wrapped) == 24


def the_rest(session):
    data = session.create_object({Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: True, Attribute.LABEL: "data", Attribute.VALUE: b"value"})
    assert [found[Attribute.VALUE] for found in session.get_objects({Attribute.LABEL: "data"})] == [b"value"]
    data.destroy()
    assert session.digest(b"abc", mechanism=Mechanism.SHA256).hex().startswith("ba7816bf")
    assert len({session.generate_random(256) for _ in range(8)}) == 8


token = pkcs11.lib(os.environ["DSMA_LIBRARY"]).get_token(token_label="Fortanix Token")
with token.open(user_pin="any", rw=True) as session:
    for part in [keys_of_the_token, generation, agreement, wrapping, the_rest]:
        part(session)
print("all well")
