/* What is ahead of a cluster: forecasts (core/forecast.h) of the requests in flight and of the requests per second, for
 * each provider and for all of them, over the window that scaling looks at. The step is the finest of the history's
 * three that reaches the window's end in at most WEIR_LOAD_AHEAD_MAX steps. Rebuilt by pushing the stored series.
 *
 * Times are of the store's clock. Pure. */
#ifndef WEIR_CORE_LOAD_FORECAST_H
#define WEIR_CORE_LOAD_FORECAST_H

#include "core/forecast.h"
#include "core/load_history.h"

#define WEIR_LOAD_AHEAD_MAX 120u
/* The last steps of the cluster, for charts. */
#define WEIR_LOAD_PAST_MAX 60u

struct weir_load_forecast;

/* What is forecast: of each provider, and of the cluster. */
enum weir_load_measure {
    WEIR_LOAD_IN_FLIGHT,  /* the step's peak */
    WEIR_LOAD_REQUESTS_S, /* the step's mean */
    WEIR_LOAD_MEASURES
};

struct weir_load_peak {
    double peak, peak_high; /* the highest of the window: the middle, and what nine of ten values stay under */
    uint64_t peak_at_ms;    /* when the step of `peak` begins; 0: nothing is known */
};

/* NULL: out of memory. A window beyond WEIR_FORECAST_HORIZON_MAX steps of the longest ends there. */
struct weir_load_forecast *weir_load_forecast_new(uint64_t slot_ms, uint64_t window_ms);
void weir_load_forecast_free(struct weir_load_forecast **f);

enum weir_load_step weir_load_forecast_step(const struct weir_load_forecast *f);
uint64_t weir_load_forecast_step_ms(const struct weir_load_forecast *f);
/* Steps ahead that are forecast. */
unsigned weir_load_forecast_horizon(const struct weir_load_forecast *f);

/* The cluster's record of a step of this length, in ascending order; steps left out are gaps. Out of memory: the
 * provider that is new has no forecast yet; false. */
bool weir_load_forecast_push(struct weir_load_forecast *f, const struct weir_load_record *r);
/* How many steps the cluster was seen in. */
uint64_t weir_load_forecast_seen(const struct weir_load_forecast *f);
/* Whether the forecast is not older than two steps. */
bool weir_load_forecast_current(const struct weir_load_forecast *f, uint64_t store_ms);

/* Providers told of in the window's length, in no order. */
uint32_t weir_load_forecast_providers(const struct weir_load_forecast *f, const char *names[WEIR_LOAD_PROVIDERS_MAX]);
/* provider NULL: the cluster. One that is not known: all 0. Of what is ahead of store_ms. */
struct weir_load_peak weir_load_forecast_peak(const struct weir_load_forecast *f, const char *provider,
                                              enum weir_load_measure what, uint64_t store_ms);
/* The cluster's step `ahead` after the last one, 1 to the horizon. */
struct weir_forecast_point weir_load_forecast_at(const struct weir_load_forecast *f, enum weir_load_measure what,
                                                 unsigned ahead);
/* When that step begins. */
uint64_t weir_load_forecast_at_ms(const struct weir_load_forecast *f, unsigned ahead);
/* The cluster's last steps that were not gaps, oldest first: when they began and what they had; returns how many. */
uint32_t weir_load_forecast_past(const struct weir_load_forecast *f, enum weir_load_measure what,
                                 uint64_t at_ms[WEIR_LOAD_PAST_MAX], double values[WEIR_LOAD_PAST_MAX]);

#endif
