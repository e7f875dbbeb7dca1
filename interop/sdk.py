"""Fortanix's published Python SDK `sdkms` 5.6.2919, unmodified, against dsma-local: the calls that its command line does not use.

Run inside `with-stack`. These are mostly the older spellings, with the key in the path.
"""

import os
import sys

import sdkms.v1
from sdkms.v1 import ApiClient, DecryptRequest, DigestApi, EncryptRequest, EncryptionAndDecryptionApi, MacGenerateRequest, MacVerifyRequest
from sdkms.v1 import SecurityObjectsApi, SignAndVerifyApi, SignRequest, SobjectDescriptor, SobjectRequest, UnwrapKeyRequest, VerifyRequest
from sdkms.v1 import WrapKeyRequest, WrappingAndUnwrappingApi
from sdkms.v1.configuration import Configuration

DATA = bytearray(b"sixteen bytes!!!")


def log_in():
    """A client with a session."""
    configuration = Configuration()
    configuration.host, configuration.ssl_ca_cert = os.environ["FORTANIX_API_ENDPOINT"], os.environ["FORTANIX_CA_FILE"]
    configuration.app_api_key = os.environ["FORTANIX_API_KEY"]
    client = ApiClient(configuration=configuration)
    authentication = sdkms.v1.AuthenticationApi(api_client=client)
    configuration.api_key["Authorization"] = authentication.authorize().access_token
    configuration.api_key_prefix["Authorization"] = "Bearer"
    return client, authentication


class Calls:
    """One method a scenario; the doc is what it prints."""

    def __init__(self):
        self.client, self.authentication = log_in()
        self.objects = SecurityObjectsApi(self.client)
        ops = ["ENCRYPT", "DECRYPT", "WRAPKEY", "UNWRAPKEY", "MACGENERATE", "MACVERIFY", "EXPORT", "APPMANAGEABLE"]
        self.aes = self.make(name="sdk-aes", obj_type="AES", key_size=256, key_ops=ops).kid
        self.ec = self.make(name="sdk-ec", obj_type="EC", elliptic_curve="NistP256").kid
        self.hmac = self.make(name="sdk-hmac", obj_type="HMAC", key_size=256).kid

    def make(self, **spec):
        return self.objects.generate_security_object(SobjectRequest(**spec))

    def sessions(self):
        """check_health, get_server_version, refresh, re_auth"""
        self.authentication.check_health()
        self.authentication.get_server_version()
        self.authentication.refresh()
        assert self.authentication.re_auth().access_token

    def objects_by_path_and_descriptor(self):
        """get_security_object, _ex, get_security_object_value, _ex"""
        descriptor = SobjectDescriptor(kid=self.aes)
        assert self.objects.get_security_object(self.aes).kid == self.objects.get_security_object_ex(descriptor).kid
        assert self.objects.get_security_object_value(self.aes).value == self.objects.get_security_object_value_ex(descriptor).value

    def encryption_by_path(self):
        """encrypt, decrypt with the key in the path"""
        operations = EncryptionAndDecryptionApi(self.client)
        sealed = operations.encrypt(self.aes, EncryptRequest(alg="AES", mode="CBC", plain=DATA))
        opened = operations.decrypt(self.aes, DecryptRequest(alg="AES", mode="CBC", cipher=sealed.cipher, iv=sealed.iv))
        assert opened.plain == DATA

    def signatures_by_path(self):
        """sign, verify with the key in the path"""
        operations = SignAndVerifyApi(self.client)
        signature = operations.sign(self.ec, SignRequest(hash_alg="SHA256", data=DATA)).signature
        assert operations.verify(self.ec, VerifyRequest(hash_alg="SHA256", data=DATA, signature=signature)).result

    def macs_by_path(self):
        """compute_mac, verify_mac with the key in the path"""
        operations = DigestApi(self.client)
        mac = operations.compute_mac(self.hmac, MacGenerateRequest(alg="SHA256", data=DATA))
        given = mac.mac if mac.mac is not None else mac.digest
        assert operations.verify_mac(self.hmac, MacVerifyRequest(alg="SHA256", data=DATA, mac=given)).result

    def wrapping_by_path(self):
        """wrap_key, unwrap_key with the key in the path"""
        subject = self.make(name="sdk-subject", obj_type="AES", key_size=128, key_ops=["EXPORT", "APPMANAGEABLE"]).kid
        operations = WrappingAndUnwrappingApi(self.client)
        wrapped = operations.wrap_key(self.aes, WrapKeyRequest(alg="AES", mode="KWP", kid=subject))
        request = UnwrapKeyRequest(alg="AES", mode="KWP", obj_type="AES", wrapped_key=wrapped.wrapped_key, name="sdk-unwrapped")
        assert operations.unwrap_key(self.aes, request).kid

    def ends(self):
        """destroy_security_object, delete_private_key, terminate"""
        self.objects.delete_private_key(self.ec)
        self.objects.destroy_security_object(self.make(name="sdk-end", obj_type="AES", key_size=128).kid)
        self.authentication.terminate()


def main():
    calls = Calls()
    failed = passed = 0
    for name, call in vars(Calls).items():
        if name.startswith("_") or name == "make":
            continue
        try:
            call(calls)
        except Exception as problem:  # pylint: disable=broad-except  # one broken call must not hide the others
            failed += 1
            print(f"FAIL {call.__doc__}\n     {type(problem).__name__}: {problem}", flush=True)
        else:
            passed += 1
            print(f"PASS {call.__doc__}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
