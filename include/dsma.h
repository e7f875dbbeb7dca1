/**
 * DSM Accelerator: keys that live in Fortanix DSM, used in this process.
 *
 * A key is fetched from DSM once, where DSM lets it out, kept for the configured time and used locally; what DSM keeps to itself is
 * done in DSM by the same call. No function hands out key material.
 *
 * Every function that can fail returns a dsma_result and takes, as its last argument, a place for an error object: NULL if you do
 * not want one, else `*error` receives a new object on failure, to be freed with dsma_error_free, and NULL on success.
 *
 * Every function may be called from any thread at any time and on both sides of a fork; a handle may be used by
 * many threads at once, and is freed once, after its last use. The library starts no thread and installs no signal handler.
 *
 * Text is NUL-terminated UTF-8. A pointer is read or written only during the call. Link with -ldsma.
 */


#ifndef DSMA_H
#define DSMA_H

#include <stddef.h>
#include <stdint.h>

/**
 * `salt_len` of a PSS signature with an empty salt.
 */
#define DSMA_PSS_NO_SALT UINT32_MAX

/**
 * What a call came to. The numbers never change: 100 to 199 the arguments, 200 to 299 the configuration and the process, 300 to
 * 399 DSM, 400 to 499 the cryptography, 900 the library itself. Treat a number that you do not know as a failure.
 */
enum dsma_result
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done.
   */
  DSMA_OK = 0,
  /**
   * A pointer that must not be NULL is NULL.
   */
  DSMA_ERROR_NULL_ARGUMENT = 101,
  /**
   * A value that this function does not know or cannot use: a kid that is no UUID, an unknown mode, text that is not UTF-8.
   */
  DSMA_ERROR_INVALID_ARGUMENT = 102,
  /**
   * The output buffer is too small; its length argument now says what is needed. Nothing was consumed.
   */
  DSMA_ERROR_BUFFER_TOO_SMALL = 103,
  /**
   * The configuration is missing or malformed. The message names the file, the key and the mend.
   */
  DSMA_ERROR_CONFIG = 201,
  /**
   * The system refused something that the library needs.
   */
  DSMA_ERROR_SYSTEM = 202,
  /**
   * DSM did not answer: endpoint, network, CA file, or DSM is down.
   */
  DSMA_ERROR_UNREACHABLE = 301,
  /**
   * DSM does not accept the credential of the configuration (401).
   */
  DSMA_ERROR_CREDENTIAL = 302,
  /**
   * The application or the key may not do this: permission, key operations, disabled, not active, deactivated (403).
   */
  DSMA_ERROR_NOT_ALLOWED = 303,
  /**
   * No such key, or not visible to this application (404).
   */
  DSMA_ERROR_NOT_FOUND = 304,
  /**
   * DSM refused the request for another reason (other 4xx).
   */
  DSMA_ERROR_REFUSED = 305,
  /**
   * DSM failed (5xx), or its reply made no sense.
   */
  DSMA_ERROR_DSM = 306,
  /**
   * A tag or a padding does not hold: wrong key, wrong parameters, or changed data.
   */
  DSMA_ERROR_AUTHENTICATION = 401,
  /**
   * The signature does not belong to these data and this key.
   */
  DSMA_ERROR_SIGNATURE_INVALID = 402,
  /**
   * The IV's length does not fit the mode.
   */
  DSMA_ERROR_IV_LENGTH = 403,
  /**
   * The tag's length does not fit the mode.
   */
  DSMA_ERROR_TAG_LENGTH = 404,
  /**
   * The input's length does not fit the mode or the key.
   */
  DSMA_ERROR_INPUT_LENGTH = 405,
  /**
   * The operation does not exist for this kind of key.
   */
  DSMA_ERROR_UNSUPPORTED = 406,
  /**
   * The key's material cannot be used.
   */
  DSMA_ERROR_KEY = 407,
  /**
   * A fault of the library.
   */
  DSMA_ERROR_INTERNAL = 900,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dsma_result dsma_result;
#else
typedef uint32_t dsma_result;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Hash functions. 0 stands for "not given".
 */
enum dsma_hash
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * SHA-1, for old data and as OAEP's default elsewhere; not for new signatures.
   */
  DSMA_SHA1 = 1,
  /**
   * SHA-224.
   */
  DSMA_SHA224 = 2,
  /**
   * SHA-256.
   */
  DSMA_SHA256 = 3,
  /**
   * SHA-384.
   */
  DSMA_SHA384 = 4,
  /**
   * SHA-512.
   */
  DSMA_SHA512 = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dsma_hash dsma_hash;
