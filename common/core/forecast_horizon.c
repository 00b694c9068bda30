#include "core/forecast_horizon.h"

#include <assert.h>
#include <math.h>

#define HIGH 0.9
/* The share of values above the band that the correction steers to. A little under 0.1, since it steers after the fact:
 * while the load grows the band is late. */
#define MISSES 0.094
/* How far one miss moves the band, in usual errors, one step ahead; less further ahead, where what was said between a
 * miss and its notice misses, too, and misses come in runs. */
#define COVER_GAIN      0.05
#define COVER_GAIN_FALL 0.7
#define COVER_MAX       20.0
/* The share of the newest in the usual error. */
#define USUAL_SHARE 0.02
/* Gains are remembered this many steps, and four times the horizon more. */
#define MEMORY_STEPS 1000.0
/* A predictor's quantile moves by this many usual errors at the first error, less and less later, down to the floor. */
#define QUANTILE_GAIN  3.0
#define QUANTILE_FIRST 20.0
#define QUANTILE_FLOOR 0.002
/* How much the best of the plain means is favoured before there is evidence (a weight of e^4 to 1). */
#define FAVOUR 4.0
/* A window takes one error in this part of the horizon: neighbours say nearly the same. */
#define WINDOW_PARTS 4u
/* The band in proportion to the load has this share of the usual load besides, so that a small load does not vanish. */
#define PROPORTION_BASE 0.1
#define TINY            1e-9
/* No error counts as more than this many times what it is in proportion to: where there was no load, and then there is
 * some, the proportion says nothing. */
#define PROPORTION_MAX 10.0

void weir_horizon_init(struct weir_horizon *h, unsigned steps, struct weir_horizon_row *rows)
{
    assert(steps > 0);
    *h = (struct weir_horizon){.steps = steps, .rows = rows};
}

/* Errors of neighbouring steps are those of nearly the same future: they count as independent ones only so far. */
static double rate_of(const struct weir_horizon *h)
{
    return 1 / sqrt((double)h->steps);
}

static void learn_quantiles(struct weir_horizon *h, const struct weir_horizon_row *row, double value, double unit)
{
    for (unsigned i = 0; i < row->predictors; i++) {
        double step = fmax(1 / (QUANTILE_FIRST + h->quantile_steps[i]), QUANTILE_FLOOR);
        if (h->quantile_steps[i] < UINT32_MAX)
            h->quantile_steps[i]++;
        double above = value - (double)row->said[i] > h->quantiles[i] ? 1 : 0;
        h->quantiles[i] += QUANTILE_GAIN * unit * step * (above - (1 - HIGH));
    }
}

void weir_horizon_learn(struct weir_horizon *h, uint64_t at, double value)
{
    const struct weir_horizon_row *row = &h->rows[at % h->steps];
    if (row->predictors == 0)
        return;
    double mid = (double)row->mid, mixed = (double)row->mixed_high, error = value - mid;
    double unit = fmax(h->usual_error, TINY), kept = 1 - 1 / (MEMORY_STEPS + 4.0 * h->steps);
    weir_mix_learn(&h->mid_mix, row->predictors, row->said, mid, error > 0 ? -1 : error < 0 ? 1 : 0, unit, kept);
    weir_mix_learn(&h->high_mix, row->predictors + WEIR_HORIZON_WINDOWS, row->bands, mixed,
                   value > mixed ? -HIGH : 1 - HIGH, unit, kept);
    learn_quantiles(h, row, value, unit);
    if (at % (1 + h->steps / WINDOW_PARTS) == 0) {
        weir_errors_add(&h->windows[0], error);
        weir_errors_add(&h->windows[1], fmin(error / (double)row->proportion, PROPORTION_MAX));
    }
    double gain = COVER_GAIN * pow(h->steps, -COVER_GAIN_FALL);
    h->cover += gain * ((value > (double)row->high ? 1 : 0) - MISSES);
    h->cover = fmin(fmax(h->cover, -COVER_MAX), COVER_MAX);
    h->usual_error += (h->scored == 0 ? 1 : USUAL_SHARE) * (fabs(error) - h->usual_error);
    h->scored++;
}

static double mixture(unsigned count, const double *weights, const float *said)
{
    double sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += weights[i] * (double)said[i];
    return sum;
}

void weir_horizon_say(struct weir_horizon *h, uint64_t at, unsigned count, const double *said, unsigned best,
                      double base, double band_before)
{
    assert(best < count && count <= WEIR_HORIZON_PREDICTORS_MAX);
    struct weir_horizon_row *row = &h->rows[at % h->steps];
    for (unsigned i = 0; i < count; i++)
        row->said[i] = (float)fmax(said[i], 0);
    weir_mix_weights(&h->mid_mix, count, rate_of(h), 0, 0, h->weights);
    double mid = mixture(count, h->weights, row->said), proportion = mid + PROPORTION_BASE * base + TINY;
    row->bands[0] = (float)fmax(mid + weir_errors_quantile(&h->windows[0], HIGH), 0);
    row->bands[1] = (float)fmax(mid + proportion * weir_errors_quantile(&h->windows[1], HIGH), 0);
    for (unsigned i = 0; i < count; i++)
        row->bands[WEIR_HORIZON_WINDOWS + i] = (float)fmax((double)row->said[i] + h->quantiles[i], 0);
    double weights[WEIR_HORIZON_BANDS_MAX];
    weir_mix_weights(&h->high_mix, count + WEIR_HORIZON_WINDOWS, rate_of(h), WEIR_HORIZON_WINDOWS + best, FAVOUR,
                     weights);
    double mixed = mixture(count + WEIR_HORIZON_WINDOWS, weights, row->bands);
    h->mid = mid;
    h->high = fmax(h->scored == 0 ? mid + band_before : mixed + h->cover * h->usual_error, mid);
    row->predictors = count;
    row->mid = (float)mid;
    row->mixed_high = (float)mixed;
    row->high = (float)h->high;
    row->proportion = (float)proportion;
}

void weir_horizon_skip(struct weir_horizon *h, uint64_t at)
{
    h->rows[at % h->steps].predictors = 0;
}
