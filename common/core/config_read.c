#include "core/config_read.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_check.h"
#include "core/config_value.h"

/* -- reporting -- */

__attribute__((format(printf, 4, 0))) static void report(struct weir_config_reader *r, enum weir_config_level level,
                                                         const json_t *node, const char *fmt, va_list ap)
{
    char sentence[512];
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    weir_config_problems_add(r->problems, level, r->in->file, weir_config_tree_mark(r->tree, node).line, r->path.text,
                             "%s", sentence);
}

void weir_config_fail(struct weir_config_reader *r, const json_t *node, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(r, WEIR_CONFIG_ERROR, node, fmt, ap);
    va_end(ap);
}

__attribute__((format(printf, 3, 4))) static void warn(struct weir_config_reader *r, const json_t *node,
                                                       const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(r, WEIR_CONFIG_WARNING, node, fmt, ap);
    va_end(ap);
}

void weir_config_no_memory(struct weir_config_reader *r)
{
    r->problems->out_of_memory = true;
}

static bool is_secret(const struct weir_config_field *f)
{
    return f->type == WEIR_CONFIG_SECRET || f->type == WEIR_CONFIG_SECRET_URL;
}

/* -- who sets what -- */

static bool same(const struct weir_config_field *f, const void *member, const void *value, const json_t *a,
                 const json_t *b)
{
    if (json_equal(a, b))
        return true;
    return value != NULL && weir_config_type_is_scalar(f->type) && memcmp(member, value, f->size) == 0;
}

bool weir_config_claim(struct weir_config_reader *r, const struct weir_config_field *f, const void *member,
                       const void *value, const json_t *node)
{
    const struct weir_config_origin *other = weir_config_origin_of(r->c, member);
    if (other != NULL && other->layer == r->layer && !same(f, member, value, other->node, node)) {
        weir_config_fail(r, node, "says otherwise than %s in line %u", other->path, other->line);
        return false;
    }
    struct weir_config_origin origin = {.layer = r->layer,
                                        .line = weir_config_tree_mark(r->tree, node).line,
                                        .path = weir_arena_dup(&r->c->arena, weir_str_of(r->path.text)).ptr,
                                        .node = node};
    if (origin.path == NULL || !weir_config_origin_set(r->c->origins, member, false, origin)) {
        weir_config_no_memory(r);
        return false;
    }
    return true;
}

/* A secret and the file that holds it: one of them, and the later layer's. */
static bool claim_from_twin(struct weir_config_reader *r, const struct weir_config_field *f, char *base,
                            const json_t *node)
{
    const char **twin = (const char **)(base + f->twin);
    const struct weir_config_origin *other = weir_config_origin_of(r->c, twin);
    if (other != NULL && other->layer == r->layer) {
        weir_config_fail(r, node, "given beside %s in line %u: one of the two", other->path, other->line);
        return false;
    }
    *twin = NULL;
    return true;
}

/* -- text -- */

static bool is_var_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* Takes the name out of "${NAME}" at text. False: it is none. */
static bool var_parse(const char *text, char *name, size_t cap, size_t *len)
{
    size_t n = 0;
    for (text += 2; is_var_char(text[n], n == 0) && n + 1 < cap; n++)
        name[n] = text[n];
    name[n] = '\0';
    *len = n + 3;
    return n > 0 && text[n] == '}';
}

/* One piece of a text: up to the next variable, or the variable's value. False: reported. */
static bool piece_next(struct weir_config_reader *r, const json_t *node, const char **at, struct weir_str *piece)
{
    const char *text = *at;
    const char *dollar = strstr(text, "${");
    if (dollar == NULL) {
        *piece = weir_str_of(text);
        *at += piece->len;
        return true;
    }
    /* $${ stands for ${ itself. */
    if (dollar > text && dollar[-1] == '$') {
        *piece = (struct weir_str){text, (size_t)(dollar - text) - 1};
        if (piece->len == 0) {
            *piece = WEIR_STR("${");
            *at = dollar + 2;
        } else {
            *at = dollar - 1;
        }
        return true;
    }
    if (dollar > text) {
        *piece = (struct weir_str){text, (size_t)(dollar - text)};
        *at = dollar;
        return true;
    }
    char name[128];
    size_t len;
    if (!var_parse(text, name, sizeof name, &len)) {
        weir_config_fail(r, node, "holds ${ that begins no variable: ${NAME}, or $${ for the characters themselves");
        return false;
    }
    const char *value = r->in->getenv != NULL ? r->in->getenv(r->in->arg, name) : NULL;
    if (value == NULL) {
        weir_config_fail(r, node, "the environment variable %s is not set", name);
        return false;
    }
    *piece = weir_str_of(value);
    *at += len;
    return true;
}

