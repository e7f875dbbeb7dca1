/* Uses /dev/nsm as the kernel's documentation describes it (drivers/misc/nsm.c), without any library: what the emulated device must answer.
 * Each argument names a check; the first that fails ends the program with 1. Built dynamic and static by the test. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NSM_IOCTL 0xC0200A00u
#define CHECK(condition)                                                                                                                   \
    do {                                                                                                                                   \
        if (!(condition)) {                                                                                                                \
            fprintf(stderr, "%s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, #condition, errno, strerror(errno));                          \
            exit(1);                                                                                                                       \
        }                                                                                                                                  \
    } while (0)

struct message {
    uint64_t request, request_length, room, room_length;
};

static unsigned char answer[0x3000];

static int device(void) {
    int fd = open("/dev/nsm", O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

/* The length of the answer, or the negated error number. */
static long ask_into(int fd, const void *request, size_t length, void *room, size_t room_length) {
    struct message message = {(uintptr_t)request, length, (uintptr_t)room, room_length};
    if (ioctl(fd, NSM_IOCTL, &message) != 0) return -errno;
    CHECK(message.request == (uintptr_t)request && message.room == (uintptr_t)room);
    return (long)message.room_length;
}

static long ask(int fd, const void *request, size_t length) { return ask_into(fd, request, length, answer, sizeof answer); }

/* Whether the answer is {"Error": code}. */
static int refused(long length, const char *code) {
    unsigned char expected[64] = "\xa1\x65"
                                 "Error";
    size_t size = strlen(code);
    expected[7] = (unsigned char)(0x60 + size);
    memcpy(expected + 8, code, size);
    return length == (long)(8 + size) && memcmp(answer, expected, 8 + size) == 0;
}

/* GetRandom: {"GetRandom": {"random": 256 bytes}} */
static int works(int fd) {
    static __thread unsigned char room[0x3000];
    return ask_into(fd, "\x69GetRandom", 10, room, sizeof room) > 256 && memcmp(room, "\xa1\x69GetRandom\xa1\x66random\x59\x01\x00", 22) == 0;
}

static void limits(void) {
    static unsigned char large[0x1001];
    int fd = device();
    CHECK(works(fd));
    /* The request's limit, and the room for the answer. */
    CHECK(ask(fd, large, 0x1001) == -EMSGSIZE);
    CHECK(refused(ask(fd, large, 0x1000), "InvalidOperation"));
    CHECK(ask_into(fd, "\x69GetRandom", 10, answer, 8) == -EMSGSIZE);
    /* Addresses that are not there. */
    CHECK(ask_into(fd, (void *)8, 10, answer, sizeof answer) == -EFAULT);
    CHECK(ask_into(fd, "\x69GetRandom", 10, (void *)8, sizeof answer) == -EFAULT);
    CHECK(ioctl(fd, NSM_IOCTL, (void *)8) == -1 && errno == EFAULT);
    /* Another request of the device, and the file itself. */
    CHECK(ioctl(fd, NSM_IOCTL + 1, answer) == -1 && errno == ENOTTY);
    CHECK(read(fd, answer, 1) == 0);
    CHECK(write(fd, "x", 1) == -1);
    CHECK(ftruncate(fd, 4096) == -1);
    CHECK(works(fd));
}

static void garbage(void) {
    int fd = device();
    /* No CBOR, no request, an unknown one. */
    CHECK(refused(ask(fd, "", 0), "InvalidOperation"));
    CHECK(refused(ask(fd, "\xff", 1), "InvalidOperation"));
    CHECK(refused(ask(fd, "\x18", 1), "InvalidOperation"));
    CHECK(refused(ask(fd, "\x01", 1), "InvalidOperation"));
    CHECK(refused(ask(fd, "\xa0", 1), "InvalidOperation"));
    CHECK(refused(ask(fd, "\x63SIT", 4), "InvalidOperation"));
    CHECK(refused(ask(fd, "\xa1\x63SIT\xa0", 6), "InvalidOperation"));
    CHECK(refused(ask(fd, "\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", 9), "InvalidOperation"));
    /* Known ones without their fields, or with wrong ones. */
    CHECK(refused(ask(fd, "\x6b" "DescribePCR", 12), "InvalidArgument"));
    CHECK(refused(ask(fd, "\xa1\x6b" "DescribePCR\xa0", 14), "InvalidArgument"));
    CHECK(refused(ask(fd, "\xa1\x6b" "DescribePCR\xa1\x65index\x61x", 22), "InvalidArgument"));
    CHECK(refused(ask(fd, "\xa1\x6b" "DescribePCR\xa1\x65index\x18\x20", 22), "InvalidIndex"));
    CHECK(works(fd));
}

