/* A snapshot to show: two providers, three endpoints, no two numbers alike where a mix-up could hide. */
#ifndef WEIR_TEST_HELPER_SNAPSHOT_H
#define WEIR_TEST_HELPER_SNAPSHOT_H

#include "core/snapshot.h"

struct helper_snapshot {
    struct weir_snapshot s;
    struct weir_provider_snapshot providers[2];
    struct weir_endpoint_snapshot openai[2], anthropic[1];
};

/* Everything healthy. The result points into itself. */
void helper_snapshot_fill(struct helper_snapshot *h);

#endif
