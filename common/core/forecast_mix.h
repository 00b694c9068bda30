/* Which of several predictors to believe, learned from their past errors: each one's weight grows with what following
 * it alone would have gained over the mixture (exponential weights on discounted gains with a rate of its own for each,
 * as in Wintenberger, "Optimal learning with Bernstein online aggregation", Machine Learning 106, 2017). Plain data,
 * pure; a part of core/forecast. */
#ifndef WEIR_CORE_FORECAST_MIX_H
#define WEIR_CORE_FORECAST_MIX_H

#include <stddef.h>

#define WEIR_MIX_MAX 16u

struct weir_mix {
    double gain[WEIR_MIX_MAX];   /* discounted sum of gains */
    double spread[WEIR_MIX_MAX]; /* likewise, of their squares */
};

/* What `count` predictors said and the mixture of them, once the truth is known. slope: of the loss at the mixture, by
 * the forecast (-1, 0 or 1 for the absolute error). unit: the usual error, above 0. kept: what a step leaves of older
 * gains. */
void weir_mix_learn(struct weir_mix *m, size_t count, const float *said, double mixture, double slope, double unit,
                    double kept);
/* Sets the weights of `count` predictors; they add up to 1. rate: how fast to choose, 1 for errors that are
 * independent. favoured: a predictor that is believed until there is evidence, by as much as `favour` (0: none is). */
void weir_mix_weights(const struct weir_mix *m, size_t count, double rate, size_t favoured, double favour,
                      double *weights);

#endif
