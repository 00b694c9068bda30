#include "core/accept_encoding.h"

struct weir_str weir_coding_name(enum weir_coding c)
{
#define NAME(id, name) [WEIR_CODING_##id] = {name, sizeof(name) - 1},
    static const struct weir_str names[WEIR_CODING_COUNT] = {WEIR_CODING_MAP(NAME)};
#undef NAME
    return names[c];
}

/* -- what the client accepts -- */

#define WEIGHT_MAX 1000
#define UNSAID     (-1)

/* A qvalue in thousandths (RFC 9110 12.4.2); -1: not one. */
static int weight_of(struct weir_str v)
{
    if (v.len == 0 || v.len > 5 || (v.ptr[0] != '0' && v.ptr[0] != '1') || (v.len > 1 && v.ptr[1] != '.'))
        return -1;
    int weight = v.ptr[0] == '1' ? WEIGHT_MAX : 0, unit = 100;
    for (size_t i = 2; i < v.len; i++, unit /= 10) {
        if (v.ptr[i] < '0' || v.ptr[i] > '9')
            return -1;
        weight += unit * (v.ptr[i] - '0');
    }
    return weight <= WEIGHT_MAX ? weight : -1;
}

/* Splits `coding;q=0.5`. What cannot be read has the weight 0. */
static struct weir_str read_element(struct weir_str item, int *weight)
{
    const char *semicolon = memchr(item.ptr, ';', item.len);
    *weight = WEIGHT_MAX;
    if (semicolon == NULL)
        return item;
    size_t n = (size_t)(semicolon - item.ptr);
    struct weir_str rest = weir_str_trim((struct weir_str){semicolon + 1, item.len - n - 1});
    *weight = rest.len >= 2 && weir_lower(rest.ptr[0]) == 'q' && rest.ptr[1] == '='
                  ? weight_of((struct weir_str){rest.ptr + 2, rest.len - 2})
                  : -1;
    if (*weight < 0)
        *weight = 0;
    return weir_str_trim((struct weir_str){item.ptr, n});
}

struct wish {
    int weight[WEIR_CODING_COUNT]; /* UNSAID: not named */
    int others;                    /* of "*" */
};

static void take_element(struct wish *w, struct weir_str item)
{
    int weight;
    struct weir_str name = read_element(item, &weight);
    if (weir_str_eq(name, WEIR_STR("*"))) {
        w->others = weight;
        return;
    }
    if (weir_str_eq_nocase(name, WEIR_STR("x-gzip")))
        name = weir_coding_name(WEIR_CODING_GZIP); /* RFC 9110 8.4.1.3 */
    for (unsigned c = 0; c < WEIR_CODING_COUNT; c++)
        if (weir_str_eq_nocase(name, weir_coding_name(c)) && weight > w->weight[c])
            w->weight[c] = weight;
}

enum weir_coding weir_accept_encoding_choose(const struct weir_fields *request, unsigned offered)
{
    struct wish w = {.others = UNSAID};
    for (unsigned c = 0; c < WEIR_CODING_COUNT; c++)
        w.weight[c] = UNSAID;
    for (size_t i = 0; i < request->count; i++) {
        struct weir_str list = request->at[i].value, item;
        if (request->at[i].id != WEIR_FIELD_ACCEPT_ENCODING)
            continue;
        while (weir_str_next_item(&list, &item))
            take_element(&w, item);
    }
    /* Identity unnamed is accepted, and liked least of all. */
    enum weir_coding best = WEIR_CODING_IDENTITY;
    int best_weight = w.weight[WEIR_CODING_IDENTITY] > 0 ? w.weight[WEIR_CODING_IDENTITY] : 0;
    for (unsigned c = WEIR_CODING_IDENTITY + 1; c < WEIR_CODING_COUNT; c++) {
        int weight = w.weight[c] != UNSAID ? w.weight[c] : w.others;
        bool better = best == WEIR_CODING_IDENTITY ? weight > 0 && weight >= best_weight : weight > best_weight;
        if ((offered & 1u << c) == 0 || !better)
            continue;
        best = c;
        best_weight = weight;
    }
    return best;
}

/* -- which answers -- */

static bool has_token(const struct weir_fields *f, enum weir_field_id id, struct weir_str name, struct weir_str token)
{
    for (size_t i = 0; i < f->count; i++) {
        bool it = id != WEIR_FIELD_OTHER ? f->at[i].id == id : weir_str_eq(f->at[i].name, name);
        struct weir_str list = f->at[i].value, item;
        while (it && weir_str_next_item(&list, &item))
            if (weir_str_eq_nocase(item, token))
                return true;
    }
    return false;
}

static bool starts_nocase(struct weir_str s, struct weir_str prefix)
{
    return s.len >= prefix.len && weir_str_eq_nocase((struct weir_str){s.ptr, prefix.len}, prefix);
}

