#include "core/textbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES ((size_t)4096)

void weir_textbuf_init(struct weir_textbuf *t, size_t max)
{
    *t = (struct weir_textbuf){.max = max};
}

void weir_textbuf_clear(struct weir_textbuf *t)
{
    t->len = 0;
    t->failed = false;
}

void weir_textbuf_close(struct weir_textbuf *t)
{
    free(t->ptr);
    weir_textbuf_init(t, t->max);
}

static bool reserve(struct weir_textbuf *t, size_t n)
{
    if (t->failed)
        return false;
    if (t->cap - t->len >= n)
        return true;
    if (n > t->max - t->len) {
        t->failed = true;
        return false;
    }
    size_t cap = t->cap > 0 ? t->cap : FIRST_BYTES;
    while (cap - t->len < n)
        cap *= 2;
    if (cap > t->max)
        cap = t->max;
    char *ptr = realloc(t->ptr, cap);
    if (ptr == NULL) {
        t->failed = true;
        return false;
    }
    t->ptr = ptr;
    t->cap = cap;
    return true;
}

void weir_textbuf_add(struct weir_textbuf *t, const void *p, size_t n)
{
    if (n == 0 || !reserve(t, n))
        return;
    memcpy(t->ptr + t->len, p, n);
    t->len += n;
}

void weir_textbuf_str(struct weir_textbuf *t, const char *text)
{
    weir_textbuf_add(t, text, strlen(text));
}

void weir_textbuf_char(struct weir_textbuf *t, char c)
{
    weir_textbuf_add(t, &c, 1);
}

void weir_textbuf_u64(struct weir_textbuf *t, uint64_t v)
{
    char digits[20], *at = digits + sizeof digits;
    do {
        *--at = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    weir_textbuf_add(t, at, (size_t)(digits + sizeof digits - at));
}

void weir_textbuf_printf(struct weir_textbuf *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    /* One more for the terminator that vsnprintf insists on. */
    if (n >= 0 && reserve(t, (size_t)n + 1)) {
        vsnprintf(t->ptr + t->len, (size_t)n + 1, fmt, again);
        t->len += (size_t)n;
    } else {
        t->failed = true;
    }
    va_end(again);
}
