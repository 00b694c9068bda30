/* Predictors that know no season: exponential means of several memories, and damped linear trends (Gardner and
 * McKenzie, "Forecasting trends in time series", Management Science 31, 1985). Plain data, pure; a part of
 * core/forecast. */
#ifndef WEIR_CORE_FORECAST_LEVEL_H
#define WEIR_CORE_FORECAST_LEVEL_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_LEVEL_MEANS       6u
#define WEIR_LEVEL_TRENDS      2u
#define WEIR_LEVEL_PREDICTIONS (WEIR_LEVEL_MEANS + WEIR_LEVEL_TRENDS)

struct weir_level {
    uint64_t seen; /* values so far */
    double mean[WEIR_LEVEL_MEANS];
    double square_error[WEIR_LEVEL_MEANS]; /* of each mean one step ahead, discounted */
    double trend_level[WEIR_LEVEL_TRENDS], trend_slope[WEIR_LEVEL_TRENDS];
};

/* The next value. All zero is a level that has seen nothing. */
void weir_level_push(struct weir_level *l, double value);
/* A step without a value: means stay, trends go on and flatten. */
void weir_level_skip(struct weir_level *l);
/* What each expects `horizon` steps after the last one: the means, then the trends. */
void weir_level_predict(const struct weir_level *l, unsigned horizon, double out[WEIR_LEVEL_PREDICTIONS]);
/* The mean whose errors one step ahead were the smallest. */
size_t weir_level_best(const struct weir_level *l);

#endif
