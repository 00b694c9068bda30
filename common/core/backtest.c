#include "core/backtest.h"

#include <math.h>
#include <stdlib.h>

#include "core/forecast.h"
#include "core/ses.h"

#define HIGH 0.9
/* The 0.9 quantile of the standard normal distribution. */
#define NORMAL_HIGH 1.2815515655446004
/* The first origin has at least this many values before it, beside the horizon: a history to learn from. */
#define HISTORY_MIN 30u

struct sums {
    double scaled_error, pinball, covered, spare, missing;
};

struct run {
    const double *values;
    size_t count;
    unsigned horizon;
    struct weir_forecast *forecast;
    double *levels, *scratch;
    size_t known; /* values that the forecast has seen */
    double last;  /* of them, NAN: none yet */
    double step_sum,
        step_square_sum; /* of the differences between neighbours before the origin, absolute and squared */
    size_t step_count;
    struct sums sums[WEIR_BACKTEST_METHODS];
    double load;
    size_t scored, scaled; /* values; those with a history that changes */
};

#define NAME(id, name) name,
static const char *const names[] = {WEIR_BACKTEST_MAP(NAME)};

const char *weir_backtest_name(enum weir_backtest_method method)
{
    return names[method];
}

static void advance(struct run *r, size_t origin)
{
    for (; r->known < origin; r->known++) {
        double value = r->values[r->known], before = r->known > 0 ? r->values[r->known - 1] : NAN;
        weir_forecast_push(r->forecast, value);
        if (isnan(value))
            continue;
        r->last = value;
        if (isnan(before))
            continue;
        r->step_sum += fabs(value - before);
        r->step_square_sum += (value - before) * (value - before);
        r->step_count++;
    }
}

static void score(struct sums *s, double value, double mid, double high, double scale)
{
    if (scale > 0)
        s->scaled_error += fabs(value - mid) / scale;
    s->pinball += value > high ? HIGH * (value - high) : (1 - HIGH) * (high - value);
    s->covered += value <= high ? 1 : 0;
    s->spare += fmax(high - value, 0);
    s->missing += fmax(value - high, 0);
}

static void score_origin(struct run *r, size_t origin)
{
    advance(r, origin);
    if (isnan(r->last))
        return;
    double steps = (double)r->step_count;
    double scale = steps > 0 ? r->step_sum / steps : 0, deviation = steps > 0 ? sqrt(r->step_square_sum / steps) : 0;
    struct weir_ses ses = weir_ses_fit(r->values, origin);
    weir_ses_replay(&ses, r->values, origin, r->levels);
    double level = r->levels[origin - 1];
    for (unsigned ahead = 1; ahead <= r->horizon; ahead++) {
        double value = r->values[origin + ahead - 1];
        if (isnan(value))
            continue;
        struct weir_forecast_point p = weir_forecast_at(r->forecast, ahead);
        double above = weir_ses_error_quantile(r->values, r->levels, origin, ahead, HIGH, r->scratch);
        score(&r->sums[WEIR_BACKTEST_WEIR], value, p.mid, p.high, scale);
        score(&r->sums[WEIR_BACKTEST_SES_E], value, level, fmax(level + above, 0), scale);
        score(&r->sums[WEIR_BACKTEST_NAIVE], value, r->last, r->last + NORMAL_HIGH * deviation * sqrt(ahead), scale);
        r->load += value;
        r->scored++;
        r->scaled += scale > 0 ? 1 : 0;
    }
}

static void result_of(struct weir_backtest *b, const struct run *r)
{
    for (unsigned m = 0; m < WEIR_BACKTEST_METHODS; m++) {
        const struct sums *s = &r->sums[m];
        double load = r->load > 0 ? r->load : NAN;
        b->methods[m] = (struct weir_backtest_score){
            .mase = r->scaled > 0 ? s->scaled_error / (double)r->scaled : NAN,
            .pinball90_rel = s->pinball / load,
            .coverage90 = s->covered / (double)r->scored,
            .spare_rel = s->spare / load,
            .short_rel = s->missing / load,
        };
    }
}

/* The origins: evenly spaced over the last third, the last one where all its steps are known; a short series' begin
 * earlier, at its half at most, so that there is room for them. */
static unsigned score_origins(struct run *r)
{
    size_t last = r->count - r->horizon, first = (2 * r->count + 2) / 3, half = (r->count + 1) / 2, before = 0;
    if (first + WEIR_BACKTEST_ORIGINS > last + 1)
        first = last + 1 > half + WEIR_BACKTEST_ORIGINS ? last + 1 - WEIR_BACKTEST_ORIGINS : half;
    unsigned origins = 0;
    for (unsigned i = 0; i < WEIR_BACKTEST_ORIGINS; i++) {
        size_t origin = first + i * (last - first) / (WEIR_BACKTEST_ORIGINS - 1);
        if (origin == before)
            continue;
        score_origin(r, origin);
        before = origin;
        origins++;
    }
    return origins;
}

int weir_backtest_run(struct weir_backtest *b, const double *values, size_t count, double step_s, unsigned horizon,
                      struct weir_err *err)
{
    size_t least = 2 * ((size_t)horizon + HISTORY_MIN);
    if (count < least)
        return weir_err_set(err, WEIR_EINVAL, "%zu values are too few for %u steps ahead: %zu at least", count, horizon,
                            least);
    if (count > WEIR_BACKTEST_VALUES_MAX)
        return weir_err_set(err, WEIR_EINVAL, "%zu values are too many: %u at most", count, WEIR_BACKTEST_VALUES_MAX);
    struct run r = {.values = values, .count = count, .horizon = horizon, .last = NAN};
    r.forecast = weir_forecast_new(step_s, horizon);
    r.levels = calloc(count, sizeof *r.levels);
    r.scratch = calloc(count, sizeof *r.scratch);
    int rv = WEIR_OK;
    if (r.forecast == NULL || r.levels == NULL || r.scratch == NULL) {
        rv = weir_err_set(err, WEIR_ENOMEM, "out of memory");
    } else {
        *b = (struct weir_backtest){.origins = score_origins(&r)};
        if (r.scored == 0)
            rv = weir_err_set(err, WEIR_EINVAL, "nothing to score: the last third has no values");
        else
            result_of(b, &r);
    }
    weir_forecast_free(&r.forecast);
    free(r.levels);
    free(r.scratch);
    return rv;
}
