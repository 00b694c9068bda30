#include "core/affinity.h"

#include <stdlib.h>

#include "core/arena.h"
#include "core/config_check.h"
#include "core/hash.h"

enum kind { HEADER, COOKIE, JSON, API_KEY, ADDRESS };

struct source {
    enum kind kind;
    struct weir_str text, name; /* name: the text's end, or empty */
    uint64_t seed;
};

struct weir_affinity {
    struct weir_arena arena;
    uint32_t count;
    struct source sources[WEIR_AFFINITY_SOURCES_MAX];
};

/* -- the list -- */

/* text: writable, checked. */
static struct source source_of(char *text, size_t len)
{
    static const struct {
        enum kind kind;
        struct weir_str prefix;
    } kinds[] = {{HEADER, {"header:", 7}}, {COOKIE, {"cookie:", 7}}, {JSON, {"json:", 5}}, {API_KEY, {"api_key", 7}}};
    struct source s = {.kind = ADDRESS, .text = {text, len}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (weir_str_starts(s.text, kinds[i].prefix)) {
            s.kind = kinds[i].kind;
            s.name = (struct weir_str){text + kinds[i].prefix.len, len - kinds[i].prefix.len};
        }
    for (size_t i = 0; s.kind == HEADER && i < len; i++)
        text[i] = weir_lower(text[i]);
    s.seed = weir_hash64(text, len, 0);
    return s;
}

static int add(struct weir_affinity *a, const char *text, struct weir_err *err)
{
    const char *wrong = weir_config_check_affinity(text);
    if (wrong != NULL)
        return weir_err_set(err, WEIR_EINVAL, "affinity key %.64s: %s", text, wrong);
    size_t len = strlen(text);
    char *copy = weir_arena_bytes(&a->arena, len);
    if (copy == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "affinity keys: %s", weir_err_text(WEIR_ENOMEM));
    memcpy(copy, text, len);
    struct source s = source_of(copy, len);
    uint32_t json = s.kind == JSON;
    for (uint32_t i = 0; i < a->count; i++) {
        if (weir_str_eq(a->sources[i].text, s.text))
            return WEIR_OK;
        json += a->sources[i].kind == JSON;
    }
    if (a->count == WEIR_AFFINITY_SOURCES_MAX || json > WEIR_AFFINITY_JSON_MAX)
        return weir_err_set(err, WEIR_ELIMIT, "affinity keys: more than %u, or %u of the body",
                            WEIR_AFFINITY_SOURCES_MAX, WEIR_AFFINITY_JSON_MAX);
    a->sources[a->count++] = s;
    return WEIR_OK;
}

int weir_affinity_new(struct weir_affinity **out, const char *const *texts, size_t count, struct weir_err *err)
{
    struct weir_affinity *a = calloc(1, sizeof *a);
    *out = NULL;
    if (a == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "affinity keys: %s", weir_err_text(WEIR_ENOMEM));
    for (size_t i = 0; i < count; i++) {
        int code = add(a, texts[i], err);
        if (code != WEIR_OK) {
            weir_affinity_free(&a);
            return code;
        }
    }
    *out = a;
    return WEIR_OK;
}

void weir_affinity_free(struct weir_affinity **a)
{
    if (*a != NULL)
        weir_arena_reset(&(*a)->arena);
    free(*a);
    *a = NULL;
}

/* -- a request's head -- */

static struct weir_str header_value(const struct weir_fields *fields, struct weir_str name)
{
    for (size_t i = 0; i < fields->count; i++) {
        struct weir_str value = weir_str_trim(fields->at[i].value);
        if (value.len > 0 && weir_str_eq(fields->at[i].name, name))
            return value;
    }
    return (struct weir_str){NULL, 0};
}

/* Of one cookie field: pairs with semicolons between them. */
static struct weir_str cookie_in(struct weir_str field, struct weir_str name)
{
    while (field.len > 0) {
        const char *semicolon = memchr(field.ptr, ';', field.len);
        struct weir_str pair = {field.ptr, semicolon != NULL ? (size_t)(semicolon - field.ptr) : field.len};
        size_t gone = pair.len + (semicolon != NULL);
        field = (struct weir_str){field.ptr + gone, field.len - gone};
        const char *equals = pair.len > 0 ? memchr(pair.ptr, '=', pair.len) : NULL;
        if (equals == NULL)
            continue;
        struct weir_str key = {pair.ptr, (size_t)(equals - pair.ptr)};
        struct weir_str value = weir_str_trim((struct weir_str){equals + 1, pair.len - key.len - 1});
        if (value.len > 0 && weir_str_eq(weir_str_trim(key), name))
            return value;
    }
    return (struct weir_str){NULL, 0};
}

/* HTTP/2 may bring each cookie in a field of its own (RFC 9113 section 8.2.3). */
static struct weir_str cookie_value(const struct weir_fields *fields, struct weir_str name)
{
    struct weir_str value = {NULL, 0};
    for (size_t i = 0; i < fields->count && value.len == 0; i++)
        if (fields->at[i].id == WEIR_FIELD_COOKIE)
            value = cookie_in(fields->at[i].value, name);
    return value;
}

static struct weir_str api_key(const struct weir_fields *fields)
{
    static const struct weir_str bearer = {"bearer ", 7};
    const struct weir_field *f = weir_fields_get(fields, WEIR_FIELD_AUTHORIZATION);
    if (f != NULL) {
        struct weir_str value = weir_str_trim(f->value);
        struct weir_str scheme = {value.ptr, value.len < bearer.len ? value.len : bearer.len};
        if (weir_str_eq_nocase(scheme, bearer))
            return weir_str_trim((struct weir_str){value.ptr + bearer.len, value.len - bearer.len});
    }
    f = weir_fields_get(fields, WEIR_FIELD_X_API_KEY);
    return f != NULL ? weir_str_trim(f->value) : (struct weir_str){NULL, 0};
}

static struct weir_str head_value(const struct source *s, const struct weir_fields *fields, struct weir_str address)
{
    switch (s->kind) {
    case HEADER:
        return header_value(fields, s->name);
    case COOKIE:
        return cookie_value(fields, s->name);
    case API_KEY:
        return api_key(fields);
    case ADDRESS:
        return address;
    default:
        return (struct weir_str){NULL, 0};
    }
}

static struct weir_affinity_key key_of(const struct source *s, struct weir_str value)
{
    return (struct weir_affinity_key){.there = true, .hash = weir_hash64_str(value, s->seed), .source = s->text};
}

/* -- its body -- */

/* application/json, or application/vnd.something+json, with or without parameters; or nothing said of it. */
static bool may_be_json(const struct weir_fields *fields)
{
    const struct weir_field *type = weir_fields_get(fields, WEIR_FIELD_CONTENT_TYPE);
    if (weir_fields_get(fields, WEIR_FIELD_CONTENT_ENCODING) != NULL)
        return false;
    if (type == NULL)
        return true;
    struct weir_str media = type->value;
    const char *parameters = media.len > 0 ? memchr(media.ptr, ';', media.len) : NULL;
    if (parameters != NULL)
        media.len = (size_t)(parameters - media.ptr);
    media = weir_str_trim(media);
    struct weir_str end = {media.ptr + media.len - 4, 4};
    return media.len > 5 && weir_str_eq_nocase(end, WEIR_STR("json")) && (end.ptr[-1] == '/' || end.ptr[-1] == '+');
}

bool weir_affinity_begin(struct weir_affinity_search *s, const struct weir_affinity *list,
                         const struct weir_fields *fields, struct weir_str address, size_t body_bytes_max)
{
    s->list = list;
    s->head = (struct weir_affinity_key){0};
    s->want_count = 0;
    bool body = body_bytes_max > 0 && may_be_json(fields);
    for (uint32_t i = 0; i < list->count && !s->head.there; i++) {
        const struct source *source = &list->sources[i];
        if (source->kind == JSON) {
            s->source_of[s->want_count] = (uint8_t)i;
            s->wants[s->want_count].name = source->name;
            s->want_count += body;
            continue;
        }
        struct weir_str value = head_value(source, fields, address);
        if (value.len > 0)
            s->head = key_of(source, value);
    }
    if (s->want_count > 0)
        weir_json_peek_init(&s->peek, s->wants, s->want_count, body_bytes_max);
    return s->want_count == 0;
}

bool weir_affinity_body(struct weir_affinity_search *s, struct weir_str piece)
{
    if (s->want_count == 0 || weir_json_peek_feed(&s->peek, piece) != WEIR_JSON_MORE)
        return true;
    for (uint32_t i = 0; i < s->want_count && s->wants[i].state != WEIR_JSON_UNSEEN; i++)
        if (s->wants[i].state == WEIR_JSON_TAKEN && s->wants[i].len > 0)
            return true; /* none that comes first can appear any more */
    return false;
}

struct weir_affinity_key weir_affinity_end(const struct weir_affinity_search *s)
{
    for (uint32_t i = 0; i < s->want_count; i++)
        if (s->wants[i].state == WEIR_JSON_TAKEN && s->wants[i].len > 0)
            return key_of(&s->list->sources[s->source_of[i]], (struct weir_str){s->wants[i].value, s->wants[i].len});
    return s->head;
}
