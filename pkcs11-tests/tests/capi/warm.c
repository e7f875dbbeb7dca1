/*
 * Counts the allocations of a warm dsma_encrypt of 1 KiB and prints its CPU time: argument 1 is a configuration, 2 an AES key.
 *
 * The allocator's functions are defined here, so that the library's calls come by; glibc's own do the work under their other names.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dsma.h"

#define ROUNDS 20000

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static unsigned long allocations;

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations++;
    return __libc_realloc(old, size);
}

int posix_memalign(void **place, size_t alignment, size_t size)
{
    allocations++;
    *place = __libc_memalign(alignment, size);
    return *place == NULL;
}

int main(int argc, char **argv)
{
    static uint8_t text[1024];
    uint8_t iv[12] = {0}, tag[16];
    dsma_client *client;
    dsma_key *key;
    dsma_error *error;
    dsma_cipher_params params = {0};
    struct timespec begin, end;
    unsigned long before;
    int round;

    params.mode = DSMA_AES_GCM;
    params.iv = iv;
    params.iv_len = sizeof iv;
    params.tag = tag;
    params.tag_len = sizeof tag;
    if (argc != 3 || dsma_client_open(argv[1], &client, NULL) != DSMA_OK || dsma_key_by_name(client, argv[2], &key, NULL) != DSMA_OK) {
        return 2;
    }
    if (dsma_key_load(key, &error) != DSMA_OK) {
        fprintf(stderr, "%s\n", dsma_error_message(error));
        return 1;
    }
    before = allocations;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (round = 0; round < ROUNDS; round++) {
        size_t len = sizeof text;
        iv[0] = (uint8_t)round;
        iv[1] = (uint8_t)(round >> 8);
        if (dsma_encrypt(key, &params, text, sizeof text, text, &len, &error) != DSMA_OK) {
            fprintf(stderr, "%s\n", dsma_error_message(error));
            return 1;
        }
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    before = allocations - before;
    printf("%d calls, %lu allocations, %.0f ns of CPU each\n", ROUNDS, before,
           ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) / ROUNDS);
    dsma_key_free(key);
    dsma_client_free(client);
    return 0;
}
