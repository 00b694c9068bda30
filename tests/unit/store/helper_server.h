/* Real servers that a test starts for itself: redis-server, valkey-server, sentinels. Each has a folder of its own
 * below /tmp, a free port on the loopback and a unix socket, and is killed with the test. */
#ifndef WEIR_TESTS_STORE_HELPER_SERVER_H
#define WEIR_TESTS_STORE_HELPER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVER_ARGS_MAX 24

struct server {
    pid_t pid;               /* 0: not running */
    uint16_t port, tls_port; /* 0: none */
    char dir[64], socket[96], program[256];
    const char *args[SERVER_ARGS_MAX]; /* of the last start, for starting it again */
    unsigned arg_count;
    bool sentinel;
};

/* The programs that there are, in the order to be tried: redis-server, valkey-server. NULL beyond them. One that is
 * missing is said so on stdout, once. */
const char *server_program(unsigned i);

/* A port that was free a moment ago. */
uint16_t server_free_port(void);
/* Starts it, empty, with further arguments ("--port", "0", ...; NULL at the end), and waits until it answers. Fails the
 * test when it cannot. */
void server_start(struct server *s, const char *program, const char *const *args);
/* With a port for TLS beside the other one. */
void server_start_tls(struct server *s, const char *program, const char *const *args);
/* A sentinel that watches 127.0.0.1:master as `name`, 2 of them making a quorum. */
void server_start_sentinel(struct server *s, const char *program, const char *name, uint16_t master);
/* The same port and folder, empty again. */
void server_start_again(struct server *s);
/* kill -9, and waits for its end. */
void server_kill(struct server *s);
/* SIGSTOP; SIGCONT. */
void server_freeze(const struct server *s, bool frozen);
/* Kills it and removes its folder. Does nothing to one that is all zero. */
void server_end(struct server *s);
/* Sends one command line (inline protocol) and reads the answer, blocking; for the test's own questions. */
void server_ask(const struct server *s, const char *command, char *answer, unsigned size);
/* Asks anew until the answer holds this. */
void server_wait(const struct server *s, const char *command, const char *wanted);

#endif
