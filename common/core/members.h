/* Who of a cluster lives, judged from the store's answers alone: nodes and coordinators use this one rule.
 *
 * A member that the store has not heard of for failover_ms is dead, with three exceptions, so that trouble with the
 * store is not taken for trouble with everybody:
 * - Nobody is declared dead before contact with the store has been healthy for failover_ms: when contact comes back,
 *   the store's contents were lost or its clock has jumped (weir_members_unsure), silence says nothing yet. An answer
 *   older than the last one is of other contents, too.
 * - Never more than half of the members in one round, but for those that somebody else has found out of reach, too.
 * - A member that is simply gone from the answer, though it lived and did not drain, counts as silent, not as left.
 * One that was silent already when it was first seen is not declared dead but simply not alive: there is nothing to
 * be given away too early by whoever has just come. Pure. */
#ifndef WEIR_CORE_MEMBERS_H
#define WEIR_CORE_MEMBERS_H

#include "core/coord.h"
#include "core/err.h"

struct weir_member {
    struct weir_coord_member record; /* as the store had it last */
    bool alive;
    bool missing;     /* not in the last answer */
    bool evidence;    /* somebody has found it out of reach: its silence needs no more witnesses */
    uint64_t seen_ms; /* when it was last known to have beaten */
};

enum weir_member_change {
    WEIR_MEMBER_CAME,   /* first seen, alive or not */
    WEIR_MEMBER_WENT,   /* left, or its record was dropped; it is gone from the table after the call */
    WEIR_MEMBER_LOST,   /* declared dead */
    WEIR_MEMBER_BACK,   /* beats again, as the same process or another */
    WEIR_MEMBER_DRAINS, /* has begun to */
};
/* Why a lost member's shards stay its own. */
#define WEIR_MEMBER_KEEPS "failover_enabled is false: its shards stay its own, and are served where requests land"
typedef void (*weir_members_change_cb)(void *arg, enum weir_member_change what, const struct weir_member *m);

struct weir_members {
    struct weir_member *at; /* by id, bytewise ascending */
    uint32_t count, cap;    /* at most WEIR_CLUSTER_NODES_MAX */
    uint64_t version;       /* of the last answer; 0: ask */
    uint64_t failover_ms;
    uint64_t sure_from_ms; /* nobody is declared dead before */
    uint32_t silent_count; /* in the last answer, those that have been judged dead: where the store counts others, ask
                              again */
    uint32_t undecided_count; /* silent or missing in it, and not judged yet */
    uint64_t round_from_ms;   /* when the round under way began */
    uint32_t round_lost;      /* declared dead in it */
    bool clock_known;
    int64_t clock_offset_ms; /* the store's clock less the own one */
};

/* Unsure from the start. */
void weir_members_init(struct weir_members *m, uint64_t failover_ms, uint64_t now_ms);
void weir_members_close(struct weir_members *m);

/* Takes the store's answer to MEMBERS. More than WEIR_CLUSTER_NODES_MAX are left out. change may be NULL. Errors:
 * WEIR_ENOMEM, nothing has changed. */
WEIR_MUST_USE int weir_members_take(struct weir_members *m, uint64_t now_ms,
                                    const struct weir_coord_members_reply *answer, weir_members_change_cb change,
                                    void *arg, struct weir_err *err);
/* Silence says nothing until failover_ms from now. */
void weir_members_unsure(struct weir_members *m, uint64_t now_ms);
bool weir_members_sure(const struct weir_members *m, uint64_t now_ms);
/* The store's clock as an answer showed it; a jump makes unsure. Returns whether it jumped. */
bool weir_members_clock(struct weir_members *m, uint64_t asked_ms, uint64_t now_ms, uint64_t store_us);
/* Whether to ask for the members again: the store's version and its count of silent ones, as a beat's answer told. */
bool weir_members_stale(const struct weir_members *m, uint64_t now_ms, uint64_t version, uint32_t silent);
/* Somebody has found it out of reach, or has reached it. */
void weir_members_evidence(struct weir_members *m, const char *id, bool out_of_reach);
/* NULL: there is none. */
struct weir_member *weir_members_find(const struct weir_members *m, const char *id);

#endif
