/* Decides what follows a try at an endpoint: its end is final, it is tried again after a wait, or a stale connection is
 * replaced at once. Pure; the retry budget (core/retry_budget.h) is asked last, by the caller, when the word is RETRY.
 */
#ifndef WEIR_CORE_RETRY_H
#define WEIR_CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "core/outcome.h"
#include "core/str.h"

/* A provider that is being restarted sends one GOAWAY after another, to each connection of each of its machines. */
#define WEIR_RETRY_REPLACEMENTS_MAX 4u

enum weir_retry_word {
    WEIR_RETRY_GIVE_UP, /* the outcome goes to the client; reason says why */
    WEIR_RETRY_AGAIN,   /* after delay_ms: a counted retry, paid for from the budget, at another endpoint first */
    /* At once, on a connection that has carried nothing, outside attempts and budget. The breaker is not told: a peer
     * may close an idle connection at any time. Once a request where a connection died, and up to
     * WEIR_RETRY_REPLACEMENTS_MAX times while the peer says that it has looked at nothing (GOAWAY, REFUSED_STREAM). */
    WEIR_RETRY_REPLACE,
};

/* X(id, label, text): the label is for metrics, the text completes "not tried again: ". The decision uses all but
 * RATE_LIMIT, BUDGET and NO_ENDPOINT, which are the caller's, found after it. */
#define WEIR_RETRY_REASON_MAP(X)                                                               \
    X(NONE, "none", "")                                                                        \
    X(FINAL, "final", "nothing that is tried again")                                           \
    X(ANSWER_BEGUN, "answer_begun", "a part of the answer has gone to the client")             \
    X(DISABLED, "disabled", "retries are off")                                                 \
    X(ATTEMPTS, "attempts", "all attempts are used")                                           \
    X(METHOD, "method", "the method is not among retry.methods")                               \
    X(BODY, "body", "the request body was longer than retry.replay_buffer")                    \
    X(DEADLINE, "deadline", "retry.deadline would pass before the next try")                   \
    X(RETRY_AFTER, "retry_after", "Retry-After asks for more time than retry.deadline leaves") \
    X(RATE_LIMIT, "rate_limit", "the provider's rate limit is used up")                        \
    X(BUDGET, "budget", "the retry budget is spent")                                           \
    X(NO_ENDPOINT, "no_endpoint", "no endpoint may be asked now")

#define WEIR_RETRY_REASON_ENUM(id, label, text) WEIR_RETRY_##id,
enum weir_retry_reason { WEIR_RETRY_REASON_MAP(WEIR_RETRY_REASON_ENUM) WEIR_RETRY_REASON_COUNT };
#undef WEIR_RETRY_REASON_ENUM

const char *weir_retry_reason_label(enum weir_retry_reason r);
const char *weir_retry_reason_text(enum weir_retry_reason r);

struct weir_retry_sight {
    struct weir_outcome outcome;
    struct weir_str method;
    uint32_t retries;      /* made so far, replacements not counted: 0 after the first try */
    uint32_t replacements; /* that this request has had */
    bool answer_begun;     /* a byte of the response has gone to the client */
    bool replayable;       /* there is no body, or all of what was sent of it is still kept */
    /* An endpoint can be asked that has not been tried: what this one said of its own wait does not bind it. */
    bool elsewhere;
    uint64_t left_ms; /* of retry.deadline */
    uint64_t random;  /* all 64 bits even */
};

struct weir_retry_decision {
    enum weir_retry_word word;
    enum weir_retry_reason reason; /* NONE unless the word is GIVE_UP */
    uint64_t delay_ms;             /* AGAIN only */
};

/* An outcome is tried again when it is an answer with one of retry_status_codes; a failed connect, or a connection lost
 * without an answer (ConnectError); a clock that ran out, the pool's apart (TimeoutException); or certainly
 * unprocessed, whatever the configuration lists. The wait is the backoff with its jitter, at least Retry-After unless
 * the retry goes elsewhere; there is none before the first retry of what was certainly not processed. */
struct weir_retry_decision weir_retry_decide(const struct weir_config_retry *policy, const struct weir_retry_sight *s);

/* The longest wait before retry n (from 0) without Retry-After: backoff_factor x 2^n, at most backoff_max_delay. */
uint64_t weir_retry_backoff_ms(const struct weir_config_retry *policy, uint32_t n);

#endif
