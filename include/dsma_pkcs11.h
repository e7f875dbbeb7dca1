/*
 * What libdsma.so has beyond PKCS #11: a mechanism for format-preserving encryption, and an interface for batches and for the key cache.
 * Include it after the standard's header (pkcs11.h), which declares the CK_ types.
 */

#ifndef DSMA_PKCS11_H
#define DSMA_PKCS11_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Format-preserving encryption (FF1, NIST SP 800-38G): C_Encrypt makes the token of a text, C_Decrypt the text of a token, each as long as
 * the other, in one call. The format is the key's own in DSM (`fpe`: radix, lengths, preserved and masked characters, Luhn digit). The work
 * is done here where DSM lets the key be exported, and in DSM elsewhere. A text that is not of the format is CKR_DATA_INVALID, such a token
 * CKR_ENCRYPTED_DATA_INVALID.
 *
 * The parameter is absent, or a CK_ULONG of the flags below.
 */
#define CKM_DSMA_FF1 (CKM_VENDOR_DEFINED | 0x44534D01UL)

/* C_Decrypt shows `*` for the characters that the format masks. */
#define CKF_DSMA_MASKED 0x00000001UL

/*
 * One operation of a batch. The result is what C_Encrypt, C_Decrypt or C_Sign would have answered, the length of the output told as they
 * tell it (with pOutput NULL it is only asked for).
 */
typedef struct CK_DSMA_BATCH_ITEM {
    CK_BYTE_PTR pInput;
    CK_ULONG ulInputLen;
    CK_BYTE_PTR pOutput;
    /* In: bytes at pOutput. Out: bytes of the result. */
    CK_ULONG ulOutputLen;
    /* NULL for the mechanism of the call; else the item's own, with an IV of its own. */
    CK_MECHANISM_PTR pMechanism;
    /* Out. */
    CK_RV result;
} CK_DSMA_BATCH_ITEM;

/* Counters since the login, of one slot. */
typedef struct CK_DSMA_CACHE_STATS {
    /* Keys in the cache. */
    CK_ULONG ulCachedKeys;
    /* Uses of a cached key. */
    CK_ULONG ulHits;
    /* Exports asked of DSM, refreshes included. */
    CK_ULONG ulExports;
    /* Operations that DSM did. */
    CK_ULONG ulForwards;
    /* Uses of a key beyond its time because DSM could not be reached. */
    CK_ULONG ulServedInOutage;
} CK_DSMA_CACHE_STATS;

/*
 * The table of C_GetInterface("Vendor DSM Accelerator", version 1.0).
 *
 * The batch functions do one operation for each item under one key, in their order. They answer CKR_OK when every item has its result,
 * whatever that is. The session's own operations are not touched. At most 1048576 items.
 */
typedef struct CK_DSMA_FUNCTIONS {
    CK_VERSION version;
    CK_RV (*EncryptBatch)(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey, CK_DSMA_BATCH_ITEM *pItems,
                          CK_ULONG ulCount);
    CK_RV (*DecryptBatch)(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey, CK_DSMA_BATCH_ITEM *pItems,
                          CK_ULONG ulCount);
    CK_RV (*SignBatch)(CK_SESSION_HANDLE hSession, CK_MECHANISM_PTR pMechanism, CK_OBJECT_HANDLE hKey, CK_DSMA_BATCH_ITEM *pItems,
                       CK_ULONG ulCount);
    /* Drops all keys of a slot from the cache, and says how many: their next use asks DSM again. Needs a login. */
    CK_RV (*CacheClear)(CK_SLOT_ID slotID, CK_ULONG_PTR pulCleared);
    CK_RV (*CacheStats)(CK_SLOT_ID slotID, CK_DSMA_CACHE_STATS *pStats);
} CK_DSMA_FUNCTIONS;

#ifdef __cplusplus
}
#endif

#endif