#else
typedef uint32_t dsma_hash;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How to encrypt. The AES modes are those of NIST SP 800-38A and 800-38D, the RSA ones those of PKCS #1 v2.2 (RFC 8017).
 */
enum dsma_cipher_mode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * AES-GCM. `iv` (12 bytes are usual; never use one twice with the same key), `aad`, `tag` (16 bytes are usual).
   */
  DSMA_AES_GCM = 1,
  /**
   * AES-CBC with PKCS #7 padding. `iv` of 16 unpredictable bytes. Without a MAC beside it, it does not notice changed data.
   */
  DSMA_AES_CBC = 2,
  /**
   * AES-CBC without padding: whole blocks of 16 bytes. `iv` of 16 bytes.
   */
  DSMA_AES_CBC_NOPAD = 3,
  /**
   * AES-CTR. `iv` is the first counter block of 16 bytes.
   */
  DSMA_AES_CTR = 4,
  /**
   * AES-ECB: whole blocks of 16 bytes, no IV. It shows which blocks are equal.
   */
  DSMA_AES_ECB = 5,
  /**
   * RSAES-OAEP. `hash`, `mgf1_hash` (0: as `hash`), `label`.
   */
  DSMA_RSA_OAEP = 16,
  /**
   * RSAES-PKCS1-v1_5, for what cannot do OAEP.
   */
  DSMA_RSA_PKCS1 = 17,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dsma_cipher_mode dsma_cipher_mode;
#else
typedef uint32_t dsma_cipher_mode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How to sign: RSA after PKCS #1 v2.2 (RFC 8017), ECDSA after FIPS 186-5.
 */
enum dsma_signature_scheme
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * RSASSA-PKCS1-v1_5.
   */
  DSMA_RSA_PKCS1_SIGNATURE = 1,
  /**
   * RSASSA-PSS. `mgf1_hash` 0 means `hash`, `salt_len` 0 means the length of `hash`.
   */
  DSMA_RSA_PSS = 2,
  /**
   * ECDSA, the signature as a DER `SEQUENCE` of two integers (OpenSSL, X.509).
   */
  DSMA_ECDSA_DER = 3,
  /**
   * ECDSA, the signature as r and s of fixed length, one after the other (JWS, PKCS #11).
   */
  DSMA_ECDSA_FIXED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dsma_signature_scheme dsma_signature_scheme;
#else
typedef uint32_t dsma_signature_scheme;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A configuration with its credential, its DSM session and its key cache. Opaque, reference counted, safe to use from any number
 * of threads at once, and usable on both sides of a fork.
 */
typedef struct dsma_client dsma_client;

/**
 * Why a call failed, in one sentence that ends with what to do about it. Never holds a secret.
 *
 * A failing call stores a new one where its `error` argument points; free it with dsma_error_free.
 */
typedef struct dsma_error dsma_error;

/**
 * A key in DSM, by name or kid. It holds no key material: that is in the client's cache, for as long as the cache lets it. Opaque,
 * reference counted, safe to use from any number of threads at once, and it keeps its client alive.
 */
typedef struct dsma_key dsma_key;

/**
 * Counters of a client since it was opened, as dsma_client_stats tells them.
 */
typedef struct dsma_stats {
  /**
   * Keys fetched from DSM, refreshes included.
   */
  uint64_t exports;
  /**
   * Uses of a key that the cache held.
   */
  uint64_t hits;
  /**
   * Operations that DSM did, because it does not let the key out.
   */
  uint64_t forwards;
  /**
   * Operations done with an older copy of the key because DSM could not be reached.
   */
  uint64_t served_in_outage;
  /**
   * Keys in the cache now.
   */
  uint64_t cached_keys;
  /**
   * For later versions; zero.
   */
  uint64_t reserved[3];
} dsma_stats;

/**
 * Parameters of dsma_encrypt and dsma_decrypt. Start from `dsma_cipher_params p = {0}` (C++: `{}`) and set what the mode names: an IV,
 * AAD, tag or label that the mode has no use for is refused.
 *
 * The memory behind the pointers stays yours and is used only during the call. `tag` must not overlap the other buffers.
 */
