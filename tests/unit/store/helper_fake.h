/* A server that the test plays: it accepts, reads and says what the test tells it to, on the test's own loop. It
 * listens on a unix socket, since what is said there has arrived at once. */
#ifndef WEIR_TESTS_STORE_HELPER_FAKE_H
#define WEIR_TESTS_STORE_HELPER_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/reactor.h"

struct fake {
    struct weir_reactor *r;
    int listener, fd; /* fd: the connection last accepted; -1: none */
    char path[64];    /* "" for one on a port */
    uint16_t port;
    char got[16384]; /* what came and was not yet expected, NUL-terminated */
    size_t got_len;
    bool ended; /* the other side closed */
};

void fake_open(struct fake *s, struct weir_reactor *r);
/* On a port of the loopback instead: what is said there arrives soon, so wait for what follows from it. */
void fake_open_port(struct fake *s, struct weir_reactor *r);
void fake_close(struct fake *s);
/* Takes a connection that is there already. */
bool fake_accept_now(struct fake *s);
/* Runs the loop until somebody connects. */
void fake_accept(struct fake *s);
/* Ends the connection. */
void fake_hang_up(struct fake *s);
/* Runs the loop once and reads what has come. */
void fake_read(struct fake *s);
/* Runs the loop until this command has come, given as its words, and that next. */
void fake_expect(struct fake *s, const char *const *words);
#define FAKE_EXPECT(s, ...) fake_expect(s, (const char *const[]){__VA_ARGS__, NULL})
/* Nothing more has come. */
void fake_expect_nothing(struct fake *s);
/* Runs the loop until the other side has closed. */
void fake_expect_end(struct fake *s);
/* Sends text; runs what follows from it. In pieces of one byte each, the loop run between them. */
void fake_say(struct fake *s, const char *text);
void fake_say_slowly(struct fake *s, const char *text);

/* Time passes on the loop without anybody waiting for it, each time from where it was left; what fell due runs. */
void fake_pass(struct weir_reactor *r, uint64_t ms);

#endif
