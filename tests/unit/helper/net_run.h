/* Runs a reactor's loop until something has happened: tests wait for conditions, never for times. */
#ifndef WEIR_TESTS_HELPER_NET_RUN_H
#define WEIR_TESTS_HELPER_NET_RUN_H

#include <check.h>

#include "net/reactor.h"

#define RUN_ITERATIONS_MAX 1000000

/* One iteration of the loop at a time, sleeping where the loop sleeps; the test's own timeout ends a wait for nothing.
 */
#define RUN_UNTIL(r, condition)                                                           \
    do {                                                                                  \
        for (int run_i_ = 0; !(condition); run_i_++) {                                    \
            ck_assert_msg(run_i_ < RUN_ITERATIONS_MAX, "never happened: %s", #condition); \
            uv_run(&(r)->loop, UV_RUN_ONCE);                                              \
        }                                                                                 \
    } while (0)

/* Runs what is ready and comes back when the loop would sleep. */
static inline void run_idle(struct weir_reactor *r)
{
    for (int i = 0; i < 8; i++)
        uv_run(&r->loop, UV_RUN_NOWAIT);
}

static inline void reactor_open(struct weir_reactor *r)
{
    struct weir_err err = {0};
    ck_assert_msg(weir_reactor_init(r, &err) == WEIR_OK, "%s", err.msg);
}

#endif
