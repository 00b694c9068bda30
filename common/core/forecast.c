#include "core/forecast.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "core/forecast_horizon.h"
#include "core/forecast_level.h"
#include "core/forecast_season.h"

#define DAY_S 86400.0
/* 1, 2, 4, ... 512. */
#define HORIZONS_MAX 10u

_Static_assert(WEIR_LEVEL_PREDICTIONS + 2 * WEIR_SEASON_PREDICTIONS == WEIR_HORIZON_PREDICTORS_MAX,
               "a place for each predictor");

struct weir_forecast {
    uint64_t now; /* steps so far, with and without values */
    double day;   /* in steps */
    double base;  /* the mean of a day */
    struct weir_level level;
    struct weir_season by_day, by_week;
    unsigned horizon_count;
    struct weir_horizon *horizons;
    struct weir_horizon_row *rows; /* of all horizons */
};

static unsigned horizons_of(unsigned horizon, unsigned steps[HORIZONS_MAX])
{
    unsigned count = 0;
    for (unsigned n = 1; n < horizon; n *= 2)
        steps[count++] = n;
    steps[count++] = horizon;
    return count;
}

struct weir_forecast *weir_forecast_new(double step_s, unsigned horizon)
{
    assert(step_s > 0 && 1 <= horizon && horizon <= WEIR_FORECAST_HORIZON_MAX);
    struct weir_forecast *f = calloc(1, sizeof *f);
    if (f == NULL)
        return NULL;
    unsigned steps[HORIZONS_MAX], row_count = 0;
    f->horizon_count = horizons_of(horizon, steps);
    for (unsigned i = 0; i < f->horizon_count; i++)
        row_count += steps[i];
    assert(row_count > 0);
    f->horizons = calloc(f->horizon_count, sizeof *f->horizons);
    f->rows = calloc(row_count, sizeof *f->rows);
    if (f->horizons == NULL || f->rows == NULL) {
        weir_forecast_free(&f);
        return NULL;
    }
    struct weir_horizon_row *rows = f->rows;
    for (unsigned i = 0; i < f->horizon_count; i++) {
        weir_horizon_init(&f->horizons[i], steps[i], rows);
        rows += steps[i];
    }
    f->day = DAY_S / step_s;
    weir_season_init(&f->by_day, f->day, WEIR_SEASON_DAY_PARTS);
    weir_season_init(&f->by_week, 7 * f->day, WEIR_SEASON_WEEK_PARTS);
    return f;
}

void weir_forecast_free(struct weir_forecast **f)
{
    if (*f == NULL)
        return;
    free((*f)->horizons);
    free((*f)->rows);
    free(*f);
    *f = NULL;
}

/* Fills in what each predictor expects `ahead` steps after the last one; how many there are. A season is of use once it
 * is known, so there are never fewer than before. */
static unsigned predict(const struct weir_forecast *f, unsigned ahead, double out[WEIR_HORIZON_PREDICTORS_MAX])
{
    uint64_t at = f->now - 1 + ahead;
    unsigned count = WEIR_LEVEL_PREDICTIONS;
    weir_level_predict(&f->level, ahead, out);
    if (!weir_season_ready(&f->by_day, f->now))
        return count;
    weir_season_predict(&f->by_day, at, out + count);
    count += WEIR_SEASON_PREDICTIONS;
    if (!weir_season_ready(&f->by_week, f->now))
        return count;
    weir_season_predict(&f->by_week, at, out + count);
    return count + WEIR_SEASON_PREDICTIONS;
}

static void say(struct weir_forecast *f, uint64_t at)
{
    double said[WEIR_HORIZON_PREDICTORS_MAX], band = 0;
    unsigned best = (unsigned)weir_level_best(&f->level);
    for (unsigned i = 0; i < f->horizon_count; i++) {
        struct weir_horizon *h = &f->horizons[i];
        unsigned count = predict(f, h->steps, said);
        weir_horizon_say(h, at, count, said, best, f->base, band);
        band = h->high - h->mid;
    }
}

void weir_forecast_push(struct weir_forecast *f, double value)
{
    if (!isfinite(value) || value < 0 || value > WEIR_FORECAST_VALUE_MAX) {
        weir_forecast_skip(f, 1);
        return;
    }
    uint64_t at = f->now++;
    for (unsigned i = 0; i < f->horizon_count; i++)
        weir_horizon_learn(&f->horizons[i], at, value);
    weir_level_push(&f->level, value);
    f->base += (value - f->base) * fmax(1 / (double)f->level.seen, fmin(1 / f->day, 1));
    weir_season_push(&f->by_day, at, value);
    weir_season_push(&f->by_week, at, value);
    say(f, at);
}

void weir_forecast_skip(struct weir_forecast *f, uint64_t steps)
{
    if (steps == 0)
        return;
    unsigned last = f->horizons[f->horizon_count - 1].steps;
    for (uint64_t n = 0; n < steps && n < last; n++) {
        weir_level_skip(&f->level);
        for (unsigned i = 0; i < f->horizon_count; i++)
            weir_horizon_skip(&f->horizons[i], f->now + n);
    }
    f->now += steps;
    if (f->level.seen == 0)
        return;
    /* The newest forecast is that of a step without a value: it is shown, and not learned from. */
    say(f, f->now - 1);
    for (unsigned i = 0; i < f->horizon_count; i++)
        weir_horizon_skip(&f->horizons[i], f->now - 1);
}

struct weir_forecast_point weir_forecast_at(const struct weir_forecast *f, unsigned ahead)
{
    assert(1 <= ahead && ahead <= f->horizons[f->horizon_count - 1].steps);
    unsigned i = 0;
    while (f->horizons[i].steps < ahead)
        i++;
    const struct weir_horizon *after = &f->horizons[i];
    if (after->steps == ahead || f->level.seen == 0)
        return (struct weir_forecast_point){after->mid, after->high};
    const struct weir_horizon *before = &f->horizons[i - 1];
    double share = (double)(ahead - before->steps) / (after->steps - before->steps), mid = 0;
    double said[WEIR_HORIZON_PREDICTORS_MAX];
    unsigned count = predict(f, ahead, said);
    for (unsigned j = 0; j < count; j++)
        mid += fmax(said[j], 0) * ((1 - share) * before->weights[j] + share * after->weights[j]);
    double band = (1 - share) * (before->high - before->mid) + share * (after->high - after->mid);
    return (struct weir_forecast_point){mid, mid + band};
}

uint64_t weir_forecast_seen(const struct weir_forecast *f)
{
    return f->level.seen;
}
