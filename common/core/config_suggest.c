#include <string.h>

#include "core/config_schema.h"

/* The longest key has 27 bytes; what differs beyond this is no slip of the finger. */
#define WORD_MAX 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned weir_config_distance(const char *a, const char *b)
{
    size_t an = strnlen(a, WORD_MAX), bn = strnlen(b, WORD_MAX);
    unsigned rows[3][WORD_MAX + 1]; /* two before, the last, and this one */
    unsigned *older = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= bn; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= an; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= bn; j++) {
            bool same = a[i - 1] == b[j - 1];
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && older[j - 2] + 1 < now[j])
                now[j] = older[j - 2] + 1;
        }
        unsigned *free_row = older;
        older = last;
        last = now;
        now = free_row;
    }
    return last[bn];
}

static void nearest(const struct weir_config_section *s, const char *key, const char **best, unsigned *best_distance)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct weir_config_field *f = &s->fields[i];
        if (f->type == WEIR_CONFIG_INCLUDE) {
            nearest(f->section, key, best, best_distance);
            continue;
        }
        unsigned distance = weir_config_distance(key, f->key);
        if (*best == NULL || distance < *best_distance) {
            *best = f->key;
            *best_distance = distance;
        }
    }
}

const char *weir_config_key_nearest(const struct weir_config_section *s, const char *key)
{
    const char *best = NULL;
    unsigned best_distance = 0;
    nearest(s, key, &best, &best_distance);
    return best;
}

const struct weir_config_field *weir_config_field_find(const struct weir_config_section *s, const char *key,
                                                       char **base)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct weir_config_field *f = &s->fields[i];
        if (f->type == WEIR_CONFIG_INCLUDE) {
            char *inner = *base + f->offset;
            const struct weir_config_field *found = weir_config_field_find(f->section, key, &inner);
            if (found != NULL) {
                *base = inner;
                return found;
            }
        } else if (strcmp(f->key, key) == 0) {
            return f;
        }
    }
    return NULL;
}
