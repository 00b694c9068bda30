/* A few threads for arithmetic that is too long for an event loop: the public-key work of TLS handshakes. A job is
 * lent by its owner, runs on one of the threads, and comes back through the mailbox of the thread that waits for it.
 *
 * The queue is bounded; whoever finds it full refuses its peer. Urgent jobs (a handshake that is under way already, or
 * one of ours towards an endpoint) go before the others, so that a flood of new clients starves nobody but itself.
 * The threads give way to loops on the same cores (SCHED_BATCH, nicer by 10). */
#ifndef WEIR_NET_CRYPTO_POOL_H
#define WEIR_NET_CRYPTO_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/list.h"
#include "net/mailbox.h"

#define WEIR_CRYPTO_THREADS_MAX 64u
/* At 1 to 5 ms a job on one thread the last of these waits a few seconds, about as long as a peer does. */
#define WEIR_CRYPTO_QUEUE_MAX 1024u

struct weir_crypto_pool;

struct weir_crypto_job {
    struct weir_message done; /* posted after run; its `handle` is set by the owner */
    struct weir_list queued;
    void (*run)(struct weir_crypto_job *job); /* on a thread of the pool */
    struct weir_mailbox *mailbox;             /* where `done` goes */
};

/* threads: 1 to WEIR_CRYPTO_THREADS_MAX. Errors: WEIR_ENOMEM, WEIR_ELIMIT (no thread to be had). */
int weir_crypto_pool_new(struct weir_crypto_pool **out, unsigned threads, struct weir_err *err);
/* Runs what is queued, waits for the threads, frees, nulls. The mailboxes of all jobs must still be open: so this comes
 * after the last submit and before weir_reactor_close. */
void weir_crypto_pool_free(struct weir_crypto_pool **pool);
/* Any thread. Until `done` is handled the job belongs to the pool. Errors: WEIR_ELIMIT (the queue is full); the job is
 * then still the caller's. */
WEIR_MUST_USE int weir_crypto_pool_submit(struct weir_crypto_pool *pool, struct weir_crypto_job *job, bool urgent);
/* Takes a job back that has not begun. False: it runs or has run, and `done` follows. */
bool weir_crypto_pool_cancel(struct weir_crypto_pool *pool, struct weir_crypto_job *job);
/* Jobs that wait now, for metrics. */
size_t weir_crypto_pool_waiting(const struct weir_crypto_pool *pool);

#endif
