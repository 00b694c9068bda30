/*
 * What the bench tools share: failing with a sentence, reading options, sockets.
 *
 * The tools use nothing of weir, so that a fault in weir can not hide in what measures it. Each is one file; this
 * header holds the few lines that all of them would repeat.
 */
#ifndef WEIR_TESTS_BENCH_TOOLS_TOOL_H
#define WEIR_TESTS_BENCH_TOOLS_TOOL_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Print the sentence, with errno's text where errno is set, and exit 1. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void tool_die(const char *fmt, ...)
{
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    if (saved != 0)
        fprintf(stderr, ": %s", strerror(saved));
    fputc('\n', stderr);
    exit(1);
}

/* A decimal number from min to max; anything else ends the program, naming the option. */
static inline unsigned tool_number(const char *option, const char *text, unsigned min, unsigned max)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < min || value > max) {
        errno = 0;
        tool_die("%s: want a number from %u to %u, not '%s'", option, min, max, text);
    }
    return (unsigned)value;
}

/* ADDRESS:PORT with a numeric IPv4 address. */
static inline struct sockaddr_in tool_address(const char *text)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    errno = 0;
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        tool_die("want ADDRESS:PORT, not '%s'", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    addr.sin_port = htons((uint16_t)tool_number("port", colon + 1, 0, 65535));
    if (inet_pton(AF_INET, host, &addr.sin_addr) != 1) {
        errno = 0;
        tool_die("not a numeric IPv4 address: '%s'", host);
    }
    return addr;
}

/* A non-blocking listener; says "listening PORT" on standard output, so that a caller may ask for port 0. */
static inline int tool_listen(const struct sockaddr_in *addr)
{
    int one = 1;
    struct sockaddr_in bound;
    socklen_t len = sizeof bound;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
        tool_die("listen on port %u", ntohs(addr->sin_port));
    printf("listening %u\n", ntohs(bound.sin_port));
    fflush(stdout);
    return fd;
}

static inline void tool_nodelay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* Thousands of sockets are the point of these tools: take every descriptor that the hard limit grants. */
static inline void tool_raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* A peer that went away is an error of write(), not the end of the program. */
static inline void tool_ignore_broken_pipe(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

static inline uint64_t tool_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static inline uint64_t tool_now_ms(void)
{
    return tool_now_ns() / 1000000U;
}

/* Add or change fd's registration. */
static inline void tool_epoll(int set, int op, int fd, uint32_t events, void *data)
{
    struct epoll_event ev = {.events = events, .data.ptr = data};
    if (epoll_ctl(set, op, fd, &ev) != 0)
        tool_die("epoll_ctl");
}
#endif
