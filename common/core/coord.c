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

bool weir_coord_is_object(struct weir_str s)
{
    if (s.len < 2 || s.ptr[0] != '{' || s.ptr[s.len - 1] != '}')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ')
            return false;
    return true;
}

bool weir_coord_is_record(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' && s.ptr[i] != '\n')
            return false;
    return s.len > 0 && s.len <= WEIR_COORD_RECORD_MAX;
}

static const char *check_fold(const struct weir_coord_fold *f)
{
    if (f->step >= WEIR_COORD_STEPS || f->step_ms == 0 || f->step_ms > WEIR_COORD_STEP_MS_MAX || f->number == 0)
        return "there is no such point";
    return weir_coord_is_record(f->text) ? NULL : "not a record: text of at most 16384 bytes";
}

const char *weir_coord_check(const struct weir_coord_request *q)
{
    switch (q->op) {
    case WEIR_COORD_PUBLISH:
        return q->publish.map.len <= WEIR_COORD_MAP_MAX ? NULL : "the map is too large";
    case WEIR_COORD_EVENT:
        return q->event.len <= WEIR_COORD_EVENT_MAX && weir_coord_is_object(q->event)
                   ? NULL
                   : "not an event: a JSON object of at most 512 bytes";
    case WEIR_COORD_APPEND:
        return weir_coord_is_record(q->append) ? NULL : "not a record: text of at most 16384 bytes";
    case WEIR_COORD_FOLD:
        return check_fold(&q->fold);
    case WEIR_COORD_SERIES:
        return q->series.step < WEIR_COORD_STEPS ? NULL : "there is no such series";
    case WEIR_COORD_ADVISE:
        if (q->advise.hints.len > WEIR_COORD_HINTS_MAX || !weir_coord_is_object(q->advise.hints))
            return "not hints: a JSON object of at most 65536 bytes";
        return q->advise.analytics.len == 0 || (q->advise.analytics.len <= WEIR_COORD_ANALYTICS_MAX &&
                                                weir_coord_is_object(q->advise.analytics))
                   ? NULL
                   : "not analytics: a JSON object of at most 262144 bytes";
    default:
        return NULL;
    }
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
