/* The last errors of a forecast, kept sorted, so that any quantile of them is at hand. Plain data, pure; a part of
 * core/forecast. */
#ifndef WEIR_CORE_FORECAST_ERRORS_H
#define WEIR_CORE_FORECAST_ERRORS_H

#define WEIR_ERRORS_MAX 256u

struct weir_errors {
    unsigned count, next;          /* next: where the oldest one is, once it is full */
    float by_age[WEIR_ERRORS_MAX]; /* a ring */
    float by_size[WEIR_ERRORS_MAX];
};

/* Adds a finite error; the oldest one goes when it is full. */
void weir_errors_add(struct weir_errors *e, double error);
/* The q-quantile (0 to 1) of a new error as exchangeable with these: that of count + 1, as conformal prediction takes
 * it (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005); 0 when there is none. */
double weir_errors_quantile(const struct weir_errors *e, double q);

#endif