struct text {
    char *at;
    size_t len, cap;
};

static bool text_append(struct weir_config_reader *r, const json_t *node, struct text *t, struct weir_str piece)
{
    r->expanded_bytes += piece.len;
    if (r->expanded_bytes > WEIR_CONFIG_EXPANDED_BYTES_MAX) {
        weir_config_fail(r, node, "too long once the variables are filled in");
        return false;
    }
    if (t->cap - t->len <= piece.len) {
        size_t cap = 2 * (t->cap + piece.len) + 64;
        char *at = realloc(t->at, cap);
        if (at == NULL) {
            weir_config_no_memory(r);
            return false;
        }
        t->at = at;
        t->cap = cap;
    }
    if (piece.len > 0)
        memcpy(t->at + t->len, piece.ptr, piece.len);
    t->len += piece.len;
    return true;
}

static const char *expand(struct weir_config_reader *r, const json_t *node, const char *text)
{
    struct text whole = {0};
    const char *kept = NULL;
    while (*text != '\0') {
        struct weir_str piece;
        if (!piece_next(r, node, &text, &piece) || !text_append(r, node, &whole, piece))
            goto out;
    }
    kept = weir_arena_dup(&r->c->arena, (struct weir_str){whole.at, whole.len}).ptr;
    if (kept == NULL)
        weir_config_no_memory(r);
out:
    free(whole.at);
    return kept;
}

static const char *shape_of(const json_t *node)
{
    return json_is_object(node) ? "a mapping" : json_is_array(node) ? "a list" : "a single value";
}

const char *weir_config_read_text(struct weir_config_reader *r, const struct weir_config_field *f, const json_t *node)
{
    (void)f;
    if (!json_is_string(node)) {
        weir_config_fail(r, node, "%s where a single value is wanted", shape_of(node));
        return NULL;
    }
    const char *text = json_string_value(node);
    if (strstr(text, "${") != NULL)
        return r->rehearsal ? NULL : expand(r, node, text);
    const char *kept = weir_arena_dup(&r->c->arena, weir_str_of(text)).ptr;
    if (kept == NULL)
        weir_config_no_memory(r);
    return kept;
}

bool weir_config_text_passes(struct weir_config_reader *r, const struct weir_config_field *f, const char *text,
                             const json_t *node)
{
    char why[WEIR_CONFIG_WHY_SIZE];
    const char *wrong = f->check != NULL ? f->check(text) : NULL;
    if (wrong == NULL && (f->explain == NULL || text[0] == '\0' || f->explain(text, why, sizeof why)))
        return true;
    if (wrong == NULL)
        weir_config_fail(r, node, "%s", why);
    else if (is_secret(f))
        weir_config_fail(r, node, "%s", wrong);
    else
        weir_config_fail(r, node, "\"%.120s\" %s", text, wrong);
    return false;
}

static void read_text_field(struct weir_config_reader *r, const struct weir_config_field *f, char *base,
                            const json_t *node)
{
    const char **member = (const char **)(base + f->offset);
    const char *text = weir_config_read_text(r, f, node);
    if (text == NULL)
        return;
    bool file = f->type == WEIR_CONFIG_SECRET_FILE; /* its check is for what the file holds */
    if (!file && !weir_config_text_passes(r, f, text, node))
        return;
    if (text[0] == '\0' && f->fallback == NULL) {
        weir_config_fail(r, node, "is empty");
        return;
    }
    if (f->twin != 0 && !claim_from_twin(r, f, base, node))
        return;
    if (weir_config_claim(r, f, member, NULL, node))
        *member = text;
}

static void read_scalar(struct weir_config_reader *r, const struct weir_config_field *f, char *base, const json_t *node)
{
    _Alignas(8) char value[WEIR_CONFIG_VALUE_SIZE_MAX] = {0};
    char why[WEIR_CONFIG_WHY_SIZE];
    const char *text = weir_config_read_text(r, f, node);
    if (text == NULL)
        return;
    /* In "${PORT}" the quotes belong to YAML, not to the value. */
    bool quoted = weir_config_tree_mark(r->tree, node).quoted && strstr(json_string_value(node), "${") == NULL;
    if (!weir_config_value_parse(f, text, quoted, value, why)) {
        weir_config_fail(r, node, "%s", why);
        return;
    }
    if (weir_config_claim(r, f, base + f->offset, value, node))
        memcpy(base + f->offset, value, f->size);
}

