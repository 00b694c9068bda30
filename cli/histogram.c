#include "cli/histogram.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LINES_MAX 16u
#define BAR_WIDTH 40u

static unsigned bucket_of(uint64_t us)
{
    double at = us > 1 ? log2((double)us) * CTL_HISTOGRAM_PER_DOUBLING : 0;
    return at < CTL_HISTOGRAM_BUCKETS - 1 ? (unsigned)at : CTL_HISTOGRAM_BUCKETS - 1;
}

/* Where a bucket begins. */
static double bound_of(unsigned bucket)
{
    return exp2((double)bucket / CTL_HISTOGRAM_PER_DOUBLING);
}

void ctl_histogram_add(struct ctl_histogram *h, uint64_t us)
{
    h->min_us = h->count == 0 || us < h->min_us ? us : h->min_us;
    h->max_us = us > h->max_us ? us : h->max_us;
    h->count++;
    h->sum_us += us;
    h->buckets[bucket_of(us)]++;
}

uint64_t ctl_histogram_at(const struct ctl_histogram *h, double part)
{
    uint64_t wanted = (uint64_t)ceil(part * (double)h->count), seen = 0;
    for (unsigned i = 0; i < CTL_HISTOGRAM_BUCKETS && h->count > 0; i++) {
        seen += h->buckets[i];
        if (seen < wanted || seen == 0)
            continue;
        uint64_t upper = (uint64_t)bound_of(i + 1);
        return upper > h->max_us ? h->max_us : upper < h->min_us ? h->min_us : upper;
    }
    return h->max_us;
}

const char *ctl_time(char text[CTL_TIME_MAX], uint64_t us)
{
    if (us < 1000)
        snprintf(text, CTL_TIME_MAX, "%u us", (unsigned)us);
    else if (us < 1000000)
        snprintf(text, CTL_TIME_MAX, us < 10000 ? "%.2f ms" : "%.1f ms", (double)us / 1e3);
    else
        snprintf(text, CTL_TIME_MAX, "%.2f s", (double)us / 1e6);
    return text;
}

void ctl_histogram_show(const struct ctl_histogram *h, struct weir_textbuf *out, const struct ctl_style *style)
{
    static const struct ctl_column columns[] = {{"UP TO", true, false}, {"", false, false}, {"REQUESTS", true, false}};
    unsigned first = bucket_of(h->min_us), last = bucket_of(h->max_us);
    unsigned step = (last - first) / LINES_MAX + 1;
    uint64_t most = 1;
    struct ctl_table t;
    char bar[BAR_WIDTH + 1], text[CTL_TIME_MAX];
    uint64_t sums[LINES_MAX + 1] = {0};
    for (unsigned i = first; i <= last && h->count > 0; i++) {
        sums[(i - first) / step] += h->buckets[i];
        most = sums[(i - first) / step] > most ? sums[(i - first) / step] : most;
    }
    ctl_table_begin(&t, columns, sizeof columns / sizeof columns[0], style);
    for (unsigned line = 0; first + line * step <= last && h->count > 0; line++) {
        unsigned width = (unsigned)((sums[line] * BAR_WIDTH + most - 1) / most);
        uint64_t upper = (uint64_t)bound_of(first + (line + 1) * step);
        memset(bar, '#', width);
        bar[width] = '\0';
        ctl_table_cell(&t, CTL_DIM, "%s", ctl_time(text, upper < h->max_us ? upper : h->max_us));
        ctl_table_cell(&t, CTL_GOOD, "%s", bar);
        ctl_table_cell(&t, CTL_PLAIN, "%llu", (unsigned long long)sums[line]);
    }
    ctl_table_end(&t, out);
}