typedef struct dsma_cipher_params {
  /**
   * A dsma_cipher_mode.
   */
  uint32_t mode;
  /**
   * OAEP: a dsma_hash.
   */
  uint32_t hash;
  /**
   * OAEP: a dsma_hash for the mask; 0 means `hash`.
   */
  uint32_t mgf1_hash;
  /**
   * Bytes at `iv`.
   */
  size_t iv_len;
  /**
   * Initialization vector; only read.
   */
  const uint8_t *iv;
  /**
   * Bytes at `aad`.
   */
  size_t aad_len;
  /**
   * GCM: data that is authenticated and not encrypted; only read.
   */
  const uint8_t *aad;
  /**
   * Length of the GCM tag in bytes, 4 to 16.
   */
  size_t tag_len;
  /**
   * GCM tag: dsma_encrypt writes it, dsma_decrypt reads it.
   */
  uint8_t *tag;
  /**
   * Bytes at `label`.
   */
  size_t label_len;
  /**
   * OAEP label; only read. Seldom used.
   */
  const uint8_t *label;
  /**
   * For later versions; must be zero.
   */
  uint64_t reserved[4];
} dsma_cipher_params;

/**
 * Parameters of dsma_sign and dsma_verify. Start from `dsma_signature_params p = {0}` (C++: `{}`) and set what the scheme names.
 */
typedef struct dsma_signature_params {
  /**
   * A dsma_signature_scheme.
   */
  uint32_t scheme;
  /**
   * A dsma_hash.
   */
  uint32_t hash;
  /**
   * Not 0: `data` is the ready digest of the message, made with `hash`. 0: `data` is the message.
   */
  uint32_t data_is_digest;
  /**
   * PSS: a dsma_hash for the mask; 0 means `hash`.
   */
  uint32_t mgf1_hash;
  /**
   * PSS: length of the salt in bytes; 0 means the length of `hash`, DSMA_PSS_NO_SALT an empty salt.
   */
  uint32_t salt_len;
  /**
   * For later versions; must be zero.
   */
  uint32_t reserved[7];
} dsma_signature_params;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The library's version, such as "0.1.0". The text is the library's and lasts as long as it is loaded.
 */
const char *dsma_version(void);

/**
 * Opens a client: reads the configuration and checks it, without touching the network.
 *
 * `config_path` names a TOML file; NULL takes the file that FORTANIX_PKCS11_CONFIG names, else /etc/fortanix/pkcs11.conf, else
 * FORTANIX_API_ENDPOINT, FORTANIX_API_KEY and FORTANIX_CA_FILE of the environment. One client per process and credential is
 * enough: each has a key cache of its own. `*client` receives the handle, NULL on failure; free it with dsma_client_free.
 * Any thread.
 */
dsma_result dsma_client_open(const char *config_path,
                             struct dsma_client **client,
                             struct dsma_error **error);

/**
 * Gives the handle back; NULL is ignored. Keys opened with it go on working: the client itself ends with the last of them. No
 * other thread may be using this handle.
 */
void dsma_client_free(struct dsma_client *client);

/**
 * Logs in to DSM now, or finds that this has been done. Nobody has to call it: the first operation that needs DSM logs in by
 * itself. It tells early whether the endpoint answers and the credential is accepted. Any thread.
 */
dsma_result dsma_client_login(const struct dsma_client *client,
                              struct dsma_error **error);

/**
 * Drops keys from the client's cache, so that their next use fetches them anew: those whose kids (text, as DSM shows them) are
 * in `kids`, or all of them where `kids` is NULL. `*cleared` receives how many the cache had; `cleared` may be NULL. Operations
 * that are running finish with the key they have. Any thread.
 */
dsma_result dsma_cache_clear(const struct dsma_client *client,
                             const char *const *kids,
                             size_t kids_count,
                             size_t *cleared,
                             struct dsma_error **error);

/**
 * Writes the client's counters to `*stats`. Any thread; the numbers are read one by one, not at one moment.
 */
dsma_result dsma_client_stats(const struct dsma_client *client, struct dsma_stats *stats, struct dsma_error **error);

/**
 * Opens a key by its name in DSM, without touching the network: the name is looked up when the kid is first needed, and from
 * then on the handle means that kid. Open a new handle to follow a name that has moved, as after a rotation.
 *
 * `*key` receives the handle, NULL on failure; free it with dsma_key_free. It keeps the client alive. Any thread.
 */
