/* What a load will be: a value for each step of a fixed length goes in, and for each of the next steps the middle (the
 * forecast that is as often too high as too low) and the 0.9 quantile (which nine of ten values stay under) come out.
 *
 * Several predictors run side by side: means of several memories, damped trends, and, as soon as a day or a week of
 * history has been seen, profiles of these. For each of a few horizons (1, 2, 4, ... steps) they are mixed by their
 * past errors at that horizon; between two horizons the forecast is interpolated. The band is a mixture, too, of each
 * predictor with the 0.9 quantile of its own errors and of the middle with that of its last ones (mixing quantiles by
 * their pinball loss: Berrisch and Ziel, "CRPS learning", Journal of Econometrics 237, 2023). At last it is moved by
 * what makes it cover nine of ten values in the long run, whatever the series does (adaptive conformal inference: Gibbs
 * and Candes, NeurIPS 2021; Angelopoulos, Candes and Tibshirani, "Conformal PID control", NeurIPS 2023).
 *
 * Bounded memory (about 60 KB for 60 steps ahead), the same time for each step, deterministic. Pure. */
#ifndef WEIR_CORE_FORECAST_H
#define WEIR_CORE_FORECAST_H

#include <stdint.h>

/* The furthest horizon, in steps. */
#define WEIR_FORECAST_HORIZON_MAX 512u
/* A larger value (or one below 0, or none that is finite) is a fault of whoever measured, and counts as a gap. */
#define WEIR_FORECAST_VALUE_MAX 1e15

struct weir_forecast;

struct weir_forecast_point {
    double mid;  /* 0 or more */
    double high; /* mid or more */
};

/* step_s: above 0, the length of a step. horizon: 1 to WEIR_FORECAST_HORIZON_MAX. NULL: out of memory. Steps count from
 * the first one; where a day begins in them does not matter. */
struct weir_forecast *weir_forecast_new(double step_s, unsigned horizon);
void weir_forecast_free(struct weir_forecast **f);

/* The value of the next step; NAN: there is none. */
void weir_forecast_push(struct weir_forecast *f, double value);
/* Steps without values, any number of them: a pause of weeks costs no more than one of `horizon` steps. */
void weir_forecast_skip(struct weir_forecast *f, uint64_t steps);
/* The forecast for the ahead-th step after the last one, 1 to horizon; 0 and 0 when no value was ever seen. */
struct weir_forecast_point weir_forecast_at(const struct weir_forecast *f, unsigned ahead);
/* Values seen so far. */
uint64_t weir_forecast_seen(const struct weir_forecast *f);

#endif
