#include "core/wrr.h"

int weir_wrr_pick(struct weir_wrr_item *items, unsigned n)
{
    int64_t sum = 0;
    int best = -1;
    for (unsigned i = 0; i < n; i++) {
        if (!items[i].usable || items[i].weight == 0)
            continue;
        items[i].current += items[i].weight;
        sum += items[i].weight;
        if (best < 0 || items[i].current > items[best].current)
            best = (int)i;
    }
    if (best >= 0)
        items[best].current -= sum;
    return best;
}
