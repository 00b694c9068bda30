/* Text for people: columns that line up, colours where they are wanted. Pure. What comes from a node is somebody else's
 * text: bytes that a terminal would obey, or that turn the direction of what follows, are shown as '?', and a cell is
 * cut at CTL_CELL_BYTES_MAX. */
#ifndef WEIR_CLI_TABLE_H
#define WEIR_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/textbuf.h"

/* The longest id of an endpoint, and some. */
#define CTL_CELL_BYTES_MAX    ((size_t)300)
#define CTL_TABLE_COLUMNS_MAX 16u

enum ctl_tone { CTL_PLAIN, CTL_GOOD, CTL_WARN, CTL_BAD, CTL_DIM };

struct ctl_style {
    bool colour;
    bool wide;
};

struct ctl_column {
    const char *title;
    bool right; /* aligned: numbers */
    bool wide;  /* shown in wide tables only */
};

struct ctl_table {
    const struct ctl_column *columns; /* at most CTL_TABLE_COLUMNS_MAX */
    size_t column_count;
    struct ctl_style style;
    struct ctl_cell *cells; /* row by row */
    size_t count, cap;
    bool failed; /* out of memory: ctl_table_end tells */
};

void ctl_table_begin(struct ctl_table *t, const struct ctl_column *columns, size_t column_count,
                     const struct ctl_style *style);
/* The next cell; a row is full, and the next one begins, after column_count of them, those for wide tables counted. */
void ctl_table_cell(struct ctl_table *t, enum ctl_tone tone, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the titles and the rows to out, frees. */
void ctl_table_end(struct ctl_table *t, struct weir_textbuf *out);

/* Frees without adding anything. */
void ctl_table_drop(struct ctl_table *t);

/* One line "NAME   text" of a list of facts; both are made harmless. */
void ctl_fact(struct weir_textbuf *out, const struct ctl_style *style, const char *name, enum ctl_tone tone,
              const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Text in a tone, made harmless. */
void ctl_paint(struct weir_textbuf *out, const struct ctl_style *style, enum ctl_tone tone, struct weir_str text);

#endif
