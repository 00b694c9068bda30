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
    uint64_t timeout_ms;
    unsigned events; /* of events: so many of the last */
};

/* 0: *answer is the caller's. Errors: WEIR_EINVAL (the URL or the cluster's name), WEIR_ENOTFOUND (the store does not
 * have what is on the page), and those of connecting, with a sentence. */
WEIR_MUST_USE int ctl_store_ask(const struct ctl_store_ask *ask, json_t **answer, struct weir_err *err);

#endif