/* -- URLs -- */

static const char *url_parse(struct weir_config_reader *r, const struct weir_config_field *f,
                             struct weir_config_endpoint *e, const json_t *node)
{
    const char *text = weir_config_read_text(r, f, node);
    if (text == NULL)
        return NULL;
    struct weir_config_endpoint parsed = {.weight = e->weight, .line = weir_config_tree_mark(r->tree, node).line};
    const char *wrong = weir_config_url_parse(&parsed, &r->c->arena, text);
    if (wrong == weir_err_text(WEIR_ENOMEM)) {
        weir_config_no_memory(r);
        return NULL;
    }
    if (wrong != NULL) {
        /* What is before an @ may be a password. */
        if (strchr(text, '@') != NULL)
            weir_config_fail(r, node, "%s", wrong);
        else
            weir_config_fail(r, node, "\"%.120s\" %s", text, wrong);
        return NULL;
    }
    *e = parsed;
    return text;
}

static void read_base_url(struct weir_config_reader *r, const struct weir_config_field *f, char *base,
                          const json_t *node)
{
    struct weir_config_list *list = (struct weir_config_list *)(base + f->offset);
    struct weir_config_endpoint *e = weir_arena_alloc(&r->c->arena, sizeof *e);
    if (e == NULL) {
        weir_config_no_memory(r);
        return;
    }
    *e = (struct weir_config_endpoint){.weight = 1};
    /* Claimed first: a wrong URL is not a missing one. */
    if (!weir_config_claim(r, f, list, NULL, node) || url_parse(r, f, e, node) == NULL)
        return;
    *list = (struct weir_config_list){.at = e, .count = 1};
    if (!weir_config_origin_set(r->c->origins, &e->url, false, *weir_config_origin_of(r->c, list)))
        weir_config_no_memory(r);
}

/* -- sections -- */

static bool is_off(const json_t *section)
{
    const json_t *enabled = json_object_get(section, "enabled");
    return enabled != NULL && json_is_string(enabled) && weir_config_text_is_false(json_string_value(enabled));
}

/* Only keys that do not belong to what is not built. */
static bool is_apart(const struct weir_config_section *s, json_t *node)
{
    const char *key;
    json_t *member;
    json_object_foreach(node, key, member)
    {
        char *base = NULL;
        const struct weir_config_field *f = weir_config_field_find(s, key, &base);
        if (f == NULL || !f->apart)
            return false;
    }
    return json_is_object(node);
}

static bool asks_for_nothing(const struct weir_config_field *f, json_t *node)
{
    if (f->type == WEIR_CONFIG_SECTION)
        return is_off(node) || is_apart(f->section, node);
    if (f->type == WEIR_CONFIG_LIST)
        return json_array_size(node) == 0;
    if (f->quiet == NULL || !json_is_string(node))
        return false;
    const char *text = json_string_value(node);
    return strcmp(text, f->quiet) == 0 ||
           (f->type == WEIR_CONFIG_BOOL && weir_config_text_is_false(f->quiet) && weir_config_text_is_false(text));
}

/* Says that the key does nothing yet. True: said, so what is below it need not say it again. */
static bool check_built(struct weir_config_reader *r, const struct weir_config_field *f, json_t *node)
{
    const struct weir_config_feature_info *feature = &weir_config_features[f->feature];
    if (feature->built || r->rehearsal || r->muted > 0 || asks_for_nothing(f, node))
        return false;
    if (feature->refuse)
        weir_config_fail(r, node, "not in this build (%s)", feature->words);
    else
        warn(r, node, "has no effect in this build (%s)", feature->words);
    return true;
}

static void read_nested(struct weir_config_reader *r, const struct weir_config_field *f, char *base, json_t *node)
{
    if (f->scalar != NULL && json_is_string(node)) {
        for (size_t i = 0; i < f->scalar_count; i++)
            read_scalar(r, &f->scalar[i], base, node);
        return;
    }
    struct weir_config_origin origin = {.layer = r->layer, .line = weir_config_tree_mark(r->tree, node).line};
    if (!weir_config_origin_set(r->c->origins, base + f->offset, true, origin)) {
        weir_config_no_memory(r);
        return;
    }
    weir_config_read_section(r, f->section, base + f->offset, node);
}

