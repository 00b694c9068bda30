/* The dotted path of a key while walking a tree: "providers.openai.endpoints[1].url". What does not fit is cut, since
 * the file and line beside it still say where. */
#ifndef WEIR_CORE_CONFIG_PATH_H
#define WEIR_CORE_CONFIG_PATH_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct weir_config_path {
    char text[256];
    size_t len;
};

/* Both return the length to go back to with weir_config_path_pop. */
static inline size_t weir_config_path_key(struct weir_config_path *p, const char *key)
{
    size_t before = p->len;
    int n = snprintf(p->text + p->len, sizeof p->text - p->len, p->len > 0 ? ".%s" : "%s", key);
    size_t room = sizeof p->text - p->len - 1;
    p->len += n < 0 ? 0 : (size_t)n > room ? room : (size_t)n;
    return before;
}

static inline size_t weir_config_path_index(struct weir_config_path *p, size_t i)
{
    size_t before = p->len;
    int n = snprintf(p->text + p->len, sizeof p->text - p->len, "[%zu]", i);
    size_t room = sizeof p->text - p->len - 1;
    p->len += n < 0 ? 0 : (size_t)n > room ? room : (size_t)n;
    return before;
}

static inline void weir_config_path_pop(struct weir_config_path *p, size_t len)
{
    p->len = len;
    p->text[len] = '\0';
}

#endif