static bool ends_nocase(struct weir_str s, struct weir_str suffix)
{
    return s.len >= suffix.len && weir_str_eq_nocase((struct weir_str){s.ptr + s.len - suffix.len, suffix.len}, suffix);
}

/* The media type without its parameters; empty when there is none, or more than one. */
static struct weir_str media_type(const struct weir_fields *f)
{
    struct weir_str v = {NULL, 0};
    for (size_t i = 0; i < f->count; i++) {
        if (f->at[i].id != WEIR_FIELD_CONTENT_TYPE)
            continue;
        if (v.ptr != NULL)
            return (struct weir_str){NULL, 0};
        v = f->at[i].value;
    }
    const char *semicolon = v.len > 0 ? memchr(v.ptr, ';', v.len) : NULL;
    if (semicolon != NULL)
        v.len = (size_t)(semicolon - v.ptr);
    return v.len > 0 ? weir_str_trim(v) : v;
}

static bool is_event_stream(struct weir_str type)
{
    return weir_str_eq_nocase(type, WEIR_STR("text/event-stream"));
}

static bool shrinks(struct weir_str type)
{
    static const char *const exact[] = {"application/json",       "application/x-ndjson", "application/ndjson",
                                        "application/jsonl",      "application/json-seq", "application/xml",
                                        "application/javascript", "application/yaml",     NULL};
    if (starts_nocase(type, WEIR_STR("text/")) || ends_nocase(type, WEIR_STR("+json")) ||
        ends_nocase(type, WEIR_STR("+xml")))
        return true;
    for (size_t i = 0; exact[i] != NULL; i++)
        if (weir_str_eq_nocase(type, weir_str_of(exact[i])))
            return true;
    return false;
}

enum weir_coding_word weir_coding_decide(const struct weir_coding_sight *s)
{
    struct weir_str type = media_type(s->fields);
    bool fit = s->has_body && s->status >= 200 && s->status != 204 && s->status != 206 && s->status != 304;
    bool events = is_event_stream(type);
    if (!fit || !shrinks(type) || (events && !s->event_streams))
        return WEIR_CODING_NEVER;
    if (s->content_length >= 0 && s->content_length < WEIR_CODING_LENGTH_MIN)
        return WEIR_CODING_NEVER;
    if (weir_fields_get(s->fields, WEIR_FIELD_CONTENT_ENCODING) != NULL ||
        weir_fields_find(s->fields, WEIR_STR("content-range")) != NULL)
        return WEIR_CODING_NEVER;
    if (has_token(s->fields, WEIR_FIELD_CACHE_CONTROL, WEIR_STR("cache-control"), WEIR_STR("no-transform")))
        return WEIR_CODING_NEVER;
    if (events)
        return WEIR_CODING_EVENTS;
    return s->content_length < 0 ? WEIR_CODING_STREAM : WEIR_CODING_WHOLE;
}

/* -- what the answer says then -- */

static bool add_vary(struct weir_fields *f, struct weir_arena *a)
{
    const struct weir_str vary = WEIR_STR("vary"), name = WEIR_STR("accept-encoding");
    if (has_token(f, WEIR_FIELD_OTHER, vary, WEIR_STR("*")) || has_token(f, WEIR_FIELD_OTHER, vary, name))
        return true;
    return weir_fields_add(f, a, vary, name);
}

/* RFC 9110 8.8.3: a strong one promises the same bytes. */
static bool weaken_etag(struct weir_fields *f, struct weir_arena *a)
{
    for (size_t i = 0; i < f->count; i++) {
        if (!weir_str_eq(f->at[i].name, WEIR_STR("etag")) || weir_str_starts(f->at[i].value, WEIR_STR("W/")))
            continue;
        const struct weir_str parts[] = {WEIR_STR("W/"), f->at[i].value};
        f->at[i].value = weir_arena_join(a, parts, 2);
        if (f->at[i].value.ptr == NULL)
            return false;
    }
    return true;
}

bool weir_coding_mark(struct weir_fields *f, struct weir_arena *a, enum weir_coding c)
{
    static const char *const stale[] = {"content-length", "content-md5", "content-digest", "repr-digest", "digest",
                                        "accept-ranges",  NULL};
    if (!add_vary(f, a))
        return false;
    if (c == WEIR_CODING_IDENTITY)
        return true;
    for (size_t i = 0; stale[i] != NULL; i++)
        weir_fields_drop_name(f, weir_str_of(stale[i]));
    return weaken_etag(f, a) && weir_fields_add_id(f, a, WEIR_FIELD_CONTENT_ENCODING, weir_coding_name(c));
}

/* -- events -- */

size_t weir_event_scan(struct weir_event_scan *s, const uint8_t *p, size_t n)
{
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
        bool line_end = p[i] == '\n' || p[i] == '\r';
        if (p[i] != '\n' || !s->cr) { /* else the rest of the line end before it */
            s->event_end = line_end && s->line_empty;
            s->line_empty = line_end;
        }
        s->cr = p[i] == '\r';
        if (s->event_end)
            end = i + 1;
    }
    return end;
}
