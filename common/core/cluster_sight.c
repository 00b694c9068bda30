#include "core/cluster_sight.h"

#include <stdlib.h>
#include <string.h>

void weir_cluster_sight_init(struct weir_cluster_sight *s)
{
    *s = (struct weir_cluster_sight){0};
}

void weir_cluster_sight_close(struct weir_cluster_sight *s)
{
    free(s->peers);
    free(s->owner);
    *s = (struct weir_cluster_sight){0};
}

int weir_cluster_sight_copy(struct weir_cluster_sight *to, const struct weir_cluster_sight *from, struct weir_err *err)
{
    weir_cluster_sight_close(to);
    struct weir_cluster_peer *peers = calloc(from->peer_count > 0 ? from->peer_count : 1, sizeof *peers);
    uint16_t *owner = calloc(from->shard_count > 0 ? from->shard_count : 1, sizeof *owner);
    if (peers == NULL || owner == NULL) {
        free(peers);
        free(owner);
        return weir_err_set(err, WEIR_ENOMEM, "what is known of the cluster: out of memory");
    }
    *to = *from;
    to->peers = peers;
    to->owner = owner;
    if (from->peer_count > 0)
        memcpy(peers, from->peers, from->peer_count * sizeof *peers);
    if (from->shard_count > 0)
        memcpy(owner, from->owner, from->shard_count * sizeof *owner);
    return 0;
}

static bool same_peer(const struct weir_cluster_peer *a, const struct weir_cluster_peer *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->advertise, b->advertise) == 0 &&
           strcmp(a->version, b->version) == 0 && a->instance == b->instance && a->state == b->state &&
           a->weight == b->weight && a->alive == b->alive && a->suspect == b->suspect;
}

bool weir_cluster_sight_same(const struct weir_cluster_sight *a, const struct weir_cluster_sight *b)
{
    int64_t moved = a->store_offset_ms - b->store_offset_ms;
    bool same = a->contact == b->contact && a->incarnation == b->incarnation && a->self == b->self &&
                a->peer_count == b->peer_count && a->epoch == b->epoch && strcmp(a->leader, b->leader) == 0 &&
                a->shard_count == b->shard_count && strcmp(a->secret, b->secret) == 0 &&
                moved <= WEIR_CLUSTER_OFFSET_SLACK_MS && moved >= -WEIR_CLUSTER_OFFSET_SLACK_MS;
    for (uint32_t i = 0; same && i < a->peer_count; i++)
        same = same_peer(&a->peers[i], &b->peers[i]);
    return same && (a->shard_count == 0 || memcmp(a->owner, b->owner, a->shard_count * sizeof *a->owner) == 0);
}

int weir_cluster_sight_find(const struct weir_cluster_sight *s, const char *id)
{
    uint32_t low = 0, high = s->peer_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(s->peers[middle].id, id);
        if (order == 0)
            return (int)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
