#include "core/forecast_errors.h"

#include <math.h>
#include <string.h>

/* Where the error is, or would go. */
static unsigned place_of(const struct weir_errors *e, float error)
{
    unsigned low = 0, high = e->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (e->by_size[middle] < error)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void weir_errors_add(struct weir_errors *e, double error)
{
    float added = (float)error;
    if (e->count == WEIR_ERRORS_MAX) {
        unsigned gone = place_of(e, e->by_age[e->next]);
        e->count--;
        memmove(&e->by_size[gone], &e->by_size[gone + 1], (e->count - gone) * sizeof e->by_size[0]);
    }
    unsigned place = place_of(e, added);
    memmove(&e->by_size[place + 1], &e->by_size[place], (e->count - place) * sizeof e->by_size[0]);
    e->by_size[place] = added;
    e->count++;
    e->by_age[e->next] = added;
    e->next = (e->next + 1) % WEIR_ERRORS_MAX;
}

double weir_errors_quantile(const struct weir_errors *e, double q)
{
    if (e->count == 0)
        return 0;
    double place = fmin(fmax(q * (e->count + 1) - 1, 0), e->count - 1);
    unsigned below = (unsigned)place, above = below + 1 < e->count ? below + 1 : below;
    double share = place - below;
    return (double)e->by_size[below] * (1 - share) + (double)e->by_size[above] * share;
}
