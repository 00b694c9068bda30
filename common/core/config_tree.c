#include "core/config_tree.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/config_path.h"

struct frame {
    json_t *node;
    json_t *key; /* in a mapping: the key whose value is next, else NULL */
    uint32_t key_line;
    size_t path_len; /* of the path that leads to it */
};

struct builder {
    struct weir_config_tree *tree;
    struct weir_config_problems *problems;
    const char *file;
    json_t *anchors; /* name -> node */
    struct frame stack[WEIR_CONFIG_DEPTH_MAX];
    unsigned depth;
    unsigned node_count;
    unsigned document_count;
    struct weir_config_path path; /* of the innermost container */
};

__attribute__((format(printf, 3, 4))) static bool fail(struct builder *b, uint32_t line, const char *fmt, ...)
{
    char sentence[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    weir_config_problems_add(b->problems, WEIR_CONFIG_ERROR, b->file, line, b->path.text, "%s", sentence);
    return false;
}

static bool no_memory(struct builder *b)
{
    b->problems->out_of_memory = true;
    return false;
}

static uint32_t line_of(yaml_mark_t mark)
{
    return (uint32_t)mark.line + 1;
}

static bool mark_set(struct builder *b, const json_t *node, struct weir_config_mark mark)
{
    struct weir_config_tree *t = b->tree;
    if (t->mark_count == t->mark_cap) {
        size_t cap = t->mark_cap == 0 ? 256 : t->mark_cap * 2;
        struct weir_config_mark *marks = realloc(t->marks, cap * sizeof *marks);
        if (marks == NULL)
            return no_memory(b);
        t->marks = marks;
        t->mark_cap = cap;
    }
    if (!weir_ptrmap_set(&t->index, (uintptr_t)node, (uint32_t)t->mark_count))
        return no_memory(b);
    t->marks[t->mark_count++] = mark;
    return true;
}

static struct weir_config_mark *mark_of(const struct weir_config_tree *t, const json_t *node)
{
    uint32_t at = 0;
    bool known = weir_ptrmap_get(&t->index, (uintptr_t)node, &at);
    assert(known);
    return &t->marks[at];
}

struct weir_config_mark weir_config_tree_mark(const struct weir_config_tree *tree, const json_t *node)
{
    return *mark_of(tree, node);
}

static bool count_node(struct builder *b, uint32_t line)
{
    if (++b->node_count > WEIR_CONFIG_NODES_MAX)
        return fail(b, line, "more than %u values, each alias counted as often as it is used", WEIR_CONFIG_NODES_MAX);
    return true;
}

/* The key that a value is about to belong to is the better line to name. */
static uint32_t line_in(const struct builder *b, uint32_t own)
{
    if (b->depth == 0 || b->stack[b->depth - 1].key == NULL)
        return own;
    return b->stack[b->depth - 1].key_line;
}

/* Hangs a finished or opening node into the innermost container. Takes the reference over in any case. */
static bool attach(struct builder *b, json_t *node)
{
    if (b->depth == 0) {
        b->tree->root = node;
        return true;
    }
    struct frame *f = &b->stack[b->depth - 1];
    if (json_is_array(f->node))
        return json_array_append_new(f->node, node) == 0 || no_memory(b);
    const char *key = json_string_value(f->key);
    json_t *other = json_object_get(f->node, key);
    bool ok = true;
    if (other != NULL) {
        size_t len = weir_config_path_key(&b->path, key);
        fail(b, f->key_line, "given twice, the first time in line %u", mark_of(b->tree, other)->line);
        weir_config_path_pop(&b->path, len);
        /* Kept all the same, out of the way, because an alias or the stack may still point at it. */
        ok = json_array_append_new(json_object_get(b->anchors, "*"), node) == 0 || no_memory(b);
    } else {
        ok = json_object_set_new(f->node, key, node) == 0 || no_memory(b);
    }
    json_decref(f->key);
    f->key = NULL;
    return ok;
}

static bool anchor_set(struct builder *b, const yaml_char_t *name, json_t *node)
{
    if (name == NULL)
        return true;
    return json_object_set(b->anchors, (const char *)name, node) == 0 || no_memory(b);
}

static bool add(struct builder *b, json_t *node, const yaml_char_t *anchor, struct weir_config_mark mark)
{
    if (node == NULL)
        return no_memory(b);
    if (!count_node(b, mark.line) || !mark_set(b, node, mark) || !anchor_set(b, anchor, node)) {
        json_decref(node);
        return false;
    }
    return attach(b, node);
}

static bool tag_known(const yaml_char_t *tag)
{
    static const char core[] = "tag:yaml.org,2002:";
    return tag == NULL || strcmp((const char *)tag, "!") == 0 || strncmp((const char *)tag, core, sizeof core - 1) == 0;
}

static bool wants_key(const struct builder *b)
{
    return b->depth > 0 && json_is_object(b->stack[b->depth - 1].node) && b->stack[b->depth - 1].key == NULL;
}

static bool open_container(struct builder *b, const yaml_event_t *e, json_t *node, const yaml_char_t *anchor,
                           const yaml_char_t *tag)
{
    uint32_t line = line_of(e->start_mark);
    const char *wrong = NULL;
    if (wants_key(b))
        wrong = "a key must be plain text";
    else if (!tag_known(tag))
        wrong = "tags of one's own are not read";
    else if (b->depth == WEIR_CONFIG_DEPTH_MAX)
        wrong = "nested too deep";
    if (wrong != NULL) {
        json_decref(node);
        return fail(b, line, "%s", wrong);
    }
    size_t path_len = b->path.len;
    json_t *key = b->depth > 0 ? json_incref(b->stack[b->depth - 1].key) : NULL;
    /* The node is the tree's from here on, even where adding fails half-way. */
    bool ok = add(b, node, anchor, (struct weir_config_mark){.line = line_in(b, line), .open = true});
    if (ok && key != NULL)
        weir_config_path_key(&b->path, json_string_value(key));
    else if (ok && b->depth > 0)
        weir_config_path_index(&b->path, json_array_size(b->stack[b->depth - 1].node) - 1);
    json_decref(key);
    if (!ok)
        return false;
    b->stack[b->depth++] = (struct frame){.node = node, .path_len = path_len};
    return true;
}

static bool is_null(const char *text)
{
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 ||
           strcmp(text, "NULL") == 0;
}

static bool key_set(struct builder *b, json_t *text, uint32_t line)
{
    if (text == NULL)
        return no_memory(b);
    if (strcmp(json_string_value(text), "<<") == 0) {
        json_decref(text);
        return fail(b, line, "merge keys (<<) are not read: write the keys out");
    }
    if (!count_node(b, line)) {
        json_decref(text);
        return false;
    }
    b->stack[b->depth - 1].key = text;
    b->stack[b->depth - 1].key_line = line;
    return true;
}

static bool on_scalar(struct builder *b, const yaml_event_t *e)
{
    uint32_t line = line_of(e->start_mark);
    const char *text = (const char *)e->data.scalar.value;
    size_t len = e->data.scalar.length;
    if (memchr(text, '\0', len) != NULL)
        return fail(b, line, "a NUL character");
    if (!tag_known(e->data.scalar.tag))
        return fail(b, line, "tags of one's own are not read");
    if (wants_key(b))
        return key_set(b, json_stringn(text, len), line);
    bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && e->data.scalar.tag == NULL;
    struct weir_config_mark mark = {.line = line_in(b, line), .quoted = !plain, .null = plain && is_null(text)};
    return add(b, json_stringn(text, len), e->data.scalar.anchor, mark);
}

/* A copy of its own for each use: later stages tell nodes apart by address. */
static json_t *copy(struct builder *b, const json_t *from, unsigned depth, uint32_t line)
{
    struct weir_config_mark mark = *mark_of(b->tree, from);
    if (mark.open) {
        fail(b, line, "an alias inside what it stands for");
        return NULL;
    }
    if (depth >= WEIR_CONFIG_DEPTH_MAX) {
        fail(b, line, "nested too deep");
        return NULL;
    }
    if (!count_node(b, line))
        return NULL;
    json_t *to = json_is_string(from)  ? json_stringn(json_string_value(from), json_string_length(from))
                 : json_is_array(from) ? json_array()
                                       : json_object();
    if (to == NULL || !mark_set(b, to, mark)) {
        b->problems->out_of_memory = true;
        json_decref(to);
        return NULL;
    }
    const char *key;
    json_t *member;
    size_t i;
    json_array_foreach(from, i, member)
    {
        json_t *c = copy(b, member, depth + 1, line);
        if (c == NULL)
            goto fail;
        if (json_array_append_new(to, c) != 0)
            goto no_memory;
    }
    json_object_foreach((json_t *)from, key, member)
    {
        json_t *c = copy(b, member, depth + 1, line);
        if (c == NULL)
            goto fail;
        if (json_object_set_new(to, key, c) != 0)
            goto no_memory;
    }
    return to;

no_memory:
    b->problems->out_of_memory = true;
fail:
    json_decref(to);
    return NULL;
}

static bool on_alias(struct builder *b, const yaml_event_t *e)
{
    uint32_t line = line_of(e->start_mark);
    const char *name = (const char *)e->data.alias.anchor;
    json_t *from = json_object_get(b->anchors, name);
    if (from == NULL || strcmp(name, "*") == 0)
        return fail(b, line, "no anchor \"%s\" before this alias", name);
    if (wants_key(b)) {
        if (!json_is_string(from))
            return fail(b, line, "a key must be plain text");
        return key_set(b, json_stringn(json_string_value(from), json_string_length(from)), line);
    }
    json_t *node = copy(b, from, b->depth, line);
    if (node == NULL)
        return false;
    mark_of(b->tree, node)->line = line_in(b, line);
    return attach(b, node);
}

static void on_end(struct builder *b)
{
    assert(b->depth > 0);
    const struct frame *f = &b->stack[--b->depth];
    mark_of(b->tree, f->node)->open = false;
    weir_config_path_pop(&b->path, f->path_len);
}

static bool on_event(struct builder *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return ++b->document_count == 1 ||
               fail(b, line_of(e->start_mark), "a second YAML document: one file holds one");
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e);
    case YAML_ALIAS_EVENT:
        return on_alias(b, e);
    case YAML_MAPPING_START_EVENT:
        return open_container(b, e, json_object(), e->data.mapping_start.anchor, e->data.mapping_start.tag);
    case YAML_SEQUENCE_START_EVENT:
        return open_container(b, e, json_array(), e->data.sequence_start.anchor, e->data.sequence_start.tag);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        on_end(b);
        return true;
    default:
        return true;
    }
}

