/* Posts texts to one URL, in their order, each until it is taken: on control's reactor, with one connection for each
 * try. What is in the way of a delivery is logged once, and so is that deliveries work again.
 *
 *     idle -> resolving -> connecting -> sent -> 2xx: the next text
 *                 |            |           |---> 408, 429, 5xx, lost, late: again after a wait that doubles
 *                 '------------'-----------'---> another status: the receiver will never take it; dropped
 */
#ifndef WEIR_NODE_WEBHOOK_H
#define WEIR_NODE_WEBHOOK_H

#include "core/config.h"
#include "core/config_check.h"
#include "core/textbuf.h"
#include "http/call.h"
#include "net/dns.h"
#include "net/log.h"

/* One try, from resolving the name to the end of the answer's head. */
#define WEIR_WEBHOOK_TIMEOUT_MS  10000u
#define WEIR_WEBHOOK_WAIT_MS     1000u
#define WEIR_WEBHOOK_WAIT_MS_MAX 30000u
/* RFC 1035: no name is longer, so a longer one never gets as far as a connection. */
#define WEIR_WEBHOOK_HOST_MAX 255u
/* Addresses of the name that are tried. */
#define WEIR_WEBHOOK_ADDRESSES_MAX 4u

/* One that waits, in the queue. */
struct weir_webhook_text {
    struct weir_list link;
    uint64_t queued_ms;
    size_t len;
    char bytes[];
};

struct weir_webhook_counts {
    uint64_t delivered, failed, dropped; /* texts, tries, texts */
};

/* What is posted: the events and sentences of its log lines, and how much of it may wait. All texts are static. */
struct weir_webhook_kind {
    struct {
        const char *event, *sentence;
    } failed, works;                          /* a delivery, for the first time; again */
    const char *dropped;                      /* event */
    const char *refused, *too_old, *too_many; /* why a text was dropped */
    unsigned queue_max;                       /* of more texts that wait the oldest is dropped: what a receiver that
                                                 was away wants to know is how things are now */
    uint64_t age_ms_max;                      /* what could not be delivered for so long is old news, and dropped */
};

enum weir_webhook_state {
    WEIR_WEBHOOK_IDLE,
    WEIR_WEBHOOK_RESOLVING,
    WEIR_WEBHOOK_CONNECTING,
    WEIR_WEBHOOK_SENT,
    WEIR_WEBHOOK_WAITING
};

struct weir_webhook {
    struct weir_reactor *reactor;
    struct weir_log_producer *log;
    const struct weir_webhook_kind *kind;
    enum weir_webhook_state state;
    char *url;                         /* its own copy; NULL: nothing is posted */
    struct weir_config_http_url parts; /* slices of it */
    struct weir_dns *dns;              /* its own, so that no round of names waits for it; made when first needed */
    char *dns_servers;                 /* what it asks; NULL: the system's */
    struct weir_list queue;
    unsigned queued;
    struct weir_deadline clock; /* of the try, or of the wait */
    unsigned tries;             /* of the first text */
    bool failing;               /* said so in the log */
    bool dropping;
    struct weir_addr addresses[WEIR_WEBHOOK_ADDRESSES_MAX];
    unsigned address_count, address_next;
    struct weir_err failure; /* of the addresses that were tried, the one to tell */
    struct weir_call call;
    struct weir_tls_config *tls; /* one reference; NULL: https:// cannot be posted to */
    struct weir_crypto_pool *crypto;
    char host[WEIR_WEBHOOK_HOST_MAX + 1]; /* of the URL: what the receiver must prove to be */
    struct weir_webhook_counts counts;
};

void weir_webhook_init(struct weir_webhook *w, struct weir_reactor *r, struct weir_log_producer *log,
                       const struct weir_webhook_kind *kind);
/* Where to post from now on; url NULL: nowhere, and what waits is dropped. servers: name servers as
 * weir_dns_set_servers takes them, or NULL. Errors: WEIR_ENOMEM; everything is then as before. */
WEIR_MUST_USE int weir_webhook_configure(struct weir_webhook *w, const char *url, const char *servers);
/* The same with a configuration's name servers. */
WEIR_MUST_USE int weir_webhook_follow(struct weir_webhook *w, const char *url, const struct weir_config_texts *servers);
/* By what a receiver on https:// proves who it is, from the next try on. A reference to tls is taken; the pool outlives
 * w. */
void weir_webhook_trust(struct weir_webhook *w, struct weir_tls_config *tls, struct weir_crypto_pool *crypto);
/* Queues a JSON text, which is copied. Errors: WEIR_ENOMEM. Without a URL it does nothing. */
WEIR_MUST_USE int weir_webhook_post(struct weir_webhook *w, struct weir_str text);
/* Drops everything; no deadline of its own is left on the wheel. */
void weir_webhook_close(struct weir_webhook *w);

#endif
