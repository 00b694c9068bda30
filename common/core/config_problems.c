#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/config.h"

void weir_config_problems_reset(struct weir_config_problems *p)
{
    free(p->at);
    weir_arena_reset(&p->arena);
    *p = (struct weir_config_problems){0};
}

static bool grow(struct weir_config_problems *p)
{
    size_t cap = p->cap == 0 ? 8 : p->cap * 2;
    struct weir_config_problem *at = realloc(p->at, cap * sizeof *at);
    if (at == NULL)
        return false;
    p->at = at;
    p->cap = cap;
    return true;
}

/* Ordered by line, the first found first within one: the order in which somebody mends a file. */
static void insert(struct weir_config_problems *p, struct weir_config_problem problem)
{
    size_t i = p->count++;
    for (; i > 0 && p->at[i - 1].line > problem.line; i--)
        p->at[i] = p->at[i - 1];
    p->at[i] = problem;
}

void weir_config_problems_add(struct weir_config_problems *p, enum weir_config_level level, const char *file,
                              uint32_t line, const char *key, const char *fmt, ...)
{
    char sentence[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    p->error_count += level == WEIR_CONFIG_ERROR;
    if (p->count >= WEIR_CONFIG_PROBLEMS_MAX) {
        p->dropped_count++;
        return;
    }
    struct weir_config_problem problem = {.level = level,
                                          .file = weir_arena_dup(&p->arena, weir_str_of(file)).ptr,
                                          .line = line,
                                          .key = weir_arena_dup(&p->arena, weir_str_of(key)).ptr,
                                          .sentence = weir_arena_dup(&p->arena, weir_str_of(sentence)).ptr};
    if (problem.file == NULL || problem.key == NULL || problem.sentence == NULL || (p->count == p->cap && !grow(p))) {
        p->out_of_memory = true;
        return;
    }
    insert(p, problem);
}

int weir_config_problem_text(const struct weir_config_problem *p, char *buf, size_t len)
{
    const char *level = p->level == WEIR_CONFIG_ERROR ? "error" : "warning";
    char line[16] = "";
    if (p->line > 0)
        snprintf(line, sizeof line, "%u:", p->line);
    return snprintf(buf, len, "%s:%s %s: %s%s%s", p->file, line, level, p->key, p->key[0] != '\0' ? ": " : "",
                    p->sentence);
}
