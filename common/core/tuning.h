/* How large a pool should be, and how long its clocks should run: the guide's two formulas with its exact results, and
 * its scaling by load with a memory. Pure; time is an argument. */
#ifndef WEIR_CORE_TUNING_H
#define WEIR_CORE_TUNING_H

#include <stdbool.h>
#include <stdint.h>

/* -- the guide's formulas -- */

/* The guide's bounds of a computed size, and its margin of safety. */
#define WEIR_TUNING_POOL_MIN  10
#define WEIR_TUNING_POOL_MAX  1000
#define WEIR_TUNING_POOL_SAFE 1.5

/* `calculate_optimal_pool_size`: target_rps x response_ms_avg / 1000 x 1.5, cut off at the point, 10 to 1000. Where
 * the guide's Python would raise (the product is infinite or no number) the answer is the bound that its sign points
 * to, 10 for no number. */
uint32_t weir_tuning_pool_size(int64_t target_rps, double response_ms_avg);

struct weir_tuning_timeouts {
    double connect_s, read_s, total_s;
};

/* `optimize_timeouts`: both arguments and the results in seconds. connect = max(5, 2 x latency), read = max(10, 0.8 x
 * the provider's time-out), total = both + 5. No number counts as below the minimum, as in Python's max(). */
struct weir_tuning_timeouts weir_tuning_timeouts(double network_latency_s, double provider_timeout_s);

/* -- what the formulas are fed with -- */

/* Measured in slots of five seconds over the last minute: short enough to see a burst, long enough for a rate. */
#define WEIR_TUNING_SLOT_MS 5000u
#define WEIR_TUNING_SLOTS   12u

/* Sums since the beginning, or of a slot. */
struct weir_tuning_sums {
    uint64_t requests;               /* that asked for a connection, whether they got one or not: what is wanted */
    uint64_t exchanges, exchange_us; /* answers received to their end, and the time they took */
    uint64_t connects, connect_us;
};

struct weir_tuning_history {
    uint64_t due_ms;   /* when the slot under way ends; 0: none yet */
    uint64_t begun_ms; /* when it began */
    unsigned at;
    struct weir_tuning_sums last; /* at that time */
    struct {
        struct weir_tuning_sums sums;
        uint64_t ms;
    } slot[WEIR_TUNING_SLOTS];
};

/* All zero is an empty one. True: the slot under way is over, and the sums are wanted. */
bool weir_tuning_due(const struct weir_tuning_history *h, uint64_t now_ms);
/* Ends the slot. A sum that is below what it was (an endpoint has gone) counts as nothing new. */
void weir_tuning_note(struct weir_tuning_history *h, uint64_t now_ms, const struct weir_tuning_sums *sums);

/* The size by the highest rate of requests of a slot and the mean time of an exchange, in the last minute. Nothing
 * measured: 0, or `before` where there were requests and none has ended yet. A lower size than before counts only when
 * it is lower by a tenth. */
uint32_t weir_tuning_measured_size(const struct weir_tuning_history *h, uint32_t before);
/* The mean time of a connect in the last minute, in seconds; -1: there was none. */
double weir_tuning_measured_latency(const struct weir_tuning_history *h);

/* -- load -- */

/* The guide's bands of load = (active + pending) / configured. A band is entered upwards at its bound and left
 * downwards this much below it, so that a load around a bound does not change the limits at each look. */
#define WEIR_LOAD_NORMAL_FROM 0.3
#define WEIR_LOAD_HIGH_FROM   0.7
#define WEIR_LOAD_HYSTERESIS  0.05

enum weir_load_band { WEIR_LOAD_NORMAL, WEIR_LOAD_LOW, WEIR_LOAD_HIGH };

/* The guide's factor of a band: 0.5, 1.0, 1.5. */
double weir_load_factor(enum weir_load_band band);

/* The band that follows from a load and the band before. */
enum weir_load_band weir_load_band_next(enum weir_load_band before, double load);

/* A peak counts for ten seconds: that many whole slots, and the one under way. */
#define WEIR_LOAD_SLOT_MS 1000u
#define WEIR_LOAD_SLOTS   11u

/* The highest number of connections wanted at once, over the last ten seconds (and up to one slot more). All zero is a
 * fresh one in the band NORMAL. */
struct weir_load {
    uint64_t slot; /* the number of the slot under way, since time 0 */
    uint64_t peak[WEIR_LOAD_SLOTS];
    enum weir_load_band band;
};

/* So many connections are leased and requests queued. Whoever sees a peak between two looks hands in the peak. A time
 * before the last one counts as the last one. */
void weir_load_note(struct weir_load *l, uint64_t now_ms, uint64_t wanted);
/* The peak as of now. */
uint64_t weir_load_peak(struct weir_load *l, uint64_t now_ms);
/* Moves the band by the peak and the configured limit (not the one in force: a limit must not move itself), and returns
 * it. configured > 0. */
enum weir_load_band weir_load_update(struct weir_load *l, uint64_t now_ms, uint32_t configured);

/* -- the limits in force -- */

struct weir_tuning_wishes {
    uint32_t max_connections, max_keepalive; /* as configured; max_connections > 0 */
    uint32_t cap;                            /* pool_limits.max_connections_cap */
    bool scaled;                             /* load_scaling is on: the band counts */
    enum weir_load_band band;
    uint32_t tuned;  /* what auto_tune computed; 0: nothing */
    uint32_t hinted; /* what the coordinator advises; 0: nothing */
};

struct weir_tuning_limits {
    uint32_t max_connections, max_keepalive;
};

/* The highest wish, at most the cap, at least 10 or the configured limit where that is smaller: an operator's small
 * limit is never raised by the lower bound. Without any wish, the configured limits as they are. The idle limit follows
 * the band alone, stays at least 1 where one was configured, and at most max_connections. */
struct weir_tuning_limits weir_tuning_limits(const struct weir_tuning_wishes *w);

#endif
