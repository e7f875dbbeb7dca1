/*
 * dsma-file: encrypts, decrypts, signs and verifies files with keys that live in DSM.
 *
 * It shows the C API as a program should use it: lengths asked for, every result checked, every error said and freed, every handle
 * given back. Build it with `make`; `dsma-file --help` tells the arguments.
 */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dsma.h"

#define IV_LEN 12
#define TAG_LEN 16

static const char *const USAGE =
    "usage: dsma-file [-c CONFIG] [-n COUNT] COMMAND ARGUMENTS\n"
    "\n"
    "  encrypt KEY IN OUT              AES-GCM with the AES key named KEY; OUT is IV (12 bytes), ciphertext, tag (16 bytes)\n"
    "  decrypt KEY IN OUT              the way back\n"
    "  sign    SCHEME KEY IN SIGFILE   SHA-256 signature of IN; SCHEME is rsa-pkcs1, rsa-pss or ecdsa (DER)\n"
    "  verify  SCHEME KEY IN SIGFILE   checks it\n"
    "\n"
    "  -c CONFIG   configuration file (default: $FORTANIX_PKCS11_CONFIG, /etc/fortanix/pkcs11.conf, the environment)\n"
    "  -n COUNT    do the operation COUNT times and tell on stderr what one took, and how often a key was fetched from DSM\n"
    "\n"
    "Exit status: 0 done, 1 failed (the reason is on stderr), 2 wrong arguments.\n";

/* Bytes of a file, and room for what an operation makes of them. */
struct bytes {
    uint8_t *at;
    size_t len;
};

/*
 * Says what went wrong, and gives the error back. True if nothing did. It takes the error's place and not its value, because C may
 * read the value before it makes the call in the first argument.
 */
static int succeeded(dsma_result result, const char *what, dsma_error **error)
{
    if (result == DSMA_OK) {
        return 1;
    }
    fprintf(stderr, "dsma-file: %s: %s (code %u)\n", what, dsma_error_message(*error), (unsigned)result);
    dsma_error_free(*error);
    return 0;
}

static int read_file(const char *path, struct bytes *file)
{
    FILE *stream = fopen(path, "rb");
    size_t room = 4096;

    file->len = 0;
    file->at = malloc(room);
    while (stream != NULL && file->at != NULL) {
        size_t got = fread(file->at + file->len, 1, room - file->len, stream);
        file->len += got;
        if (got == 0) {
            break;
        }
        if (file->len == room) {
            uint8_t *larger = realloc(file->at, room *= 2);
            if (larger == NULL) {
                free(file->at);
            }
            file->at = larger;
        }
    }
    if (stream == NULL || file->at == NULL || ferror(stream)) {
        perror(path);
        if (stream != NULL) {
            fclose(stream);
        }
        return 0;
    }
    fclose(stream);
    return 1;
}

static int write_file(const char *path, const uint8_t *at, size_t len)
{
    FILE *stream = fopen(path, "wb");
    int written = stream != NULL && fwrite(at, 1, len, stream) == len;

    if (stream != NULL && fclose(stream) != 0) {
        written = 0;
    }
    if (!written) {
        perror(path);
    }
    return written;
}

/* IV, ciphertext and tag, one after the other, in memory of our own. */
static int encrypt(const dsma_key *key, struct bytes in, struct bytes *out)
{
    dsma_error *error = NULL;
    dsma_cipher_params params = {0};
    size_t text_len = in.len;

    out->len = IV_LEN + in.len + TAG_LEN;
    out->at = malloc(out->len);
    if (out->at == NULL) {
        perror("dsma-file");
        return 0;
    }
    /* GCM breaks when an IV comes twice under one key: a fresh random one each time. */
    if (!succeeded(dsma_random(out->at, IV_LEN, &error), "random", &error)) {
        return 0;
    }
    params.mode = DSMA_AES_GCM;
    params.iv = out->at;
    params.iv_len = IV_LEN;
    params.tag = out->at + IV_LEN + in.len;
    params.tag_len = TAG_LEN;
    return succeeded(dsma_encrypt(key, &params, in.at, in.len, out->at + IV_LEN, &text_len, &error), "encrypt", &error);
}

static int decrypt(const dsma_key *key, struct bytes in, struct bytes *out)
{
    dsma_error *error = NULL;
    dsma_cipher_params params = {0};

    if (in.len < IV_LEN + TAG_LEN) {
        fprintf(stderr, "dsma-file: decrypt: the file is shorter than an IV and a tag; give one that dsma-file has encrypted\n");
        return 0;
    }
    out->len = in.len - IV_LEN - TAG_LEN;
    out->at = malloc(out->len + 1);
    if (out->at == NULL) {
        perror("dsma-file");
        return 0;
    }
    params.mode = DSMA_AES_GCM;
    params.iv = in.at;
    params.iv_len = IV_LEN;
    params.tag = in.at + in.len - TAG_LEN;
    params.tag_len = TAG_LEN;
    return succeeded(dsma_decrypt(key, &params, in.at + IV_LEN, out->len, out->at, &out->len, &error), "decrypt", &error);
}

