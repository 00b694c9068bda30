/* What one owner (a worker, or a node) knows of an endpoint's circuit, and what it may decide alone: its own circuit,
 * the last seen of the shared one, and the report that it owes. Pure, for one thread.
 *
 *     admit -> the request with its ticket -> done -> [report to whoever holds the shared state -> learn, granted]
 *
 * A request goes out when both circuits let it. The own one is the same machine fed with the own outcomes only, so it
 * opens at once, without a round trip; each new generation of the shared one begins it anew, since the others know
 * more. It stays in charge alone while nothing is shared: a node by itself, or one cut off from the store. */
#ifndef WEIR_CORE_BREAKER_VIEW_H
#define WEIR_CORE_BREAKER_VIEW_H

#include "core/breaker.h"

/* Permits that were not answered, or not given, are asked for again after this. */
#define WEIR_BREAKER_ASK_MS 1000u
/* What an owner's word as a witness rests on, in seconds. */
#define WEIR_BREAKER_RECENT_S 10u

struct weir_breaker_view {
    struct weir_breaker_state own;
    bool sharing;                     /* shared holds something */
    struct weir_breaker_sight shared; /* deadlines on the own clock */
    uint32_t permit_count;
    struct weir_breaker_permit permits[WEIR_BREAKER_BATCH]; /* granted and unused, of shared.gen, on the own clock */
    struct weir_breaker_report pending;
    uint64_t cooldown_until_ms; /* to be reported; on the own clock */
    uint64_t asked_ms;          /* when permits were last asked for; 0: they may be asked for at once */
    bool asking;                /* ... and that was not answered yet */
    bool idled;                 /* the last permits were not used: too few requests come for the next one to find it,
                                   and who asks for one should wait for it, though another endpoint may serve it */
    bool urgent;
    struct weir_breaker_bucket recent[WEIR_BREAKER_RECENT_S];
    struct weir_breaker_report unheard; /* ends of probes that whoever grants permits may not have heard: gen, probes */
    uint64_t unheard_ms, unheard_since_ms; /* told last; the first of them */
};

/* What a request carries while it is with the endpoint. */
struct weir_breaker_ticket {
    uint64_t gen, permit; /* of the shared circuit; 0: none */
    uint64_t own_gen, own_permit;
};

enum weir_breaker_answer_word {
    WEIR_BREAKER_ADMIT,
    WEIR_BREAKER_REFUSE_OPEN,
    WEIR_BREAKER_REFUSE_HALF_OPEN, /* no permit is free */
    WEIR_BREAKER_REFUSE_ASKED,     /* likewise, but one has been asked for: the answer takes a moment */
    WEIR_BREAKER_REFUSE_COOLING,
};

struct weir_breaker_answer {
    enum weir_breaker_answer_word word;
    struct weir_breaker_ticket ticket; /* ADMIT: each must come back by done, once */
    uint64_t wait_ms;                  /* OPEN, COOLING: for Retry-After; else 0 */
    bool awaited;                      /* ASKED: it should wait for the answer, which may be here by now: see idled */
};

/* node: from 1; see struct weir_breaker_report. */
void weir_breaker_view_init(struct weir_breaker_view *v, uint64_t node, uint64_t now_ms);

/* May a request go to the endpoint now? *out takes the own circuit's events (half-open). */
struct weir_breaker_answer weir_breaker_view_admit(struct weir_breaker_view *v, const struct weir_breaker_policy *p,
                                                   uint64_t now_ms, struct weir_breaker_reply *out);
/* How it ended. *out takes the own circuit's events. */
void weir_breaker_view_done(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms,
                            const struct weir_breaker_ticket *t, enum weir_breaker_verdict verdict,
                            uint64_t cooldown_ms, struct weir_breaker_reply *out);
/* So many successes that were not told one by one: of requests let through while the circuit was closed. */
void weir_breaker_view_succeeded(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms,
                                 uint32_t count);
/* Whether it would be admitted, without a ticket and without asking for a permit: for choosing among endpoints. A
 * half-open circuit that a request could probe is true. */
bool weir_breaker_view_may_admit(const struct weir_breaker_view *v, const struct weir_breaker_policy *p,
                                 uint64_t now_ms);
/* A permit has been asked for, and the answer is to be expected any moment. */
bool weir_breaker_view_is_asking(const struct weir_breaker_view *v, uint64_t now_ms);
/* The circuit in force, for showing it. */
struct weir_breaker_sight weir_breaker_view_look(const struct weir_breaker_view *v, uint64_t now_ms);

/* -- an operator's word -- */

/* Obeyed at once by the own circuit, and by the shared one with the next report, which is urgent. *out takes the own
 * circuit's events. */
void weir_breaker_view_order(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms,
                             enum weir_breaker_order order, struct weir_breaker_reply *out);

/* -- sharing -- */

/* The number under which it reports from now on. */
void weir_breaker_view_rename(struct weir_breaker_view *v, uint64_t node);
/* Whether a report is owed; urgent: now, for a change of the own circuit, a probe's end, a cooldown or wanted permits;
 * else with the next batch. */
bool weir_breaker_view_owes(const struct weir_breaker_view *v, bool *urgent);
/* Moves the report out; it is lost if it is not delivered, but that the ends of its probes are told again, until there
 * is an answer. False: there was nothing to say. */
bool weir_breaker_view_take(struct weir_breaker_view *v, uint64_t now_ms, struct weir_breaker_report *out);
/* The shared circuit as it was at store_ms on its holder's clock. Older generations are ignored. */
void weir_breaker_view_learn(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms,
                             const struct weir_breaker_sight *seen, uint64_t store_ms);
/* The permits of a reply to the own report, which said that; learn first. Others may be under way: what they ask for
 * and tell has not been answered by this one. */
void weir_breaker_view_granted(struct weir_breaker_view *v, uint64_t now_ms, const struct weir_breaker_report *said,
                               const struct weir_breaker_reply *reply, uint64_t store_ms);
/* Permits that were not used for a while go back, and what may not have been heard of those that were is told again:
 * to be called now and then, or somebody else's requests wait until they expire. One that is wanted first goes back
 * then, and another is asked for. */
void weir_breaker_view_hand_back(struct weir_breaker_view *v, const struct weir_breaker_policy *p, uint64_t now_ms);
/* The store is away, or is another one: on alone. An open circuit stays open until its deadline. */
void weir_breaker_view_alone(struct weir_breaker_view *v, uint64_t now_ms);

#endif
