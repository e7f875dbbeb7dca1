"""Signs, verifies, encrypts and digests with python-pkcs11 through the library at $DSMA_LIBRARY; prints 'all well' at the end."""

import os

import pkcs11
from pkcs11 import MGF, KeyType, Mechanism, ObjectClass

PSS = (Mechanism.SHA512, MGF.SHA512, 64)

token = pkcs11.lib(os.environ["DSMA_LIBRARY"]).get_token(token_label="Fortanix Token")
with token.open(user_pin="any") as session:
    signatures = [("rsa", Mechanism.SHA256_RSA_PKCS, None), ("rsa", Mechanism.SHA512_RSA_PKCS_PSS, PSS), ("ec", Mechanism.ECDSA_SHA256, None)]
    for label, mechanism, parameter in signatures:
        private = session.get_key(label=label, object_class=ObjectClass.PRIVATE_KEY)
        public = session.get_key(label=label, object_class=ObjectClass.PUBLIC_KEY)
        how = {"mechanism": mechanism, "mechanism_param": parameter}
        signature = private.sign(b"a message", **how)
        assert public.verify(b"a message", signature, **how), mechanism
        assert not public.verify(b"another", signature, **how), mechanism
    key = session.get_key(label="aes")
    assert key.key_type == KeyType.AES
    for length in [0, 1, 16, 1000]:
        plain, iv = os.urandom(length), os.urandom(16)
        assert key.decrypt(key.encrypt(plain, mechanism_param=iv), mechanism_param=iv) == plain
    # A stream: python-pkcs11 feeds a generator's pieces to C_EncryptUpdate.
    pieces, iv = [os.urandom(n) for n in (5, 4096, 27)], os.urandom(16)
    encrypted = b"".join(key.encrypt(pieces, mechanism_param=iv))
    assert key.decrypt(encrypted, mechanism_param=iv) == b"".join(pieces)
    assert session.digest(b"abc", mechanism=Mechanism.SHA256).hex().startswith("ba7816bf")
    assert len({session.generate_random(256) for _ in range(8)}) == 8
print("all well")
