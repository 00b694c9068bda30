#include "mock/gate.h"

void mock_gates_init(struct mock_gates *g)
{
    for (unsigned i = 0; i < MOCK_GATES_MAX; i++) {
        g->at[i] = (struct mock_gate){0};
        weir_list_init(&g->at[i].waiting);
    }
}

struct mock_gate *mock_gate_find(struct mock_gates *g, struct weir_str name)
{
    struct mock_gate *vacant = NULL;
    if (name.len == 0 || name.len > MOCK_GATE_NAME_MAX)
        return NULL;
    for (unsigned i = 0; i < MOCK_GATES_MAX; i++) {
        struct mock_gate *gate = &g->at[i];
        if (gate->used && weir_str_eq((struct weir_str){gate->name, gate->name_len}, name))
            return gate;
        if (!gate->used && vacant == NULL)
            vacant = gate;
    }
    if (vacant != NULL) {
        vacant->used = true;
        vacant->name_len = name.len;
        memcpy(vacant->name, name.ptr, name.len);
    }
    return vacant;
}

void mock_gate_waiter_init(struct mock_gate_waiter *w, void (*opened)(struct mock_gate_waiter *w))
{
    weir_list_init(&w->link);
    w->gate = NULL;
    w->opened = opened;
}

bool mock_gate_take(struct mock_gate *gate, struct mock_gate_waiter *w)
{
    if (gate->steps > 0) {
        if (gate->steps != MOCK_STEPS_FOREVER)
            gate->steps--;
        return true;
    }
    weir_list_push_back(&gate->waiting, &w->link);
    w->gate = gate;
    gate->waiting_count++;
    return false;
}

void mock_gate_leave(struct mock_gate_waiter *w)
{
    if (w->gate == NULL)
        return;
    weir_list_remove(&w->link);
    w->gate->waiting_count--;
    w->gate = NULL;
}

void mock_gate_add(struct mock_gate *gate, uint64_t steps)
{
    if (steps == MOCK_STEPS_FOREVER)
        gate->steps = steps;
    else if (gate->steps != MOCK_STEPS_FOREVER)
        gate->steps += steps;
    while (gate->steps > 0 && !weir_list_empty(&gate->waiting)) {
        struct mock_gate_waiter *w = WEIR_CONTAINER(gate->waiting.next, struct mock_gate_waiter, link);
        mock_gate_leave(w);
        if (gate->steps != MOCK_STEPS_FOREVER)
            gate->steps--;
        w->opened(w);
    }
}

void mock_gates_forget(struct mock_gates *g)
{
    for (unsigned i = 0; i < MOCK_GATES_MAX; i++) {
        if (g->at[i].waiting_count == 0) {
            g->at[i].used = false;
            g->at[i].steps = 0;
        }
    }
}
