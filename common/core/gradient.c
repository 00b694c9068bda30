#include "core/gradient.h"

#include <assert.h>

/* Below this the long average is a plain mean, so that the first answer does not stand for all. */
#define WARM_UP 10u

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

void weir_gradient_init(struct weir_gradient *g, uint32_t min, uint32_t max)
{
    *g = (struct weir_gradient){.limit = min};
    weir_gradient_bounds(g, min, max);
}

void weir_gradient_bounds(struct weir_gradient *g, uint32_t min, uint32_t max)
{
    assert(1 <= min && min <= max);
    g->min = min;
    g->max = max;
    g->limit = clamp(g->limit, min, max);
}

static void long_add(struct weir_gradient *g, double us)
{
    if (g->long_count < WEIR_GRADIENT_LONG_WINDOW)
        g->long_count++;
    double share = g->long_count <= WARM_UP ? 1.0 / g->long_count : 2.0 / (WEIR_GRADIENT_LONG_WINDOW + 1);
    g->long_us += (us - g->long_us) * share;
}

static void step(struct weir_gradient *g)
{
    double short_us = g->sum_us / g->count;
    double ratio = g->long_us / short_us;
    /* After a bad time the long average would call everything fast for long. */
    if (ratio > 2)
        g->long_us *= 0.9;
    /* A limit that was not nearly used says nothing about itself. */
    if (g->in_flight_max >= g->limit / 2) {
        double wanted = g->limit * clamp(ratio, WEIR_GRADIENT_FALL_MIN, 1) + WEIR_GRADIENT_QUEUE;
        g->limit = clamp(g->limit * (1 - WEIR_GRADIENT_SMOOTHING) + wanted * WEIR_GRADIENT_SMOOTHING, g->min, g->max);
    }
    g->sum_us = 0;
    g->count = g->in_flight_max = g->dropped = 0;
}

void weir_gradient_answered(struct weir_gradient *g, uint64_t first_byte_us, uint32_t in_flight)
{
    double us = first_byte_us > 0 ? (double)first_byte_us : 1; /* a clock that stood still */
    long_add(g, us);
    g->sum_us += us;
    g->count++;
    if (in_flight > g->in_flight_max)
        g->in_flight_max = in_flight;
    if (g->count >= WEIR_GRADIENT_SAMPLES)
        step(g);
}

void weir_gradient_dropped(struct weir_gradient *g)
{
    if (g->dropped++ % WEIR_GRADIENT_SAMPLES == 0)
        g->limit = clamp(g->limit * WEIR_GRADIENT_DROP, g->min, g->max);
}

uint32_t weir_gradient_limit(const struct weir_gradient *g)
{
    return (uint32_t)g->limit;
}
