/* Compares what weir_config_print says of either: it names every key that is in force, so no second walk over the
 * schema has to agree with the first. */
#include "core/config_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_output.h"

/* Below the root, as the printer indents; deeper than the schema is. */
#define LEVELS_MAX 24
#define KEY_MAX    512
/* The effective configuration of the largest file. */
#define PRINTED_BYTES_MAX ((size_t)64 << 20)

struct line {
    const char *key, *value; /* arena text */
};

struct lines {
    struct line *at;
    size_t count, cap;
    struct weir_arena arena;
};

/* Where the reader of printed lines is. */
struct place {
    char key[KEY_MAX];
    size_t end_of[LEVELS_MAX]; /* length of key up to the level */
    int item[LEVELS_MAX];      /* list elements begun at the level, less one */
};

static bool add(struct lines *l, const char *key, const char *value, size_t len)
{
    if (l->count == l->cap) {
        size_t cap = l->cap != 0 ? 2 * l->cap : 256;
        struct line *at = realloc(l->at, cap * sizeof *at);
        if (at == NULL)
            return false;
        l->at = at;
        l->cap = cap;
    }
    struct weir_str k = weir_arena_dup(&l->arena, weir_str_of(key));
    struct weir_str v = weir_arena_dup(&l->arena, (struct weir_str){value, len});
    if (k.ptr == NULL || v.ptr == NULL)
        return false;
    l->at[l->count++] = (struct line){k.ptr, v.ptr};
    return true;
}

/* The length of a value without the comment behind it. */
static size_t value_length(const char *text, size_t n)
{
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && text[i] == '#' && (i == 0 || text[i - 1] == ' '))
            n = i;
    }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    return n;
}

static size_t append(struct place *p, size_t at, const char *text, size_t n)
{
    int written = snprintf(p->key + at, sizeof p->key - at, "%s%.*s", at > 0 ? "." : "", (int)n, text);
    size_t end = at + (size_t)(written > 0 ? written : 0);
    return end < sizeof p->key ? end : sizeof p->key - 1;
}

/* The level of a line by its indentation; "- " counts as two. Moves *text to the key. */
static unsigned enter(struct place *p, const char **text, const char *end)
{
    unsigned level = 0;
    while (*text + 1 < end && (*text)[0] == ' ' && (*text)[1] == ' ' && level < LEVELS_MAX - 2) {
        *text += 2;
        level++;
    }
    if (*text + 1 < end && (*text)[0] == '-' && (*text)[1] == ' ') {
        char number[16];
        int n = snprintf(number, sizeof number, "%d", ++p->item[level]);
        p->end_of[level] = append(p, level > 0 ? p->end_of[level - 1] : 0, number, (size_t)n);
        *text += 2;
        level++;
    }
    return level;
}

static bool read_line(struct lines *l, struct place *p, const char *text, const char *end)
{
    unsigned level = enter(p, &text, end);
    const char *colon = memchr(text, ':', (size_t)(end - text));
    if (text == end || *text == '#' || colon == NULL)
        return true;
    size_t key_len = (size_t)(colon - text);
    if (key_len >= 2 && *text == '"') { /* a provider's name */
        text++;
        key_len -= 2;
    }
    p->end_of[level] = append(p, level > 0 ? p->end_of[level - 1] : 0, text, key_len);
    p->item[level] = p->item[level + 1] = -1;
    const char *value = colon + 1 < end && colon[1] == ' ' ? colon + 2 : colon + 1;
    size_t n = value_length(value, (size_t)(end - value));
    return n == 0 || add(l, p->key, value, n);
}

