/* The members of the model that are lists: words, status codes, networks, pairs, listeners, and mappings with a table.
 */
#include <assert.h>
#include <string.h>

#include "core/config_check.h"
#include "core/config_read.h"
#include "core/config_value.h"

/* The size of one element in memory. */
static size_t element_size(const struct weir_config_field *f)
{
    switch (f->type) {
    case WEIR_CONFIG_TEXTS:
        return sizeof(const char *);
    case WEIR_CONFIG_STATUSES:
        return sizeof(uint32_t);
    case WEIR_CONFIG_NETS:
        return sizeof(struct weir_net);
    case WEIR_CONFIG_PAIRS:
        return sizeof(struct weir_config_pair);
    case WEIR_CONFIG_LISTENS:
        return sizeof(struct weir_config_listen);
    default:
        assert(f->type == WEIR_CONFIG_LIST);
        return f->section->size;
    }
}

static void *elements_alloc(struct weir_config *c, const struct weir_config_field *f, size_t count)
{
    size_t size = element_size(f) * count;
    void *at = weir_arena_alloc(&c->arena, size > 0 ? size : 1);
    if (at != NULL && size > 0)
        memset(at, 0, size);
    return at;
}

static bool choice_known(const struct weir_config_field *f, const char *text)
{
    if (f->choices == NULL)
        return true;
    for (size_t i = 0; f->choices[i] != NULL; i++)
        if (strcmp(f->choices[i], text) == 0)
            return true;
    return false;
}

static void read_word(struct weir_config_reader *r, const struct weir_config_field *f, void *out, const json_t *node)
{
    const char *text = weir_config_read_text(r, f, node);
    if (text == NULL || !weir_config_text_passes(r, f, text, node))
        return;
    if (choice_known(f, text))
        *(const char **)out = text;
    else
        weir_config_fail(r, node, "\"%.80s\" is neither %s nor %s", text, f->choices[0], f->choices[1]);
}

static void read_status(struct weir_config_reader *r, const struct weir_config_field *f, void *out, const json_t *node)
{
    char why[WEIR_CONFIG_WHY_SIZE];
    const char *text = weir_config_read_text(r, f, node);
    if (text != NULL && !weir_config_status_parse(f, text, out, why))
        weir_config_fail(r, node, "%s", why);
}

static void read_net(struct weir_config_reader *r, const struct weir_config_field *f, void *out, const json_t *node)
{
    const char *text = weir_config_read_text(r, f, node);
    struct weir_err err;
    if (text != NULL && weir_net_parse(out, weir_str_of(text), &err) != WEIR_OK)
        weir_config_fail(r, node, "%s", err.msg);
}

static void read_listen(struct weir_config_reader *r, const struct weir_config_field *f, struct weir_config_listen *out,
                        json_t *node)
{
    if (json_is_object(node))
        weir_config_read_section(r, &weir_config_section_listen, out, node);
    else
        out->text = weir_config_read_text(r, f, node);
    if (out->text == NULL)
        return;
    const char *wrong = weir_config_listen_parse(out, &r->c->arena, out->text);
    if (wrong == weir_err_text(WEIR_ENOMEM))
        weir_config_no_memory(r);
    else if (wrong != NULL)
        weir_config_fail(r, node, "\"%.80s\" %s", out->text, wrong);
    out->line = weir_config_tree_mark(r->tree, node).line;
}

static void read_row(struct weir_config_reader *r, const struct weir_config_field *f, void *out, json_t *node)
{
    if (!weir_config_defaults(r->c, f->section, out)) {
        weir_config_no_memory(r);
        return;
    }
    weir_config_read_section(r, f->section, out, node);
    if (f->section->line_offset != 0)
        *(uint32_t *)((char *)out + f->section->line_offset) = weir_config_tree_mark(r->tree, node).line;
}

/* What fails leaves its element empty; the configuration is refused then, but read to its end. */
static void read_element(struct weir_config_reader *r, const struct weir_config_field *f, void *out, json_t *node)
{
    switch (f->type) {
    case WEIR_CONFIG_TEXTS:
        read_word(r, f, out, node);
        return;
    case WEIR_CONFIG_STATUSES:
        read_status(r, f, out, node);
        return;
    case WEIR_CONFIG_NETS:
        read_net(r, f, out, node);
        return;
    case WEIR_CONFIG_LISTENS:
        read_listen(r, f, out, node);
        return;
    default:
        read_row(r, f, out, node);
    }
}

