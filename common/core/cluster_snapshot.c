#include "core/cluster_snapshot.h"

const char *weir_cluster_limit_mode_text(enum weir_cluster_limit_mode m)
{
    static const char *const text[] = {[WEIR_CLUSTER_LIMIT_LEASED] = "leased",
                                       [WEIR_CLUSTER_LIMIT_DEGRADED] = "degraded",
                                       [WEIR_CLUSTER_LIMIT_CLOSED] = "closed"};
    return text[m];
}
