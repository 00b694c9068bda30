/* A page of the cluster's, from the store itself: for when no node can be asked. Blocks until it is there. Reads only.
 */
#ifndef WEIR_CLI_STORE_ASK_H
#define WEIR_CLI_STORE_ASK_H

#include <jansson.h>
#include <stdint.h>

#include "core/err.h"

struct ctl_store_ask {
    const char *url;     /* as distributed_pool.redis_url */
    const char *cluster; /* distributed_pool.cluster */
    const char *page;    /* cli/store_pages.h has those that there are */
    const char *ca_file; /* for rediss://; NULL: the system's authorities */
    uint64_t timeout_ms;
    unsigned events;     /* of events: so many of the last */
    uint64_t history_ms; /* of the load history: how far back */
};

/* 0: *answer is the caller's. Errors, with a sentence: WEIR_EINVAL (the URL, the cluster's name, or a page that the
 * store does not have), WEIR_ENOTFOUND (the store knows no such cluster), WEIR_ETLS (the authorities cannot be read),
 * and others when it cannot be asked: the first try decides. */
WEIR_MUST_USE int ctl_store_ask(const struct ctl_store_ask *ask, json_t **answer, struct weir_err *err);

#endif