static char *lower_dup(struct weir_config *c, const char *text)
{
    size_t len = strlen(text);
    char *lower = weir_arena_bytes(&c->arena, len + 1);
    for (size_t i = 0; lower != NULL && i <= len; i++)
        lower[i] = weir_lower(text[i]);
    return lower;
}

/* A mapping of header names to values. */
static void read_pairs(struct weir_config_reader *r, const struct weir_config_field *f, void *base, json_t *node)
{
    struct weir_config_list *list = (struct weir_config_list *)((char *)base + f->offset);
    if (!json_is_object(node)) {
        weir_config_fail(r, node, "a mapping of names to values is wanted");
        return;
    }
    struct weir_config_pair *pairs = elements_alloc(r->c, f, json_object_size(node));
    if (pairs == NULL || !weir_config_claim(r, f, list, NULL, node)) {
        r->problems->out_of_memory |= pairs == NULL;
        return;
    }
    size_t count = 0;
    const char *key;
    json_t *member;
    json_object_foreach(node, key, member)
    {
        size_t len = weir_config_path_key(&r->path, key);
        const char *value = weir_config_read_text(r, f, member);
        const char *wrong = weir_config_check_field_name(key);
        if (wrong != NULL)
            weir_config_fail(r, member, "%s", wrong);
        wrong = value != NULL ? weir_config_check_field_value(value) : NULL;
        if (wrong != NULL)
            weir_config_fail(r, member, "%s", wrong);
        pairs[count].name = lower_dup(r->c, key);
        pairs[count].value = value != NULL ? value : "";
        if (pairs[count].name == NULL)
            weir_config_no_memory(r);
        count += pairs[count].name != NULL;
        weir_config_path_pop(&r->path, len);
    }
    *list = (struct weir_config_list){.at = pairs, .count = count};
}

void weir_config_read_list(struct weir_config_reader *r, const struct weir_config_field *f, void *base, json_t *node)
{
    if (f->type == WEIR_CONFIG_PAIRS) {
        read_pairs(r, f, base, node);
        return;
    }
    struct weir_config_list *list = (struct weir_config_list *)((char *)base + f->offset);
    bool single = f->type == WEIR_CONFIG_LISTENS && !json_is_array(node);
    if (!single && !json_is_array(node)) {
        weir_config_fail(r, node, "%s where a list is wanted", json_is_object(node) ? "a mapping" : "a single value");
        return;
    }
    size_t count = single ? 1 : json_array_size(node);
    char *elements = elements_alloc(r->c, f, count);
    if (elements == NULL || !weir_config_claim(r, f, list, NULL, node)) {
        r->problems->out_of_memory |= elements == NULL;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *member = single ? node : json_array_get(node, i);
        size_t len = single ? r->path.len : weir_config_path_index(&r->path, i);
        read_element(r, f, elements + i * element_size(f), member);
        weir_config_path_pop(&r->path, len);
    }
    *list = (struct weir_config_list){.at = elements, .count = count};
}

static bool default_element(struct weir_config *c, const struct weir_config_field *f, void *out, const char *text)
{
    char why[WEIR_CONFIG_WHY_SIZE];
    struct weir_err err;
    const char *wrong = NULL;
    switch (f->type) {
    case WEIR_CONFIG_TEXTS:
        *(const char **)out = text;
        return true;
    case WEIR_CONFIG_STATUSES:
        wrong = weir_config_status_parse(f, text, out, why) ? NULL : why;
        break;
    case WEIR_CONFIG_NETS:
        wrong = weir_net_parse(out, weir_str_of(text), &err) != WEIR_OK ? err.msg : NULL;
        break;
    default:
        assert(f->type == WEIR_CONFIG_LISTENS);
        wrong = weir_config_listen_parse(out, &c->arena, text);
        if (wrong == weir_err_text(WEIR_ENOMEM))
            return false;
    }
    assert(wrong == NULL); /* the schema's defaults are valid */
    return wrong == NULL;
}

bool weir_config_list_default(struct weir_config *c, const struct weir_config_field *f, void *member)
{
    struct weir_config_list *list = member;
    size_t count = f->fallback[0] != '\0';
    for (const char *at = f->fallback; *at != '\0'; at++)
        count += *at == ' ';
    char *words = (char *)(uintptr_t)weir_arena_dup(&c->arena, weir_str_of(f->fallback)).ptr;
    char *elements = elements_alloc(c, f, count);
    if (words == NULL || elements == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        char *end = words + strcspn(words, " ");
        bool last = *end == '\0';
        *end = '\0';
        if (!default_element(c, f, elements + i * element_size(f), words))
            return false;
        words = last ? end : end + 1;
    }
    *list = (struct weir_config_list){.at = elements, .count = count};
    return true;
}
