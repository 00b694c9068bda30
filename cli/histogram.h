/* How long things took, as people look at it: percentiles, and a picture of the distribution. Pure. Times are kept to
 * two digits, in buckets of equal relative width, whatever their range. */
#ifndef WEIR_CLI_HISTOGRAM_H
#define WEIR_CLI_HISTOGRAM_H

#include <stdint.h>

#include "cli/table.h"

/* Ten buckets each time the value doubles; from 1 us to more than an hour. */
#define CTL_HISTOGRAM_PER_DOUBLING 10u
#define CTL_HISTOGRAM_BUCKETS      (32u * CTL_HISTOGRAM_PER_DOUBLING)

struct ctl_histogram {
    uint64_t count, sum_us, min_us, max_us;
    uint64_t buckets[CTL_HISTOGRAM_BUCKETS];
};

/* All zero is an empty one. */
void ctl_histogram_add(struct ctl_histogram *h, uint64_t us);
/* The time that so large a part (0 to 1) did not exceed; 0: empty. */
uint64_t ctl_histogram_at(const struct ctl_histogram *h, double part);
/* Lines "  1.2 ms  ######  42", from the shortest to the longest. */
void ctl_histogram_show(const struct ctl_histogram *h, struct weir_textbuf *out, const struct ctl_style *style);
/* "850 us", "12.5 ms", "3.2 s". */
#define CTL_TIME_MAX 24
const char *ctl_time(char text[CTL_TIME_MAX], uint64_t us);

#endif
