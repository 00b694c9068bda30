/* A small load on one URL: so many requests, so many of them at a time, over as many connections. For trying out a
 * node, not for measuring what it can bear (tests/bench does). Blocks until all have ended. */
#ifndef WEIR_CLI_LOAD_H
#define WEIR_CLI_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/histogram.h"
#include "core/err.h"

#define CTL_LOAD_CLIENTS_MAX  1000u
#define CTL_LOAD_REQUESTS_MAX 1000000u

struct ctl_load {
    const char *url;
    const char *bearer;  /* sent as Authorization; NULL: none */
    const char *ca_file; /* NULL: the system's authorities */
    const char *body;    /* POSTed as JSON; NULL: GET */
    size_t body_len;
    unsigned requests, clients;
    unsigned sessions;   /* so many x-session-ids, by turns; 0: none is sent */
    bool keepalive;      /* false: a new connection for each request */
    uint64_t timeout_ms; /* of each */
    /* After each that ended. */
    void (*progress)(void *arg, unsigned done);
    void *arg;
};

struct ctl_load_result {
    unsigned done;        /* ended, one way or another */
    unsigned connections; /* that were begun */
    unsigned statuses[6]; /* by their hundreds; [0]: no answer */
    uint64_t bytes, took_us;
    struct ctl_histogram whole, first; /* until the end, and until the first byte of the body or the head's end */
    struct weir_err failure;           /* the first one; code 0: none */
};

/* Errors: WEIR_EINVAL (the URL), and those of setting up: DNS, TLS. *out is then all zero. */
WEIR_MUST_USE int ctl_load_run(const struct ctl_load *load, struct ctl_load_result *out, struct weir_err *err);

#endif
