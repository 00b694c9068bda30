/* Requests to a coordination store, and one in memory that keeps the last answer and counts the pushes. */
#ifndef WEIR_TESTS_HELPER_CORE_COORD_H
#define WEIR_TESTS_HELPER_CORE_COORD_H

#include "core/coord_impl.h"

#define COORD_LEASE_MS UINT64_C(10000)

struct weir_coord_member coord_member(const char *id, uint64_t instance);
struct weir_breaker_policy coord_policy(uint32_t threshold);

struct weir_coord_request coord_beat(const struct weir_coord_member *m);
struct weir_coord_request coord_lead(const char *id, uint64_t token, uint64_t lease_ms);
struct weir_coord_request coord_publish(const char *id, uint64_t token, uint64_t epoch, const char *map);
/* Of so many outcomes, the failures last; the reporter's number is its first letter. */
struct weir_coord_request coord_report(const char *by, const char *endpoint, uint64_t gen, uint32_t ok, uint32_t fail);
struct weir_coord_request coord_tokens(const char *provider, uint32_t limit, uint32_t burst, bool strict,
                                       uint32_t want);

struct coord_fixture {
    struct weir_coord_state *state;
    uint64_t now_us;
    struct weir_coord_reply reply;
    unsigned pushes[WEIR_COORD_PUSH_KINDS]; /* by kind */
    struct weir_coord_push last;            /* its texts live as long as those of the answer */
};

/* At a time that is not 0. */
void coord_setup(struct coord_fixture *f);
void coord_teardown(struct coord_fixture *f);
/* The answer's word; the whole of it is in f->reply. */
enum weir_coord_word coord_do(struct coord_fixture *f, const struct weir_coord_request *q);
enum weir_coord_word coord_ask(struct coord_fixture *f, enum weir_coord_op op); /* of what needs no arguments */

#endif
