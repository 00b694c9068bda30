/* The load of a cluster over time, as its leading coordinator keeps it: nodes' records of slots go in, and what all of
 * them had comes out, slot by slot and folded to longer steps, to be kept in the store and to be forecast from.
 *
 *     nodes' records -> [open slots] -> step 0: a slot -> step 1: 6 slots -> step 2: 60 slots
 *
 * A slot is closed half a slot after its end, or when records of much later ones come; a record that is later than that
 * is dropped and counted. A slot of which no node has told is a gap: nothing comes out for it. A leader that is new
 * replays what the store has, the longest steps first, and what the one before it has left half done comes out then.
 *
 * Times are of the store's clock. Pure. */
#ifndef WEIR_CORE_LOAD_HISTORY_H
#define WEIR_CORE_LOAD_HISTORY_H

#include "core/load_capacity.h"
#include "core/load_record.h"

enum weir_load_step { WEIR_LOAD_SLOT, WEIR_LOAD_MINUTE, WEIR_LOAD_TEN_MINUTES, WEIR_LOAD_STEPS };
/* In slots: 10 s, a minute and ten with the usual slot, whose names the steps have. */
unsigned weir_load_step_slots(enum weir_load_step step);

/* Slots that may be open: the one under way, those that nodes are late with, and a store that was away for a moment. */
#define WEIR_LOAD_OPEN_SLOTS 8u

/* A step is over; step 0 of a slot comes before the longer steps that end with it. record->slot: the step's number,
 * which is its first slot's divided by the step's length. Lives during the call. Must not call back. */
typedef void (*weir_load_closed_cb)(void *arg, enum weir_load_step step, const struct weir_load_record *record);

struct weir_load_history; /* about 300 KB */

/* slot_ms: above 0. NULL: out of memory. */
struct weir_load_history *weir_load_history_new(uint64_t slot_ms, weir_load_closed_cb closed, void *arg);
void weir_load_history_free(struct weir_load_history **h);

/* A node's record, at this time. */
void weir_load_history_take(struct weir_load_history *h, uint64_t store_ms, const struct weir_load_record *r);
/* Closes what is over. */
void weir_load_history_tick(struct weir_load_history *h, uint64_t store_ms);
/* When the next slot is to be closed. */
uint64_t weir_load_history_deadline_ms(const struct weir_load_history *h, uint64_t store_ms);
/* A record of a step out of the store, those of a step in ascending order, all of a longer step first. False: it is
 * none that follows what is known at this time, and is not used. */
bool weir_load_history_replay(struct weir_load_history *h, uint64_t store_ms, enum weir_load_step step,
                              const struct weir_load_record *r);

/* The number of the last step that is closed (it may have been a gap) or was replayed; UINT64_MAX: none. */
uint64_t weir_load_history_last(const struct weir_load_history *h, enum weir_load_step step);
/* Of the nodes that have told lately; 0: not known. */
uint64_t weir_load_history_safe_concurrency(const struct weir_load_history *h);

struct weir_load_history_counts {
    uint64_t taken, late, early, twice; /* nodes' records: early: of a time to come; twice: told already. What
                                           is of slots that were replayed does not count */
};
struct weir_load_history_counts weir_load_history_counts(const struct weir_load_history *h);

#endif