static bool read_printed(struct lines *l, const struct weir_config *c)
{
    struct weir_textbuf text;
    struct place p = {.key = ""};
    weir_textbuf_init(&text, PRINTED_BYTES_MAX);
    weir_config_print(c, &text);
    bool ok = !text.failed;
    for (size_t at = 0; ok && at < text.len;) {
        const char *begin = text.ptr + at;
        const char *newline = memchr(begin, '\n', text.len - at);
        const char *end = newline != NULL ? newline : text.ptr + text.len;
        ok = read_line(l, &p, begin, end);
        at += (size_t)(end - begin) + 1;
    }
    weir_textbuf_close(&text);
    return ok;
}

static void free_lines(struct lines *l)
{
    weir_arena_reset(&l->arena);
    free(l->at);
}

/* Both are in the schema's order, so the counterpart is nearly always the next one. */
static const struct line *find(const struct lines *l, const char *key, size_t *hint)
{
    for (size_t i = 0; i < l->count; i++) {
        size_t k = (*hint + i) % l->count;
        if (strcmp(l->at[k].key, key) == 0) {
            *hint = k + 1;
            return &l->at[k];
        }
    }
    return NULL;
}

static void compare(const struct lines *before, const struct lines *after, void *arg, weir_config_diff_cb cb)
{
    size_t hint = 0;
    for (size_t i = 0; i < after->count; i++) {
        const struct line *old = find(before, after->at[i].key, &hint);
        if (old == NULL || strcmp(old->value, after->at[i].value) != 0)
            cb(arg, after->at[i].key, old != NULL ? old->value : NULL, after->at[i].value);
    }
    hint = 0;
    for (size_t i = 0; i < before->count; i++)
        if (find(after, before->at[i].key, &hint) == NULL)
            cb(arg, before->at[i].key, before->at[i].value, NULL);
}

static void tell_secret(void *arg, weir_config_diff_cb cb, const char *name, const char *before, const char *after)
{
    char key[KEY_MAX];
    if (before == NULL || after == NULL || strcmp(before, after) == 0)
        return; /* coming and going shows in the printed text */
    snprintf(key, sizeof key, "%s", name);
    cb(arg, key, "\"********\"", "\"********\"");
}

/* Values of header fields are printed masked, as they may be keys; which fields there are is printed. */
static void compare_headers(const struct weir_config_provider *before, const struct weir_config_provider *after,
                            void *arg, weir_config_diff_cb cb)
{
    char key[KEY_MAX];
    if (before->headers.count != after->headers.count)
        return;
    for (size_t i = 0; i < after->headers.count; i++) {
        snprintf(key, sizeof key, "providers.%s.headers.%s", after->name, after->headers.at[i].name);
        if (strcmp(before->headers.at[i].name, after->headers.at[i].name) == 0)
            tell_secret(arg, cb, key, before->headers.at[i].value, after->headers.at[i].value);
    }
}

static void compare_secrets(const struct weir_config *before, const struct weir_config *after, void *arg,
                            weir_config_diff_cb cb)
{
    tell_secret(arg, cb, "server.admin.token", before->server.admin.token, after->server.admin.token);
    for (size_t i = 0; i < after->provider_count; i++) {
        const struct weir_config_provider *p = &after->providers[i];
        char key[KEY_MAX];
        snprintf(key, sizeof key, "providers.%s.api_key", p->name);
        for (size_t k = 0; k < before->provider_count; k++) {
            if (strcmp(before->providers[k].name, p->name) != 0)
                continue;
            tell_secret(arg, cb, key, before->providers[k].api_key, p->api_key);
            compare_headers(&before->providers[k], p, arg, cb);
        }
    }
}

int weir_config_diff(const struct weir_config *before, const struct weir_config *after, void *arg,
                     weir_config_diff_cb cb)
{
    struct lines a = {0}, b = {0};
    int rv = read_printed(&a, before) && read_printed(&b, after) ? WEIR_OK : WEIR_ENOMEM;
    if (rv == WEIR_OK) {
        compare(&a, &b, arg, cb);
        compare_secrets(before, after, arg, cb);
    }
    free_lines(&a);
    free_lines(&b);
    return rv;
}