static void read_field(struct weir_config_reader *r, const struct weir_config_field *f, char *base, json_t *node)
{
    if (json_is_string(node) && weir_config_tree_mark(r->tree, node).null)
        return;
    bool mute = check_built(r, f, node);
    r->muted += mute;
    struct weir_config_endpoint *endpoint = (struct weir_config_endpoint *)(base + f->offset);
    switch (f->type) {
    case WEIR_CONFIG_SECTION:
        read_nested(r, f, base, node);
        break;
    case WEIR_CONFIG_TEXT:
    case WEIR_CONFIG_SECRET:
    case WEIR_CONFIG_SECRET_FILE:
    case WEIR_CONFIG_SECRET_URL:
        read_text_field(r, f, base, node);
        break;
    case WEIR_CONFIG_URL:
        if (weir_config_claim(r, f, endpoint, NULL, node))
            url_parse(r, f, endpoint, node);
        break;
    case WEIR_CONFIG_BASE_URL:
        read_base_url(r, f, base, node);
        break;
    case WEIR_CONFIG_PROVIDERS:
        break;
    default:
        if (weir_config_type_is_scalar(f->type))
            read_scalar(r, f, base, node);
        else
            weir_config_read_list(r, f, base, node);
    }
    r->muted -= mute;
}

/* development: and production: hold what the root does. They are read apart. */
static bool is_overlay(const struct weir_config_section *s, const char *key)
{
    if (s != &weir_config_root)
        return false;
    for (size_t i = 0; weir_config_environments[i] != NULL; i++)
        if (strcmp(key, weir_config_environments[i]) == 0)
            return true;
    return false;
}

static void check_required(struct weir_config_reader *r, const struct weir_config_section *s, const json_t *node)
{
    for (size_t i = 0; i < s->count; i++) {
        if (!s->fields[i].required)
            continue;
        const json_t *member = json_object_get(node, s->fields[i].key);
        if (member == NULL || (json_is_string(member) && weir_config_tree_mark(r->tree, member).null))
            weir_config_fail(r, node, "%s is missing", s->fields[i].key);
    }
}

void weir_config_read_section(struct weir_config_reader *r, const struct weir_config_section *s, void *base,
                              json_t *node)
{
    if (!json_is_object(node)) {
        weir_config_fail(r, node, "%s where a mapping is wanted", shape_of(node));
        return;
    }
    const char *key;
    json_t *member;
    json_object_foreach(node, key, member)
    {
        if (is_overlay(s, key) && r->layer == WEIR_CONFIG_LAYER_FILE)
            continue;
        char *at = base;
        const struct weir_config_field *f = weir_config_field_find(s, key, &at);
        size_t len = weir_config_path_key(&r->path, key);
        if (f == NULL)
            weir_config_fail(r, member, "unknown key; the nearest known one is \"%s\"",
                             weir_config_key_nearest(s, key));
        else if (s == &weir_config_root && r->layer == WEIR_CONFIG_LAYER_OVERLAY && strcmp(key, "environment") == 0)
            weir_config_fail(r, member, "an overlay cannot choose an overlay");
        else
            read_field(r, f, at, member);
        weir_config_path_pop(&r->path, len);
    }
    check_required(r, s, node);
}

/* -- defaults -- */

static bool default_of(struct weir_config *c, const struct weir_config_field *f, void *member)
{
    if (f->type == WEIR_CONFIG_SECTION || f->type == WEIR_CONFIG_INCLUDE)
        return weir_config_defaults(c, f->section, member);
    if (f->fallback == NULL)
        return true;
    if (weir_config_type_is_scalar(f->type)) {
        char why[WEIR_CONFIG_WHY_SIZE];
        bool ok = weir_config_value_parse(f, f->fallback, false, member, why);
        assert(ok);
        return true;
    }
    if (f->type == WEIR_CONFIG_TEXT || f->type == WEIR_CONFIG_SECRET_URL) {
        *(const char **)member = f->fallback;
        return true;
    }
    return weir_config_list_default(c, f, member);
}

bool weir_config_defaults(struct weir_config *c, const struct weir_config_section *s, void *base)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct weir_config_field *f = &s->fields[i];
        if (f->alias_of == NULL && !default_of(c, f, (char *)base + f->offset))
            return false;
    }
    return true;
}