/* The reader works ahead of the parser, so the parser's mark is not where its errors are. */
static uint32_t line_of_byte(const yaml_parser_t *p, size_t offset)
{
    uint32_t line = 1;
    const unsigned char *end = p->input.string.end;
    for (const unsigned char *at = p->input.string.start; at < end && offset > 0; at++, offset--)
        line += *at == '\n';
    return line;
}

static bool yaml_failed(struct builder *b, const yaml_parser_t *p)
{
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(b);
    const char *problem = p->problem != NULL ? p->problem : "not YAML";
    if (p->error == YAML_READER_ERROR)
        return fail(b, line_of_byte(p, p->problem_offset), "not YAML: %s at byte %zu", problem, p->problem_offset);
    uint32_t line = line_of(p->problem_mark);
    size_t column = p->problem_mark.column + 1;
    if (p->context != NULL)
        return fail(b, line, "not YAML: %s in column %zu, %s from line %u on", problem, column, p->context,
                    line_of(p->context_mark));
    return fail(b, line, "not YAML: %s in column %zu", problem, column);
}

static bool run(struct builder *b, yaml_parser_t *p)
{
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(p, &e))
            return yaml_failed(b, p);
        bool last = e.type == YAML_STREAM_END_EVENT;
        bool ok = on_event(b, &e);
        yaml_event_delete(&e);
        if (!ok || last)
            return ok;
    }
}

