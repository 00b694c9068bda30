/* What the scripts publish, checked, and the texts that answers have in common with it. */
#include "store/pairs.h"
#include "store/redis_ask.h"

bool weir_redis_phase(struct weir_str text, enum weir_breaker_phase *out)
{
    for (int p = WEIR_BREAKER_CLOSED; p <= WEIR_BREAKER_HALF_OPEN; p++)
        if (weir_str_eq(text, weir_str_of(weir_breaker_phase_text((enum weir_breaker_phase)p)))) {
            *out = (enum weir_breaker_phase)p;
            return true;
        }
    return false;
}

bool weir_redis_circuit(struct weir_coord_circuit *c, struct weir_arena *a, struct weir_str endpoint,
                        struct weir_str record)
{
    char name[WEIR_ENDPOINT_ID_MAX + 1], by[WEIR_NODE_ID_MAX + 1];
    struct weir_str phase;
    const uint64_t max = WEIR_STORE_NUMBER_MAX;
    bool valid = endpoint.len > 0 && weir_word_copy(endpoint, name, sizeof name) &&
                 weir_pairs_text(record, "phase", &phase) && weir_redis_phase(phase, &c->sight.phase) &&
                 weir_pairs_u64(record, "gen", max, &c->sight.gen) &&
                 weir_pairs_u64(record, "open_until_ms", max, &c->sight.open_until_ms) &&
                 weir_pairs_u64(record, "cooldown_until_ms", max, &c->sight.cooldown_until_ms) &&
                 weir_pairs_u64(record, "since_ms", max, &c->since_ms) &&
                 weir_pairs_u64(record, "version", max, &c->version) && weir_pairs_copy(record, "by", by, sizeof by);
    if (!valid)
        return false;
    c->endpoint = weir_arena_dup(a, weir_str_of(name)).ptr;
    c->by = weir_arena_dup(a, weir_str_of(by)).ptr;
    return c->endpoint != NULL && c->by != NULL;
}

/* Takes the next word off the text; what follows its space is left. */
static struct weir_str next_word(struct weir_str *text)
{
    const char *space = text->len > 0 ? memchr(text->ptr, ' ', text->len) : NULL;
    struct weir_str word = {text->ptr, space != NULL ? (size_t)(space - text->ptr) : text->len};
    size_t taken = word.len + (space != NULL);
    text->ptr += taken;
    text->len -= taken;
    return word;
}

static bool read_number(struct weir_str word, uint64_t *out)
{
    return weir_str_to_u64(word, out) && *out <= WEIR_STORE_NUMBER_MAX;
}

static bool is_line(struct weir_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ')
            return false;
    return true;
}

static bool read_checked(struct weir_coord_checked *c, struct weir_arena *a, struct weir_str text)
{
    char word[WEIR_ENDPOINT_ID_MAX + 1];
    struct weir_str endpoint = next_word(&text), node = next_word(&text), passed = next_word(&text);
    if (endpoint.len == 0 || !weir_word_copy(endpoint, word, sizeof word) || !weir_coord_id_valid(node) ||
        text.len > WEIR_COORD_EVENT_MAX || !is_line(text))
        return false;
    c->passed = weir_str_eq(passed, WEIR_STR("1"));
    c->endpoint = weir_arena_dup(a, endpoint).ptr;
    c->node = weir_arena_dup(a, node).ptr;
    c->why = weir_arena_dup(a, text).ptr;
    return (c->passed || weir_str_eq(passed, WEIR_STR("0"))) && c->endpoint != NULL && c->node != NULL &&
           c->why != NULL;
}

bool weir_redis_push(struct weir_coord_push *push, struct weir_arena *a, struct weir_str message)
{
    *push = (struct weir_coord_push){.kind = WEIR_COORD_PUSH_MEMBERS};
    struct weir_str kind = next_word(&message);
    if (!read_number(next_word(&message), &push->now_us))
        return false;
    if (weir_str_eq(kind, WEIR_STR("members")))
        return read_number(message, &push->members_version);
    if (weir_str_eq(kind, WEIR_STR("map"))) {
        push->kind = WEIR_COORD_PUSH_MAP;
        return read_number(message, &push->map_epoch);
    }
    if (weir_str_eq(kind, WEIR_STR("hints"))) {
        push->kind = WEIR_COORD_PUSH_HINTS;
        return read_number(message, &push->advice_version);
    }
    if (weir_str_eq(kind, WEIR_STR("circuit"))) {
        push->kind = WEIR_COORD_PUSH_CIRCUIT;
        struct weir_str endpoint = next_word(&message);
        return weir_redis_circuit(&push->circuit, a, endpoint, message);
    }
    if (weir_str_eq(kind, WEIR_STR("checked"))) {
        push->kind = WEIR_COORD_PUSH_CHECKED;
        return read_checked(&push->checked, a, message);
    }
    push->kind = WEIR_COORD_PUSH_EVENT;
    push->event = message;
    return weir_str_eq(kind, WEIR_STR("event")) && weir_coord_is_object(message);
}
