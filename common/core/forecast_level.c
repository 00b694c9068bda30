#include "core/forecast_level.h"

#include <math.h>

/* The share of a new value in each mean: from a memory of 50 steps to the last value alone. */
static const double shares[WEIR_LEVEL_MEANS] = {0.02, 0.05, 0.12, 0.25, 0.5, 1};
/* What a step leaves of the squared errors: a memory of 1,000 steps. */
#define ERROR_KEPT 0.999

static const struct {
    double level, slope, damping;
} trends[WEIR_LEVEL_TRENDS] = {{0.3, 0.1, 0.9}, {0.6, 0.2, 0.9}};

void weir_level_push(struct weir_level *l, double value)
{
    if (l->seen++ == 0) {
        for (size_t i = 0; i < WEIR_LEVEL_MEANS; i++)
            l->mean[i] = value;
        for (size_t i = 0; i < WEIR_LEVEL_TRENDS; i++)
            l->trend_level[i] = value;
        return;
    }
    for (size_t i = 0; i < WEIR_LEVEL_MEANS; i++) {
        double error = value - l->mean[i];
        l->square_error[i] = l->square_error[i] * ERROR_KEPT + error * error;
        /* A long memory begins as a plain mean. */
        l->mean[i] += error * fmax(shares[i], 1 / (double)l->seen);
    }
    for (size_t i = 0; i < WEIR_LEVEL_TRENDS; i++) {
        double expected = l->trend_level[i] + trends[i].damping * l->trend_slope[i];
        double step = trends[i].level * (value - expected);
        l->trend_level[i] = expected + step;
        l->trend_slope[i] = trends[i].damping * l->trend_slope[i] + trends[i].slope * step;
    }
}

void weir_level_skip(struct weir_level *l)
{
    for (size_t i = 0; i < WEIR_LEVEL_TRENDS; i++) {
        l->trend_slope[i] *= trends[i].damping;
        l->trend_level[i] += l->trend_slope[i];
    }
}

void weir_level_predict(const struct weir_level *l, unsigned horizon, double out[WEIR_LEVEL_PREDICTIONS])
{
    for (size_t i = 0; i < WEIR_LEVEL_MEANS; i++)
        out[i] = l->mean[i];
    for (size_t i = 0; i < WEIR_LEVEL_TRENDS; i++) {
        double d = trends[i].damping;
        out[WEIR_LEVEL_MEANS + i] = l->trend_level[i] + l->trend_slope[i] * d * (1 - pow(d, horizon)) / (1 - d);
    }
}

size_t weir_level_best(const struct weir_level *l)
{
    size_t best = 0;
    for (size_t i = 1; i < WEIR_LEVEL_MEANS; i++)
        if (l->square_error[i] < l->square_error[best])
            best = i;
    return best;
}
