/* Gates make a test the clock: an answer that names one takes a step from it before its head and before each token, and
 * waits when none is left. Steps are given by POST /gate/NAME?steps=N. One thread only. */
#ifndef WEIR_MOCK_GATE_H
#define WEIR_MOCK_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "core/str.h"

#define MOCK_GATES_MAX     256u
#define MOCK_GATE_NAME_MAX 64u
#define MOCK_STEPS_FOREVER UINT64_MAX

struct mock_gate {
    char name[MOCK_GATE_NAME_MAX];
    size_t name_len;
    uint64_t steps;
    struct weir_list waiting; /* mock_gate_waiter.link */
    unsigned waiting_count;
    bool used;
};

struct mock_gate_waiter {
    struct weir_list link;
    struct mock_gate *gate; /* NULL: not waiting */
    void (*opened)(struct mock_gate_waiter *w);
};

struct mock_gates {
    struct mock_gate at[MOCK_GATES_MAX];
};

void mock_gates_init(struct mock_gates *g);
/* Drops every gate that nobody waits at. */
void mock_gates_forget(struct mock_gates *g);
/* Finds or makes; NULL when the name is too long or the table is full. */
struct mock_gate *mock_gate_find(struct mock_gates *g, struct weir_str name);

void mock_gate_waiter_init(struct mock_gate_waiter *w, void (*opened)(struct mock_gate_waiter *w));
/* True: a step was taken. Else the waiter stands in the queue, and `opened` is called, off the queue and with its step
 * taken, from inside mock_gate_add. */
bool mock_gate_take(struct mock_gate *gate, struct mock_gate_waiter *w);
void mock_gate_leave(struct mock_gate_waiter *w);
/* Gives steps to the longest waiting first. MOCK_STEPS_FOREVER opens it for good. */
void mock_gate_add(struct mock_gate *gate, uint64_t steps);

#endif
