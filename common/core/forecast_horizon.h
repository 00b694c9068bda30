/* The forecast for one horizon: what every predictor said is kept until the truth is known, then the mixture for the
 * middle, each predictor's own 0.9 quantile, the mixture of those and the band's correction learn from it. Pure; a part
 * of core/forecast, which says how it works. */
#ifndef WEIR_CORE_FORECAST_HORIZON_H
#define WEIR_CORE_FORECAST_HORIZON_H

#include <stdint.h>

#include "core/forecast_errors.h"
#include "core/forecast_mix.h"

#define WEIR_HORIZON_PREDICTORS_MAX 14u
/* Beside the predictors' own: the mixture's errors as they are, and in proportion to the load. */
#define WEIR_HORIZON_WINDOWS   2u
#define WEIR_HORIZON_BANDS_MAX (WEIR_HORIZON_PREDICTORS_MAX + WEIR_HORIZON_WINDOWS)

/* What was said at one step. */
struct weir_horizon_row {
    unsigned predictors; /* 0: nothing was */
    float mid, mixed_high, high, proportion;
    float said[WEIR_HORIZON_PREDICTORS_MAX];
    float bands[WEIR_HORIZON_BANDS_MAX]; /* the windows', then the predictors' */
};

struct weir_horizon {
    unsigned steps;     /* ahead */
    uint64_t scored;    /* forecasts whose truth is known */
    double usual_error; /* of the middle, absolute, the recent mean */
    double cover;       /* what the band is moved by, in usual errors */
    double mid, high;   /* the newest forecast */
    double weights[WEIR_HORIZON_PREDICTORS_MAX];
    struct weir_mix mid_mix, high_mix;
    double quantiles[WEIR_HORIZON_PREDICTORS_MAX]; /* of each predictor's errors */
    uint32_t quantile_steps[WEIR_HORIZON_PREDICTORS_MAX];
    struct weir_errors windows[WEIR_HORIZON_WINDOWS];
    struct weir_horizon_row *rows; /* the caller's, `steps` of them */
};

/* rows: `steps` of them, all zero; they stay the caller's, and must outlive it. */
void weir_horizon_init(struct weir_horizon *h, unsigned steps, struct weir_horizon_row *rows);
/* The value of step `at`, before anything is said at it. */
void weir_horizon_learn(struct weir_horizon *h, uint64_t at, double value);
/* At step `at`, `count` predictors say this of step at + steps; the first means of core/forecast_level are among them,
 * and `best` is the one with the smallest errors. base: the mean load of a day. band_before: the band's width at the
 * horizon before this one, for as long as this one has none of its own. */
void weir_horizon_say(struct weir_horizon *h, uint64_t at, unsigned count, const double *said, unsigned best,
                      double base, double band_before);
/* Nothing is said at step `at`. */
void weir_horizon_skip(struct weir_horizon *h, uint64_t at);

#endif
