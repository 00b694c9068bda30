/* What forecasts would have been worth on a series that is known: at each of some origins in its last third,
 * core/forecast and two plain methods, knowing the values before the origin only, forecast the steps that follow, and
 * are scored by what came. The other two are ses_e (core/ses) and naive (the last value; its 0.9 quantile as for a
 * random walk with normal steps). Pure. */
#ifndef WEIR_CORE_BACKTEST_H
#define WEIR_CORE_BACKTEST_H

#include <stddef.h>

#include "core/err.h"

#define WEIR_BACKTEST_ORIGINS 90u
/* ses_e reads the whole history at each origin; this many values take some ten seconds. */
#define WEIR_BACKTEST_VALUES_MAX 200000u

#define WEIR_BACKTEST_MAP(X) \
    X(WEIR, "weir")          \
    X(SES_E, "ses_e")        \
    X(NAIVE, "naive")

#define WEIR_BACKTEST_ENUM(id, name) WEIR_BACKTEST_##id,
enum weir_backtest_method { WEIR_BACKTEST_MAP(WEIR_BACKTEST_ENUM) WEIR_BACKTEST_METHODS };
#undef WEIR_BACKTEST_ENUM

/* Means over all origins and steps; NAN where the series gives no measure (it never changes, or is zero throughout). */
struct weir_backtest_score {
    double mase;          /* absolute error of the middle, in mean absolute steps of the history before the origin
                             (Hyndman and Koehler, International Journal of Forecasting 22, 2006) */
    double pinball90_rel; /* pinball loss of the 0.9 quantile, as a share of the mean load */
    double coverage90;    /* share of values at or below the 0.9 quantile */
    /* Had exactly the 0.9 quantile been provided, as shares of the load: */
    double spare_rel; /* what nobody would have used */
    double short_rel; /* what would have been missing */
};

struct weir_backtest {
    unsigned origins; /* WEIR_BACKTEST_ORIGINS, fewer where the series has no room for that many */
    struct weir_backtest_score methods[WEIR_BACKTEST_METHODS];
};

/* "weir", "ses_e", "naive". */
const char *weir_backtest_name(enum weir_backtest_method method);

/* values: 0 or more, NAN where there is none. Errors: WEIR_EINVAL when they are too few for the horizon, too many or
 * hold nothing to be scored; WEIR_ENOMEM. */
WEIR_MUST_USE int weir_backtest_run(struct weir_backtest *b, const double *values, size_t count, double step_s,
                                    unsigned horizon, struct weir_err *err);

#endif
