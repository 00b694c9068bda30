/* The lead among several, held by a lease that the store grants: who holds it knows from the own monotonic clock alone
 * until when. The lease runs from the asking, not from the answer, and ends early by a tenth here, for two clocks may
 * run at different rates; so the holder stops before the store gives the lead away. It is renewed at a third of its
 * length. Nothing correct rests on it: what is written under it carries the token, which the store judges. Pure.
 *
 *     ask -> granted | refused | failed, each with the time of asking; tick in between */
#ifndef WEIR_CORE_LEADER_LEASE_H
#define WEIR_CORE_LEADER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct weir_leader_lease {
    uint64_t lease_ms;
    bool held, asking;
    uint64_t token; /* of the lease held; kept when it ends, so that who is asked first may go on: 0: never held */
    uint64_t until_ms;
    uint64_t due_ms; /* when to ask next */
};

enum weir_leader_change {
    WEIR_LEADER_SAME,
    WEIR_LEADER_GAINED, /* also with another token: somebody else has led meanwhile, or the store forgot who did */
    WEIR_LEADER_LOST,
};

/* lease_ms: at least 10. */
void weir_leader_lease_init(struct weir_leader_lease *l, uint64_t lease_ms, uint64_t now_ms);
/* Whether to act as the leader now. */
bool weir_leader_lease_leads(const struct weir_leader_lease *l, uint64_t now_ms);
/* Whether it is time to ask; if so an answer is awaited. */
bool weir_leader_lease_ask(struct weir_leader_lease *l, uint64_t now_ms);
/* A lease that has run out: LOST, once. */
enum weir_leader_change weir_leader_lease_tick(struct weir_leader_lease *l, uint64_t now_ms);
uint64_t weir_leader_lease_deadline_ms(const struct weir_leader_lease *l);

enum weir_leader_change weir_leader_lease_granted(struct weir_leader_lease *l, uint64_t now_ms, uint64_t asked_ms,
                                                  uint64_t token);
/* Somebody else leads, for so long at least. */
enum weir_leader_change weir_leader_lease_refused(struct weir_leader_lease *l, uint64_t now_ms, uint64_t left_ms);
/* No answer: a lease that is held goes on until it ends. */
void weir_leader_lease_failed(struct weir_leader_lease *l, uint64_t now_ms);

#endif
