/* A growing text with a bound. A failed addition (out of memory, over the bound) is remembered and checked once, at the
 * end: what follows it is ignored. */
#ifndef WEIR_CORE_TEXTBUF_H
#define WEIR_CORE_TEXTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/str.h"

struct weir_textbuf {
    char *ptr; /* heap, not NUL-terminated */
    size_t len, cap, max;
    bool failed;
};

void weir_textbuf_init(struct weir_textbuf *t, size_t max);
/* Empty again, with the memory that it has. */
void weir_textbuf_clear(struct weir_textbuf *t);
/* Frees; the buffer is empty and usable afterwards. */
void weir_textbuf_close(struct weir_textbuf *t);

void weir_textbuf_add(struct weir_textbuf *t, const void *p, size_t n);
void weir_textbuf_str(struct weir_textbuf *t, const char *text);
void weir_textbuf_char(struct weir_textbuf *t, char c);
void weir_textbuf_u64(struct weir_textbuf *t, uint64_t v);
void weir_textbuf_printf(struct weir_textbuf *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
