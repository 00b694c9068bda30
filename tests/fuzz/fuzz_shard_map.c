/* A text is refused with a sentence, or it is the one text of the map that it gives, and every shard has an owner. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/shard_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_map(const struct weir_shard_map *m)
{
    uint32_t owned = 0;
    assert(m->shard_count >= 1 && m->shard_count <= WEIR_SHARDS_MAX);
    assert(m->node_count >= 1 && m->node_count <= WEIR_CLUSTER_NODES_MAX);
    for (uint32_t s = 0; s < m->shard_count; s++)
        assert(m->owner[s] < m->node_count);
    for (uint32_t i = 0; i < m->node_count; i++) {
        assert(weir_shard_map_find(m, weir_str_of(m->nodes[i].id)) == i);
        owned += m->nodes[i].shard_count;
    }
    assert(owned == m->shard_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_shard_map *m;
    struct weir_err err;
    char *copy = malloc(size > 0 ? size : 1); /* of exactly this size, so that the sanitizer sees a byte too far */
    assert(copy != NULL);
    memcpy(copy, data, size);
    int code = weir_shard_map_parse(&m, (struct weir_str){copy, size}, &err);
    if (code == WEIR_OK) {
        struct weir_textbuf out;
        check_map(m);
        weir_textbuf_init(&out, WEIR_SHARD_MAP_TEXT_MAX);
        weir_shard_map_print(&out, m);
        assert(!out.failed && out.len == size && memcmp(out.ptr, copy, size) == 0);
        weir_textbuf_close(&out);
        weir_shard_map_free(&m);
    } else {
        assert(code == WEIR_EPROTO && m == NULL && err.msg[0] != '\0');
    }
    free(copy);
    return 0;
}
