#include "core/query.h"

struct field {
    struct weir_str name, value;
};

static struct weir_str query_of(struct weir_str target)
{
    const char *mark = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;
    if (mark == NULL)
        return (struct weir_str){0};
    return (struct weir_str){mark + 1, (size_t)(target.ptr + target.len - mark) - 1};
}

/* The text before the first `end`, which goes with it; all of it without one. */
static struct weir_str cut(struct weir_str *text, char end)
{
    const char *at = text->len > 0 ? memchr(text->ptr, end, text->len) : NULL;
    struct weir_str before = {text->ptr, at != NULL ? (size_t)(at - text->ptr) : text->len};
    size_t taken = before.len + (at != NULL);
    *text = (struct weir_str){text->ptr + taken, text->len - taken};
    return before;
}

/* The next field; empty ones ("&&") are none. False: no more. */
static bool next(struct weir_str *query, struct field *out)
{
    while (query->len > 0) {
        struct weir_str text = cut(query, '&');
        if (text.len == 0)
            continue;
        out->name = cut(&text, '=');
        out->value = text;
        return true;
    }
    return false;
}

/* RFC 3986 section 2.1. False: empty, too long, a broken escape, or a control character. */
static bool decode(char *out, size_t cap, struct weir_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? weir_hex_value(text.ptr[i + 1]) : -1,
                low = high >= 0 ? weir_hex_value(text.ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f || n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0;
}

enum weir_query_code weir_query_find(struct weir_str target, struct weir_str name, char *out, size_t cap)
{
    struct weir_str query = query_of(target);
    struct field f;
    enum weir_query_code code = WEIR_QUERY_NONE;
    out[0] = '\0';
    for (unsigned i = 0; next(&query, &f); i++) {
        if (i == WEIR_QUERY_FIELDS_MAX)
            return WEIR_QUERY_WRONG;
        if (!weir_str_eq(f.name, name))
            continue;
        if (code == WEIR_QUERY_FOUND || !decode(out, cap, f.value))
            return WEIR_QUERY_WRONG;
        code = WEIR_QUERY_FOUND;
    }
    return code;
}

bool weir_query_has_only(struct weir_str target, struct weir_str name)
{
    struct weir_str query = query_of(target);
    struct field f;
    while (next(&query, &f))
        if (!weir_str_eq(f.name, name))
            return false;
    return true;
}
