/* What a day (or a week) of history shows: the usual load in each part of the period; and predictors that add to it how
 * far the load is from that now, with several memories. Bounded memory whatever the step: a part is as long as it must
 * be. Plain data, pure; a part of core/forecast. */
#ifndef WEIR_CORE_FORECAST_SEASON_H
#define WEIR_CORE_FORECAST_SEASON_H

#include <stdbool.h>
#include <stdint.h>

/* Ten minutes of a day, half an hour of a week. */
#define WEIR_SEASON_DAY_PARTS   144u
#define WEIR_SEASON_WEEK_PARTS  336u
#define WEIR_SEASON_PREDICTIONS 3u

struct weir_season {
    double period;       /* in steps; 0: too few steps for a season, never ready */
    double part_steps;   /* steps in a part, 1 or more */
    unsigned part_count; /* up to WEIR_SEASON_WEEK_PARTS */
    unsigned filled;     /* parts seen at least once */
    unsigned open;       /* the part that values are being added to */
    unsigned open_count; /* of its values so far */
    double open_sum;
    uint64_t away_count;                  /* values since there is a profile */
    double away[WEIR_SEASON_PREDICTIONS]; /* how far the load is above it now */
    float profile[WEIR_SEASON_WEEK_PARTS];
    uint16_t rounds[WEIR_SEASON_WEEK_PARTS]; /* periods that a part was seen in, up to where it counts no further */
};

/* period: in steps, any number above 0. part_count_max: up to WEIR_SEASON_WEEK_PARTS. */
void weir_season_init(struct weir_season *s, double period, unsigned part_count_max);
/* The value of step `at`. Steps may be left out. */
void weir_season_push(struct weir_season *s, uint64_t at, double value);
/* Whether a whole period has been seen when step `at` begins (a tenth of it may be missing). */
bool weir_season_ready(const struct weir_season *s, uint64_t at);
/* What is expected at step `at`. */
void weir_season_predict(const struct weir_season *s, uint64_t at, double out[WEIR_SEASON_PREDICTIONS]);

#endif
