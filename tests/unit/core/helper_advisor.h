/* A cluster of one provider as an advisor sees it: slots of ten seconds, a window of ten minutes, a cooldown of five,
 * in simulated time. One for each test's process. */
#ifndef WEIR_TESTS_HELPER_ADVISOR_H
#define WEIR_TESTS_HELPER_ADVISOR_H

#include "core/advisor.h"

#define SLOT_MS     UINT64_C(10000)
#define WINDOW_MS   UINT64_C(600000)
#define COOLDOWN_MS UINT64_C(300000)
#define COOLDOWN    (COOLDOWN_MS / SLOT_MS)

extern struct advised {
    struct weir_advisor advisor;
    struct weir_load_forecast *forecast;
    struct weir_load_patterns patterns;
    struct weir_load_record last;
    struct weir_hints hints;
    uint64_t slot;
    uint32_t nodes, changes; /* of the advice */
} advised;

/* Nodes that carry 100 each, three of them; "openai" with a time-out of 60 s. */
void advised_begin(void);
void advised_end(void);
/* The slot's record with so much in flight: half a request a second for each, of two seconds. The provider's point may
 * be changed before advised_end_slot. */
struct weir_load_point *advised_begin_slot(double in_flight);
void advised_end_slot(void);
void advised_look(void);
void advised_run(uint64_t slots, double in_flight);

#endif