dsma_result dsma_key_by_name(const struct dsma_client *client,
                             const char *name,
                             struct dsma_key **key,
                             struct dsma_error **error);

/**
 * Opens a key by its kid (a UUID as text), without touching the network. Otherwise as dsma_key_by_name.
 */
dsma_result dsma_key_by_kid(const struct dsma_client *client,
                            const char *kid,
                            struct dsma_key **key,
                            struct dsma_error **error);

/**
 * Gives the handle back; NULL is ignored. The key stays in DSM and, for its time, in the client's cache. No other thread may be
 * using this handle.
 */
void dsma_key_free(struct dsma_key *key);

/**
 * Fetches the key now unless the cache has it, so that the first operation does not wait for DSM, and so that a missing,
 * disabled or foreign key shows at start. Any thread; the network only where the cache cannot answer.
 */
dsma_result dsma_key_load(const struct dsma_key *key,
                          struct dsma_error **error);

/**
 * Writes the kid as text of 36 characters with its final NUL. `*kid_len` is the room at `kid` (37 bytes are needed) and receives
 * the bytes written. Any thread; asks DSM where the handle is by name and has not been used.
 */
dsma_result dsma_key_kid(const struct dsma_key *key,
                         char *kid,
                         size_t *kid_len,
                         struct dsma_error **error);

/**
 * Encrypts `input` to `output`, in the process where DSM lets the key out, else in DSM.
 *
 * `*output_len` is the room at `output` and receives the bytes written. Where the room is too small the call fails with
 * DSMA_ERROR_BUFFER_TOO_SMALL, stores a length that is enough and consumes nothing; so NULL with a length of 0 asks for the
 * length. `output` may be `input` or overlap it. The GCM tag goes to `params->tag`, apart from the output. All buffers stay the
 * caller's. Any thread, any number at once on one key.
 */
dsma_result dsma_encrypt(const struct dsma_key *key,
                         const struct dsma_cipher_params *params,
                         const uint8_t *input,
                         size_t input_len,
                         uint8_t *output,
                         size_t *output_len,
                         struct dsma_error **error);

/**
 * Decrypts `input` to `output`; everything else is as in dsma_encrypt. A tag or padding that does not hold is
 * DSMA_ERROR_AUTHENTICATION, and the output then holds nothing of the text. The length to ask for is an upper bound: less may
 * be written, as the padding goes away.
 */
dsma_result dsma_decrypt(const struct dsma_key *key,
                         const struct dsma_cipher_params *params,
                         const uint8_t *input,
                         size_t input_len,
                         uint8_t *output,
                         size_t *output_len,
                         struct dsma_error **error);

/**
 * Signs `data`, or the digest in it, in the process where DSM lets the key out, else in DSM.
 *
 * `*signature_len` is the room at `signature` and receives the bytes written; too little room is as in dsma_encrypt, the length
 * to ask for is the longest that a signature can have. The buffers stay the caller's and must not overlap. Any thread, any
 * number at once on one key.
 */
dsma_result dsma_sign(const struct dsma_key *key,
                      const struct dsma_signature_params *params,
                      const uint8_t *data,
                      size_t data_len,
                      uint8_t *signature,
                      size_t *signature_len,
                      struct dsma_error **error);

/**
 * Checks a signature over `data`, or over the digest in it: DSMA_OK where it holds, DSMA_ERROR_SIGNATURE_INVALID where it does
 * not, anything else where that could not be found out. The buffers stay the caller's. Any thread.
 */
dsma_result dsma_verify(const struct dsma_key *key,
                        const struct dsma_signature_params *params,
                        const uint8_t *data,
                        size_t data_len,
                        const uint8_t *signature,
                        size_t signature_len,
                        struct dsma_error **error);

/**
 * Fills `buffer` with random bytes of the library's own generator, fit for keys and IVs. Needs no client and no network; safe on
 * both sides of a fork. Any thread.
 */
dsma_result dsma_random(uint8_t *buffer,
                        size_t buffer_len,
                        struct dsma_error **error);

/**
 * The error's sentence: what happened, to what, and what to do about it. UTF-8 without secrets; it is the error's and lasts until
 * dsma_error_free. NULL gives "". Any thread.
 */
const char *dsma_error_message(const struct dsma_error *error);

/**
 * Frees an error; NULL is ignored. No other thread may be using it.
 */
void dsma_error_free(struct dsma_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DSMA_H */

/* Generated by `make header` from src/capi: do not edit. */
