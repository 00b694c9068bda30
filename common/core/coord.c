#include "core/coord.h"

#include <assert.h>

#include "core/hash.h"

#define NODE_NUMBER_MASK ((UINT64_C(1) << 53) - 1)

const char *weir_coord_node_state_text(enum weir_coord_node_state s)
{
    return s == WEIR_NODE_JOINING ? "joining" : s == WEIR_NODE_ACTIVE ? "active" : "draining";
}

const char *weir_coord_op_text(enum weir_coord_op op)
{
#define NAME(id, name) name,
    static const char *const names[] = {WEIR_COORD_OP_MAP(NAME)};
#undef NAME
    assert(op < WEIR_COORD_OPS);
    return names[op];
}

const char *weir_coord_word_text(enum weir_coord_word w)
{
    static const char *const texts[] = {
        [WEIR_COORD_OK] = "ok",
        [WEIR_COORD_AWAY] = "away",
        [WEIR_COORD_REFUSED] = "refused",
        [WEIR_COORD_SCHEMA_NEWER] = "schema_newer",
        [WEIR_COORD_ID_TAKEN] = "id_taken",
        [WEIR_COORD_STALE] = "stale",
    };
    assert((size_t)w < sizeof texts / sizeof texts[0]);
    return texts[w];
}

uint32_t weir_coord_series_max(uint32_t step)
{
    static const uint32_t max[WEIR_COORD_STEPS] = {WEIR_COORD_SERIES_0_MAX, WEIR_COORD_SERIES_1_MAX,
                                                   WEIR_COORD_SERIES_2_MAX};
    assert(step < WEIR_COORD_STEPS);
    return max[step];
}

uint64_t weir_coord_node_number(const char *id)
{
    uint64_t number = weir_hash64_str(weir_str_of(id), 0) & NODE_NUMBER_MASK;
    return number != 0 ? number : 1;
}

bool weir_coord_id_valid(struct weir_str id)
{
    if (id.len == 0 || id.len > WEIR_NODE_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!word && (c == '\0' || strchr("._:-[]", c) == NULL))
            return false;
    }
    return true;
}
