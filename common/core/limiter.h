/* Rate limits: the generic cell rate algorithm over integers, and leases on its tokens for those who must not ask for
 * each request.
 *
 * A limiter is a bucket of `burst` tokens that fills with `limit` tokens in `period_us`. Its whole state is when the
 * bucket will be full again (the theoretical arrival time, tat): whole microseconds and a fraction counted in
 * 1/limit microseconds, so that nothing is lost to rounding, and no number reaches 2^53 for any limit in use: a script
 * on the two fields computes the same. One holder applies the calls one after another; the time is the holder's clock.
 *
 * Bound: any window of one period admits at most limit + burst. With leases of L spent elsewhere, limit + burst +
 * limit x L / period, however many there are, since what is spent in a window was granted in it or at most L before. */
#ifndef WEIR_CORE_LIMITER_H
#define WEIR_CORE_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#define WEIR_LIMITER_MINUTE_US (UINT64_C(60) * 1000000)
/* How often a holder of leases asks at most, and how long what it gets is good, counted from the asking: until the next
 * answer has come, so that nobody waits for it. */
#define WEIR_LEASE_PULL_US UINT64_C(350000)
#define WEIR_LEASE_LIFE_US UINT64_C(400000)
/* Unused tokens are back in the bucket within the first, counted from the asking, or never; the second of it is for the
 * way. The bucket remembers for so long how much of them it would have lost by being full, had they not been taken:
 * that much does not come back (core/coord_tokens). */
#define WEIR_LEASE_RETURN_US UINT64_C(1500000)
#define WEIR_LEASE_WAY_US    UINT64_C(500000)

struct weir_limiter {
    uint32_t limit; /* tokens per period, at least 1 */
    uint32_t burst; /* at least 1 */
    uint64_t period_us;
    uint64_t tat_us;
    uint32_t tat_part; /* of 1/limit microseconds; below limit */
};

struct weir_limiter_answer {
    bool ok;
    uint32_t remaining; /* whole tokens in the bucket, after it */
    uint64_t wait_us;   /* not ok: until it would be, if nobody else takes any */
    uint64_t full_us;   /* until the bucket is full */
};

/* A full bucket; `strict` empty, for one that begins anew and does not know what was spent before. */
void weir_limiter_init(struct weir_limiter *l, uint32_t limit, uint32_t burst, uint64_t period_us, uint64_t now_us,
                       bool strict);
/* New numbers from a reload; what is spent stays spent. */
void weir_limiter_set(struct weir_limiter *l, uint32_t limit, uint32_t burst, uint64_t now_us);
/* Takes cost tokens, or none and changes nothing. More than the burst could never be there at once: it asks for a full
 * bucket then and leaves the rest as a debt. */
struct weir_limiter_answer weir_limiter_take(struct weir_limiter *l, uint64_t now_us, uint32_t cost);
/* What take would find; changes nothing. */
struct weir_limiter_answer weir_limiter_look(const struct weir_limiter *l, uint64_t now_us, uint32_t cost);
/* Whole tokens in the bucket. */
uint32_t weir_limiter_tokens(const struct weir_limiter *l, uint64_t now_us);
/* Tokens missing in the bucket, a part of one as a whole: what a full bucket of other numbers has to be charged with to
 * go on from here. */
uint32_t weir_limiter_debt(const struct weir_limiter *l, uint64_t now_us);
/* The same, but a part of one does not count: so many can come back. */
uint32_t weir_limiter_missing(const struct weir_limiter *l, uint64_t now_us);
/* Until the nth token from now on is there (1: the next), if each before it is taken as it comes; 0: it is there. */
uint64_t weir_limiter_wait_us(const struct weir_limiter *l, uint64_t now_us, uint32_t nth);
/* Takes what is there of `want`, maybe 0. */
uint32_t weir_limiter_grant(struct weir_limiter *l, uint64_t now_us, uint32_t want);
/* Puts unused tokens back; the bucket does not overflow. */
void weir_limiter_hand_back(struct weir_limiter *l, uint64_t now_us, uint32_t unused);
/* Takes tokens that are spent already, there or not: what was used while the holder could not be asked. */
void weir_limiter_charge(struct weir_limiter *l, uint64_t now_us, uint32_t used);

/* The limit that one of `nodes` may keep by itself while the holder is away: that share (in millionths) of the whole,
 * divided; at least 1. */
uint32_t weir_limiter_share(uint32_t limit, uint32_t share_ppm, uint32_t nodes);

/* -- for x-ratelimit-limit, -remaining, -reset and Retry-After; seconds, rounded up -- */

struct weir_limiter_values {
    uint64_t limit, remaining, reset_s;
    uint64_t retry_after_s; /* at least 1 when refused, else 0 */
};
struct weir_limiter_values weir_limiter_show(const struct weir_limiter *l, const struct weir_limiter_answer *a);

/* -- leases: tokens that have been granted and may be spent here until they expire; all zero is none --
 *
 * With them is kept when they were granted, by the limiter's clock: it wants to know when they come back. Of tokens
 * that are mixed, the earliest time counts. */

struct weir_lease {
    /* Two, as a new one may come before the old one is over; [0] ends first. */
    struct {
        uint32_t tokens;
        uint64_t expires_us;
        uint64_t since_us; /* granted */
    } parts[2];
    uint32_t unused; /* expired unspent: to be handed back, until unused_until_us */
    uint64_t unused_until_us;
    uint64_t unused_since_us;
    uint64_t taken_since_us; /* that of the token that was spent last */
    uint32_t spent;          /* since the last pull */
    uint32_t expected;       /* the same of the pull before, falling slowly */
    uint64_t pulled_us;
    bool pulled; /* ever */
};

/* Spends one token; the one that expires first. */
bool weir_lease_take(struct weir_lease *l, uint64_t now_us);
uint32_t weir_lease_tokens(struct weir_lease *l, uint64_t now_us);
/* One that was spent has not been used. */
void weir_lease_put_back(struct weir_lease *l, uint64_t now_us);
/* How many to ask the limiter for now, for so many requests that wait; 0: none are needed, or it is too soon. A number
 * counts as asked for. What is here does not count: it will be over before the next asking. */
uint32_t weir_lease_want(struct weir_lease *l, uint64_t now_us, uint32_t queued);
/* The answer to a want that was sent at asked_us, however late it comes, and was given at since_us of the limiter's
 * clock. */
void weir_lease_granted(struct weir_lease *l, uint64_t now_us, uint32_t tokens, uint64_t asked_us, uint64_t since_us);

struct weir_lease_unused {
    uint32_t tokens;
    uint64_t since_us; /* the first of them were granted; 0: there are none */
};
/* Tokens to hand back now: what has expired; everything when draining. They are gone from the
 * lease, as are those that it is too late for. */
struct weir_lease_unused weir_lease_hand_back(struct weir_lease *l, uint64_t now_us, bool drain);

#endif