static int sign(const dsma_key *key, const dsma_signature_params *params, struct bytes in, struct bytes *out)
{
    dsma_error *error = NULL;
    dsma_result result;

    /* NULL and 0 ask for the length; the answer is an error object too, so none is asked for here. */
    out->len = 0;
    result = dsma_sign(key, params, in.at, in.len, NULL, &out->len, NULL);
    if (result == DSMA_ERROR_BUFFER_TOO_SMALL && (out->at = malloc(out->len)) == NULL) {
        perror("dsma-file");
        return 0;
    }
    return succeeded(dsma_sign(key, params, in.at, in.len, out->at, &out->len, &error), "sign", &error);
}

static int verify(const dsma_key *key, const dsma_signature_params *params, struct bytes in, struct bytes signature)
{
    dsma_error *error = NULL;
    dsma_result result = dsma_verify(key, params, in.at, in.len, signature.at, signature.len, &error);

    return succeeded(result, "verify", &error);
}

/* What the command line asks for. */
struct task {
    const char *config;
    unsigned long count; /* 0: once, and tell nothing */
    const char *command;
    uint32_t scheme; /* 0 for encrypt and decrypt */
    const char *key, *in, *out;
};

static uint32_t scheme_of(const char *name)
{
    return strcmp(name, "rsa-pkcs1") == 0 ? DSMA_RSA_PKCS1_SIGNATURE
         : strcmp(name, "rsa-pss") == 0   ? DSMA_RSA_PSS
         : strcmp(name, "ecdsa") == 0     ? DSMA_ECDSA_DER
                                          : 0;
}

static int parse(int argc, char **argv, struct task *task)
{
    while (argc > 2 && (strcmp(argv[1], "-c") == 0 || strcmp(argv[1], "-n") == 0)) {
        if (argv[1][1] == 'c') {
            task->config = argv[2];
        } else {
            task->count = strtoul(argv[2], NULL, 10);
        }
        argv += 2;
        argc -= 2;
    }
    if (argc < 5) {
        return 0;
    }
    task->command = argv[1];
    task->key = argv[argc - 3];
    task->in = argv[argc - 2];
    task->out = argv[argc - 1];
    if (argc == 6 && (strcmp(argv[1], "sign") == 0 || strcmp(argv[1], "verify") == 0)) {
        task->scheme = scheme_of(argv[2]);
        return task->scheme != 0;
    }
    return argc == 5 && (strcmp(argv[1], "encrypt") == 0 || strcmp(argv[1], "decrypt") == 0);
}

/* The operation itself, as often as asked. `verify` reads its signature from `out`, the others make what belongs there. */
static int perform(const struct task *task, const dsma_key *key, struct bytes in, struct bytes *out)
{
    dsma_signature_params params = {0};
    const int verifying = strcmp(task->command, "verify") == 0;
    unsigned long round = 0;
    int done;

    params.scheme = task->scheme;
    params.hash = DSMA_SHA256;
    do {
        if (verifying) {
            done = verify(key, &params, in, *out);
            continue;
        }
        free(out->at);
        out->at = NULL;
        done = task->scheme != 0                       ? sign(key, &params, in, out)
             : strcmp(task->command, "encrypt") == 0 ? encrypt(key, in, out)
                                                       : decrypt(key, in, out);
    } while (done && ++round < task->count);
    return done && (verifying || write_file(task->out, out->at, out->len));
}

static void report(const struct task *task, const dsma_client *client, const struct timespec *begin)
{
    struct timespec end;
    dsma_stats stats;

    clock_gettime(CLOCK_MONOTONIC, &end);
    if (task->count > 0 && dsma_client_stats(client, &stats, NULL) == DSMA_OK) {
        double us = ((double)(end.tv_sec - begin->tv_sec) * 1e9 + (double)(end.tv_nsec - begin->tv_nsec)) / 1e3;
        fprintf(stderr, "%s: %lu times, %.2f us each, exports %llu, forwarded %llu\n", task->command, task->count,
                us / (double)task->count, (unsigned long long)stats.exports, (unsigned long long)stats.forwards);
    }
}

int main(int argc, char **argv)
{
    struct task task = {0};
    struct bytes in = {0}, out = {0};
    dsma_client *client = NULL;
    dsma_key *key = NULL;
    dsma_error *error = NULL;
    struct timespec begin;
    int done;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(USAGE, stdout);
        return 0;
    }
    if (!parse(argc, argv, &task)) {
        fputs(USAGE, stderr);
        return 2;
    }
    done = read_file(task.in, &in) && (strcmp(task.command, "verify") != 0 || read_file(task.out, &out))
        && succeeded(dsma_client_open(task.config, &client, &error), "open", &error)
        && succeeded(dsma_key_by_name(client, task.key, &key, &error), "key", &error)
        /* Not needed; here it keeps DSM's part out of what -n measures. */
        && succeeded(dsma_key_load(key, &error), "load", &error);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    done = done && perform(&task, key, in, &out);
    if (done) {
        report(&task, client, &begin);
    }

    dsma_key_free(key);
    dsma_client_free(client);
    free(in.at);
    free(out.at);
    return done ? 0 : 1;
}
