#include "core/forecast_season.h"

#include <assert.h>
#include <math.h>

/* A period of fewer steps shows no shape. */
#define PERIOD_MIN 4.0
/* A part of the profile is the plain mean over this many periods, and of that memory afterwards. */
#define ROUNDS_MAX 10u
/* The share of a new value in each memory of how far the load is from the profile. */
static const double shares[WEIR_SEASON_PREDICTIONS] = {0.02, 0.15, 1};

void weir_season_init(struct weir_season *s, double period, unsigned part_count_max)
{
    assert(0 < part_count_max && part_count_max <= WEIR_SEASON_WEEK_PARTS);
    *s = (struct weir_season){0};
    if (period < PERIOD_MIN)
        return;
    s->period = period;
    s->part_count = period < part_count_max ? (unsigned)period : part_count_max;
    s->part_steps = period / s->part_count;
}

bool weir_season_ready(const struct weir_season *s, uint64_t at)
{
    return s->part_count > 0 && (double)at > s->period && s->filled >= s->part_count - s->part_count / 10;
}

/* Between the middles of two parts the profile is a line. */
static double profile_at(const struct weir_season *s, uint64_t at)
{
    double place = fmod((double)at + 0.5, s->period) / s->part_steps - 0.5;
    if (place < 0)
        place += s->part_count;
    unsigned before = (unsigned)place;
    double share = place - before;
    before %= s->part_count;
    unsigned after = (before + 1) % s->part_count;
    return (double)s->profile[before] * (1 - share) + (double)s->profile[after] * share;
}

static void close_part(struct weir_season *s)
{
    if (s->open_count == 0)
        return;
    unsigned i = s->open;
    if (s->rounds[i] == 0)
        s->filled++;
    if (s->rounds[i] < ROUNDS_MAX)
        s->rounds[i]++;
    double mean = s->open_sum / s->open_count;
    s->profile[i] += (float)((mean - (double)s->profile[i]) / s->rounds[i]);
    s->open_count = 0;
    s->open_sum = 0;
}

/* How far the load is above the profile, remembered for longer and shorter: plain means first, from when there is one.
 */
static void learn_away(struct weir_season *s, uint64_t at, double value)
{
    double above = value - profile_at(s, at), first = 1 / (double)++s->away_count;
    for (unsigned i = 0; i < WEIR_SEASON_PREDICTIONS; i++)
        s->away[i] += fmax(shares[i], first) * (above - s->away[i]);
}

void weir_season_push(struct weir_season *s, uint64_t at, double value)
{
    if (s->part_count == 0)
        return;
    if (weir_season_ready(s, at))
        learn_away(s, at, value);
    unsigned part = (unsigned)(fmod((double)at, s->period) / s->part_steps);
    if (part >= s->part_count) /* rounding at the period's end */
        part = s->part_count - 1;
    if (part != s->open) {
        close_part(s);
        /* A part left out that was never seen is as the one before it until it is. */
        for (unsigned i = (s->open + 1) % s->part_count; i != part; i = (i + 1) % s->part_count)
            if (s->rounds[i] == 0)
                s->profile[i] = s->profile[s->open];
        s->open = part;
    }
    s->open_sum += value;
    s->open_count++;
}

void weir_season_predict(const struct weir_season *s, uint64_t at, double out[WEIR_SEASON_PREDICTIONS])
{
    double usual = profile_at(s, at);
    for (unsigned i = 0; i < WEIR_SEASON_PREDICTIONS; i++)
        out[i] = usual + s->away[i];
}
