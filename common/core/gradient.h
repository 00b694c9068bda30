/* How many requests an endpoint is sent at once, found from its first-byte times (the Gradient2 rule of Netflix'
 * concurrency-limits): while answers come as fast as they usually do the limit grows by what may queue, and when they
 * come slower it falls in proportion. Plain data, pure; off unless adaptive_concurrency says otherwise. */
#ifndef WEIR_CORE_GRADIENT_H
#define WEIR_CORE_GRADIENT_H

#include <stdint.h>

/* Requests that may queue at the endpoint: what the limit grows by, before smoothing. */
#define WEIR_GRADIENT_QUEUE 4.0
/* The share of a new limit in each step. */
#define WEIR_GRADIENT_SMOOTHING 0.2
/* The limit falls by at most this factor in a step, before smoothing. */
#define WEIR_GRADIENT_FALL_MIN 0.5
/* Answers that the long average looks back on. */
#define WEIR_GRADIENT_LONG_WINDOW 600u
/* A step is taken for the mean of this many answers: single first-byte times scatter too much to steer by. */
#define WEIR_GRADIENT_SAMPLES 10u
/* Answers of "too much" (429, 529) take the limit down to this share, once per step and for each ten of them. */
#define WEIR_GRADIENT_DROP 0.9

struct weir_gradient {
    double limit;
    uint32_t min, max;
    double long_us;         /* the long average; 0: no answer yet */
    uint32_t long_count;    /* answers in it, up to the window */
    double sum_us;          /* of the step under way */
    uint32_t count;         /* answers in the step under way */
    uint32_t in_flight_max; /* in the step under way */
    uint32_t dropped;       /* likewise, answers of too much */
};

/* 1 <= min <= max. Starts at min: a limit that is too low grows in seconds, one too high is a flood. */
void weir_gradient_init(struct weir_gradient *g, uint32_t min, uint32_t max);
/* After a reload: new bounds, the rest is kept. */
void weir_gradient_bounds(struct weir_gradient *g, uint32_t min, uint32_t max);
/* A first byte came; in_flight: requests at the endpoint when its request was sent, itself included. */
void weir_gradient_answered(struct weir_gradient *g, uint64_t first_byte_us, uint32_t in_flight);
/* The endpoint answered that it has too much to do. */
void weir_gradient_dropped(struct weir_gradient *g);
/* Requests that may be in flight: min to max. */
uint32_t weir_gradient_limit(const struct weir_gradient *g);

#endif
