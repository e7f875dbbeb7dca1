/*
 * What only a whole process can show, told by its exit status: argument 1 is a configuration, 2 an AES key, 3 an EC key.
 *
 * The library starts no thread. A fork while other threads encrypt and sign leaves parent and children able to go on, with the keys
 * they had and with keys that still have to be fetched, and the random numbers of two processes differ.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsma.h"

#define CHILDREN 8

static dsma_client *client;
static dsma_key *aes, *ec;
static volatile int stopping;

static void fail(const char *what)
{
    fprintf(stderr, "processes[%ld]: %s\n", (long)getpid(), what);
    _exit(1);
}

/* Takes the error's place, because C may read its value before it makes the call in the first argument. */
static void expect(dsma_result result, dsma_error **error, const char *what)
{
    if (result != DSMA_OK) {
        fprintf(stderr, "%s: ", dsma_error_message(*error));
        fail(what);
    }
}

static int tasks(void)
{
    int count = 0;
    struct dirent *entry;
    DIR *directory = opendir("/proc/self/task");
    if (directory == NULL) {
        fail("/proc/self/task");
    }
    while ((entry = readdir(directory)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

static void work(int rounds)
{
    static const uint8_t text[64] = "the same text in every process";
    dsma_error *error = NULL;
    dsma_signature_params signature_params = {0};
    dsma_cipher_params params = {0};

    signature_params.scheme = DSMA_ECDSA_FIXED;
    signature_params.hash = DSMA_SHA256;
    while (rounds-- > 0) {
        uint8_t iv[12], tag[16], cipher[64], back[64], signature[64];
        size_t len = sizeof cipher, back_len = sizeof back, signature_len = sizeof signature;
        expect(dsma_random(iv, sizeof iv, &error), &error, "random");
        params.mode = DSMA_AES_GCM;
        params.iv = iv;
        params.iv_len = sizeof iv;
        params.tag = tag;
        params.tag_len = sizeof tag;
        expect(dsma_encrypt(aes, &params, text, sizeof text, cipher, &len, &error), &error, "encrypt");
        expect(dsma_decrypt(aes, &params, cipher, len, back, &back_len, &error), &error, "decrypt");
        if (back_len != sizeof text || memcmp(back, text, sizeof text) != 0) {
            fail("another text came back");
        }
        expect(dsma_sign(ec, &signature_params, text, sizeof text, signature, &signature_len, &error), &error, "sign");
        expect(dsma_verify(ec, &signature_params, text, sizeof text, signature, signature_len, &error), &error, "verify");
    }
}

static void *busy(void *unused)
{
    while (!stopping) {
        work(1);
    }
    return unused;
}

/* In a child: the keys that the parent had, then everything fetched anew over a connection of its own. */
static void child(int random_pipe)
{
    uint8_t bytes[32];
    dsma_error *error = NULL;

    expect(dsma_random(bytes, sizeof bytes, &error), &error, "random in a child");
    if (write(random_pipe, bytes, sizeof bytes) != (ssize_t)sizeof bytes) {
        fail("write");
    }
    work(50);
    expect(dsma_cache_clear(client, NULL, 0, NULL, &error), &error, "clear in a child");
    work(50);
    if (tasks() != 1) {
        fail("a thread in a child");
    }
    dsma_key_free(aes);
    dsma_key_free(ec);
    dsma_client_free(client);
    _exit(0);
}

/* Programs use keys in exit handlers too, when the thread's own variables may be gone. */
static void last_words(void)
{
    work(10);
    dsma_key_free(aes);
    dsma_key_free(ec);
    dsma_client_free(client);
    puts("ok");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    dsma_error *error = NULL;
    pthread_t threads[2];
    pid_t children[CHILDREN];
    uint8_t seen[CHILDREN + 1][32];
    int i, j, status, ends[2];
    const int before = tasks();

    if (argc != 4 || pipe(ends) != 0) {
        fail("usage: processes CONFIG AES EC");
    }
    expect(dsma_client_open(argv[1], &client, &error), &error, "open");
    expect(dsma_client_login(client, &error), &error, "login");
    expect(dsma_key_by_name(client, argv[2], &aes, &error), &error, "key");
    expect(dsma_key_by_name(client, argv[3], &ec, &error), &error, "key");
    work(10);
    if (tasks() != before) {
        fail("the library started a thread");
    }

    for (i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, busy, NULL) != 0) {
            fail("pthread_create");
        }
    }
    for (i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            child(ends[1]);
        }
        if (children[i] < 0) {
            fail("fork");
        }
        work(5);
    }
    for (i = 0; i < CHILDREN; i++) {
        if (waitpid(children[i], &status, 0) != children[i] || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fail("a child did not go on");
        }
        if (read(ends[0], seen[i], sizeof seen[i]) != (ssize_t)sizeof seen[i]) {
            fail("read");
        }
    }
    expect(dsma_random(seen[CHILDREN], sizeof seen[CHILDREN], &error), &error, "random");
    for (i = 0; i <= CHILDREN; i++) {
        for (j = 0; j < i; j++) {
            if (memcmp(seen[i], seen[j], sizeof seen[i]) == 0) {
                fail("two processes drew the same random bytes");
            }
        }
    }
    stopping = 1;
    for (i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    work(10);
    if (tasks() != before || atexit(last_words) != 0) {
        fail("a thread is left");
    }
    return 0;
}
