#include "core/config.h"

#include <stdlib.h>
#include <string.h>

#include "core/config_finish.h"

static struct weir_config *config_new(void)
{
    struct weir_config *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->origins = calloc(1, sizeof *c->origins);
    if (c->origins == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

void weir_config_free(struct weir_config **c)
{
    if (*c == NULL)
        return;
    weir_config_origins_free(&(*c)->origins);
    weir_arena_reset(&(*c)->arena);
    free(*c);
    *c = NULL;
}

/* The overlay to lay over the file, "" for none. WEIR_ENV wins, so that one file serves everywhere. */
static const char *environment_choose(struct weir_config_reader *r)
{
    const char *text = r->in->getenv != NULL ? r->in->getenv(r->in->arg, "WEIR_ENV") : NULL;
    const struct weir_config_origin *origin = weir_config_origin_of(r->c, &r->c->environment);
    bool variable = text != NULL && text[0] != '\0';
    if (!variable)
        text = r->c->environment;
    if (text == NULL || text[0] == '\0')
        return "";
    for (size_t i = 0; weir_config_environments[i] != NULL; i++)
        if (strcmp(text, weir_config_environments[i]) == 0)
            return weir_config_environments[i];
    weir_config_report(r, WEIR_CONFIG_ERROR, variable || origin == NULL ? 0 : origin->line,
                       variable ? "WEIR_ENV" : "environment", "\"%.80s\" is neither development nor production", text);
    return "";
}

static bool is_null(const struct weir_config_reader *r, const json_t *node)
{
    return json_is_string(node) && weir_config_tree_mark(r->tree, node).null;
}

/* An overlay that is not chosen is read all the same, into a model that nobody will see, for what is wrong with it. In
 * the arena, so that no other member can come to have an address of its members, which is what origins are kept by. */
static void rehearse(struct weir_config_reader *r, json_t *node)
{
    struct weir_config *scratch = weir_arena_alloc(&r->c->arena, sizeof *scratch);
    if (scratch != NULL)
        *scratch = (struct weir_config){0};
    if (scratch == NULL || !weir_config_defaults(r->c, &weir_config_root, scratch)) {
        weir_config_no_memory(r);
        return;
    }
    r->rehearsal = true;
    weir_config_read_section(r, &weir_config_root, scratch, node);
    weir_config_providers_rehearse(r, json_object_get(node, "providers"));
    r->rehearsal = false;
}

static void layers_read(struct weir_config_reader *r)
{
    json_t *root = r->tree->root;
    struct weir_config_provider_layer layers[2] = {
        {.layer = WEIR_CONFIG_LAYER_FILE, .node = json_object_get(root, "providers"), .prefix = ""}};
    size_t layer_count = 1;
    r->layer = WEIR_CONFIG_LAYER_FILE;
    weir_config_read_section(r, &weir_config_root, r->c, root);
    r->c->environment = environment_choose(r);
    r->layer = WEIR_CONFIG_LAYER_OVERLAY;
    for (size_t i = 0; weir_config_environments[i] != NULL; i++) {
        const char *name = weir_config_environments[i];
        json_t *node = json_object_get(root, name);
        if (node == NULL || is_null(r, node))
            continue;
        size_t len = weir_config_path_key(&r->path, name);
        if (strcmp(name, r->c->environment) != 0) {
            rehearse(r, node);
        } else {
            weir_config_read_section(r, &weir_config_root, r->c, node);
            layers[layer_count++] = (struct weir_config_provider_layer){
                .layer = WEIR_CONFIG_LAYER_OVERLAY, .node = json_object_get(node, "providers"), .prefix = name};
        }
        weir_config_path_pop(&r->path, len);
    }
    weir_config_providers_read(r, layers, layer_count);
}

static void read_all(struct weir_config_reader *r)
{
    struct weir_config *c = r->c;
    c->file = weir_arena_dup(&c->arena, weir_str_of(r->in->file)).ptr;
    if (c->file == NULL || !weir_config_defaults(c, &weir_config_root, c)) {
        weir_config_no_memory(r);
        return;
    }
    layers_read(r);
    if (!r->problems->out_of_memory)
        weir_config_finish(r);
    /* The nodes end with the tree. */
    for (size_t i = 0; i < c->origins->count; i++)
        c->origins->at[i].node = NULL;
}

int weir_config_parse(struct weir_config **out, const struct weir_config_input *in,
                      struct weir_config_problems *problems)
{
    struct weir_config_tree tree = {0};
    *out = NULL;
    if (in->len > WEIR_CONFIG_FILE_BYTES_MAX) {
        weir_config_problems_add(problems, WEIR_CONFIG_ERROR, in->file, 0, "", "is larger than %zu KB",
                                 WEIR_CONFIG_FILE_BYTES_MAX / 1024);
        return WEIR_EINVAL;
    }
    struct weir_config *c = config_new();
    if (c == NULL)
        return WEIR_ENOMEM;
    if (weir_config_tree_parse(&tree, in->file, in->bytes, in->len, problems)) {
        struct weir_config_reader r = {.c = c, .in = in, .problems = problems, .tree = &tree};
        read_all(&r);
    }
    weir_config_tree_reset(&tree);
    if (!problems->out_of_memory && problems->error_count == 0) {
        *out = c;
        return 0;
    }
    weir_config_free(&c);
    return problems->out_of_memory ? WEIR_ENOMEM : WEIR_EINVAL;
}