static void descriptors(void) {
    int fd = device(), copy = dup(fd), other = open("/dev/null", O_RDWR);
    CHECK(copy >= 0 && other >= 0 && works(copy));
    /* Another file is none, whatever number it has; a duplicate is one. */
    CHECK(ask(other, "\x69GetRandom", 10) == -ENOTTY);
    CHECK(dup2(other, fd) == fd && ask(fd, "\x69GetRandom", 10) == -ENOTTY);
    CHECK(dup2(copy, other) == other && works(other));
    close(copy);
    CHECK(ask(copy, "\x69GetRandom", 10) == -EBADF);
    int stranger = memfd_create("nsm", 0);
    CHECK(stranger >= 0 && ask(stranger, "\x69GetRandom", 10) == -ENOTTY);
    /* The ways to open, with and without close-on-exec. */
    fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/nsm", O_RDWR);
    CHECK(fd >= 0 && works(fd) && fcntl(fd, F_GETFD) == 0);
    fd = device();
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    uint64_t how[3] = {O_RDWR | O_CLOEXEC, 0, 0};
    fd = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/nsm", how, sizeof how);
    CHECK(fd >= 0 && works(fd) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
#ifdef SYS_open
    fd = (int)syscall(SYS_open, "/dev/nsm", O_RDONLY);
    CHECK(fd >= 0 && works(fd));
#endif
    /* Paths that only look alike, one that ends where the memory does, and one that is not there. */
    CHECK(open("/dev/nsm0", O_RDWR) == -1 && errno == ENOENT);
    CHECK(open("/dev/ns", O_RDWR) == -1 && errno == ENOENT);
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED && munmap(page + 4096, 4096) == 0);
    strcpy(page + 4096 - 2, "/");
    CHECK(open(page + 4096 - 2, O_RDONLY | O_DIRECTORY) >= 0);
    strcpy(page + 4096 - 9, "/dev/nsm");
    CHECK((fd = open(page + 4096 - 9, O_RDWR)) >= 0 && works(fd));
    CHECK(open((char *)8, O_RDONLY) == -1 && errno == EFAULT);
    /* Nothing left to open with. */
    struct stat state;
    CHECK(stat("/dev/nsm", &state) == -1 && errno == ENOENT);
}

static void *many(void *unused) {
    int fd = device();
    for (int i = 0; i < 50; i++) CHECK(works(fd));
    close(fd);
    return unused;
}

static void threads(void) {
    pthread_t thread[8];
    for (int i = 0; i < 8; i++) CHECK(pthread_create(&thread[i], NULL, many, NULL) == 0);
    for (int i = 0; i < 8; i++) CHECK(pthread_join(thread[i], NULL) == 0);
}

static void forks(void) {
    int fd = device();
    for (int i = 0; i < 4; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(works(fd));
            many(NULL);
            _exit(0);
        }
    }
    many(NULL);
    for (int i = 0, status; i < 4; i++) CHECK(wait(&status) > 0 && status == 0);
}

/* Opens its own program again with the device inherited as descriptor 9. */
static void inherited(char *self) {
    CHECK(dup2(device(), 9) == 9);
    execl(self, self, "nine", (char *)NULL);
    CHECK(!"exec");
}

static void nine(void) { CHECK(works(9)); }

static void undumpable(void) {
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
    printf("dumpable: %d\n", prctl(PR_GET_DUMPABLE));
    fflush(stdout);
    CHECK(works(device()));
    CHECK(open("/dev/null", O_RDWR) >= 0);
}

int main(int count, char **args) {
    for (int i = 1; i < count; i++) {
        if (!strcmp(args[i], "limits")) limits();
        else if (!strcmp(args[i], "garbage")) garbage();
        else if (!strcmp(args[i], "descriptors")) descriptors();
        else if (!strcmp(args[i], "threads")) threads();
        else if (!strcmp(args[i], "forks")) forks();
        else if (!strcmp(args[i], "undumpable")) undumpable();
        else if (!strcmp(args[i], "inherited")) inherited(args[0]);
        else if (!strcmp(args[i], "nine")) nine();
        else return 2;
    }
    puts("ok");
    return 0;
}
