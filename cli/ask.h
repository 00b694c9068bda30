/* One question to a node over HTTP: blocks until the answer has come, or is cut short. A loop of its own for each,
 * since a command asks one thing and ends. */
#ifndef WEIR_CLI_ASK_H
#define WEIR_CLI_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

struct ctl_ask {
    const char *url;     /* of the node: http:// or https://, a path in front of the page's is kept */
    const char *page;    /* "/api/cluster/state", with its query */
    bool post;           /* POST without a body, else GET */
    const char *accept;  /* media type */
    const char *token;   /* the node's admin token; NULL: none */
    const char *ca_file; /* https://; NULL: the system's authorities */
    uint64_t timeout_ms; /* for the whole question */
    uint64_t pause_ms;   /* not 0: timeout_ms is for the head, then no pause between pieces of the body is longer */
    /* The body, piece by piece, whatever the status. False: no more of it is wanted; that is no error. */
    bool (*take)(void *arg, unsigned status, const uint8_t *bytes, size_t n);
    void *arg;
};

/* 0: the answer has come, *status is its status. Errors: WEIR_EINVAL (the URL), and those of connecting, TLS and HTTP
 * with a sentence of what failed where; *status is then 0, or that of an answer that was cut off. */
WEIR_MUST_USE int ctl_ask(const struct ctl_ask *ask, unsigned *status, struct weir_err *err);

#endif
