/* A circuit under test: a policy, its state, the last answer, and the time. */
#ifndef WEIR_TEST_HELPER_BREAKER_H
#define WEIR_TEST_HELPER_BREAKER_H

#include "core/breaker.h"

struct helper_breaker {
    struct weir_breaker_policy policy;
    struct weir_breaker_state state;
    struct weir_breaker_reply reply; /* to the last report */
    uint64_t now;                    /* ms */
};

extern struct helper_breaker circuit;

/* Fixture: closed; opens after five failures in a row, for a minute; one probe at a time. */
void breaker_setup(void);
/* A report of node 1, unless it names another. */
void breaker_apply(struct weir_breaker_report r);
/* Outcomes of the present generation. */
void breaker_tell(uint32_t ok, uint32_t fail, uint32_t run);
/* As many failures in a row as open it. */
void breaker_trip(void);
void breaker_is(enum weir_breaker_phase phase, uint64_t gen);
/* The last report led to this one event. */
void breaker_said(enum weir_breaker_event_kind kind, enum weir_breaker_reason reason);

#endif