/* An empty document is an empty mapping; any other scalar or a list is not a configuration. */
static bool settle_root(struct builder *b)
{
    json_t *root = b->tree->root;
    if (root == NULL || (json_is_string(root) && mark_of(b->tree, root)->null)) {
        json_decref(root);
        b->tree->root = NULL;
        return add(b, json_object(), NULL, (struct weir_config_mark){.line = 1});
    }
    if (!json_is_object(root))
        return fail(b, mark_of(b->tree, root)->line, "not a mapping of keys to values");
    return true;
}

bool weir_config_tree_parse(struct weir_config_tree *tree, const char *file, const char *bytes, size_t len,
                            struct weir_config_problems *problems)
{
    *tree = (struct weir_config_tree){0};
    struct builder b = {.tree = tree, .problems = problems, .file = file, .anchors = json_object()};
    /* "*" cannot be an anchor's name in YAML, so it may hold what no container does. */
    if (b.anchors == NULL || json_object_set_new(b.anchors, "*", json_array()) != 0) {
        json_decref(b.anchors);
        return no_memory(&b);
    }
    yaml_parser_t parser;
    bool ok = yaml_parser_initialize(&parser) != 0;
    if (ok) {
        yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
        ok = run(&b, &parser) && settle_root(&b);
        yaml_parser_delete(&parser);
    } else {
        no_memory(&b);
    }
    for (unsigned i = 0; i < b.depth; i++)
        json_decref(b.stack[i].key);
    json_decref(b.anchors);
    return ok;
}

void weir_config_tree_reset(struct weir_config_tree *tree)
{
    json_decref(tree->root);
    weir_ptrmap_reset(&tree->index);
    free(tree->marks);
    *tree = (struct weir_config_tree){0};
}
