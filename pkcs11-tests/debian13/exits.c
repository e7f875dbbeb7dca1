/* Signs with a key of the store inside the callback that the store calls for it, and ends the process there, with status 7: the provider's
 * session, its search and its exit handlers are all in the middle of something. */
#include <openssl/evp.h>
#include <openssl/store.h>
#include <stdlib.h>

static OSSL_STORE_INFO *sign_and_exit(OSSL_STORE_INFO *info, void *nothing)
{
    unsigned char signature[1024];
    size_t length = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    (void)nothing;
    if (OSSL_STORE_INFO_get_type(info) != OSSL_STORE_INFO_PKEY
        || EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, OSSL_STORE_INFO_get0_PKEY(info), NULL) != 1
        || EVP_DigestSign(context, signature, &length, (const unsigned char *)"a message", 9) != 1)
        exit(2);
    exit(7);
}

int main(int count, char **arguments)
{
    OSSL_STORE_CTX *store = count == 2 ? OSSL_STORE_open(arguments[1], NULL, NULL, sign_and_exit, NULL) : NULL;
    while (store != NULL && !OSSL_STORE_eof(store))
        OSSL_STORE_INFO_free(OSSL_STORE_load(store));
    return 1;
}
