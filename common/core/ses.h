/* Simple exponential smoothing with the empirical quantile of its own replayed errors: the plain forecast that
 * core/forecast is measured against (core/backtest). It is fitted to the whole history each time, which takes time in
 * proportion to it. Pure. */
#ifndef WEIR_CORE_SES_H
#define WEIR_CORE_SES_H

#include <stddef.h>

struct weir_ses {
    double share; /* of a new value in the level: the one with the smallest squared error one step ahead */
    double first; /* the level before the first value, likewise */
};

/* values: NAN where there is none; one at least is there. */
struct weir_ses weir_ses_fit(const double *values, size_t count);
/* The level after each of the values. */
void weir_ses_replay(const struct weir_ses *s, const double *values, size_t count, double *levels);
/* The q-quantile (0 to 1) of what the replayed levels missed the value `ahead` steps later by, interpolated between its
 * neighbours (Hyndman and Fan's type 7); 0 when there is none. scratch: room for count numbers. */
double weir_ses_error_quantile(const double *values, const double *levels, size_t count, unsigned ahead, double q,
                               double *scratch);

#endif
