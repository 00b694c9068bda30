/* Coarse deadlines for many objects: a hashed timer wheel (Varghese and Lauck, 1987) with lazy rescheduling.
 *
 * A deadline that moves later (the usual case: an idle clock on a busy connection) is one store: it stays in its slot
 * and is moved when that slot comes round. Time is an argument, in milliseconds of any monotonic clock. Deadlines that
 * fall due in one run fire in the order of their ticks, except those set further off than one round. Not thread-safe.
 */
#ifndef WEIR_CORE_WHEEL_H
#define WEIR_CORE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

/* A deadline fires at most this much late, never early. Timeouts here are tens of milliseconds to minutes. */
#define WEIR_WHEEL_TICK_MS 4u
/* Slots; times further off than slots x tick go round again. 4,096 x 4 ms = 16 s covers most clocks in one round. */
#define WEIR_WHEEL_SLOTS 4096u
#define WEIR_NEVER       UINT64_MAX

struct weir_deadline;
typedef void (*weir_deadline_cb)(struct weir_deadline *d, uint64_t now_ms);

struct weir_deadline {
    struct weir_list link;
    uint64_t due_ms;  /* WEIR_NEVER: not armed */
    uint64_t slot_ms; /* when its slot comes round: at most one round off, so due_ms may be later */
    weir_deadline_cb fire;
};

struct weir_wheel {
    struct weir_list *slots;
    uint64_t occupied[WEIR_WHEEL_SLOTS / 64]; /* a bit for each slot that holds something */
    uint64_t at_tick;                         /* the last tick that was run */
    uint64_t linked;                          /* deadlines in slots, armed or lazily disarmed */
};

/* Errors: WEIR_ENOMEM (as the return code). */
int weir_wheel_init(struct weir_wheel *w, uint64_t now_ms);
/* Every deadline must have been dropped. */
void weir_wheel_close(struct weir_wheel *w);

void weir_deadline_init(struct weir_deadline *d, weir_deadline_cb fire);
/* Arms or moves. A due time in the past fires on the next run, never from inside this call. */
void weir_deadline_set(struct weir_wheel *w, struct weir_deadline *d, uint64_t due_ms);
/* Disarms; the object must stay allocated until weir_deadline_drop. */
static inline void weir_deadline_clear(struct weir_deadline *d)
{
    d->due_ms = WEIR_NEVER;
}
/* Disarms and unlinks: the object may be freed afterwards. Legal on one never set, and inside any fire callback. */
void weir_deadline_drop(struct weir_wheel *w, struct weir_deadline *d);

/* Fires what is due at now_ms. A callback may set, clear, drop or free any deadline, its own included; one that it sets
 * to a time in the past fires on the next run. Time that stands still or goes back is ignored. */
void weir_wheel_run(struct weir_wheel *w, uint64_t now_ms);
/* The next time at which a run is needed, a whole tick; WEIR_NEVER when nothing is armed. Looks through lazily moved
 * and disarmed entries, but at no more than a bounded number, so it may be early; never late. */
uint64_t weir_wheel_next_ms(const struct weir_wheel *w);

#endif
