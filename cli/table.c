#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FACT_NAME_WIDTH 12u

struct ctl_cell {
    enum ctl_tone tone;
    unsigned width; /* characters on a terminal, each one column wide */
    unsigned len;
    char text[CTL_CELL_BYTES_MAX];
};

static const char *const tones[] = {
    [CTL_PLAIN] = "", [CTL_GOOD] = "\033[32m", [CTL_WARN] = "\033[33m", [CTL_BAD] = "\033[31m", [CTL_DIM] = "\033[2m"};

/* Whether a character of three bytes turns the direction of what follows it: U+202A to U+202E, U+2066 to U+2069. */
static bool turns_text(const unsigned char c[3])
{
    return c[0] == 0xe2 &&
           ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) || (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
}

/* C0, DEL, and C1 as UTF-8 spells it (0xc2 0x80 to 0xc2 0x9f): what terminals take for commands; and what has text read
 * in another order than it is written. In place. */
static void make_harmless(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char *c = (const unsigned char *)text + i;
        size_t n = 0; /* bytes that are no good */
        if (c[0] < 0x20 || c[0] == 0x7f)
            n = 1;
        else if (i + 1 < len && c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
            n = 2;
        else if (i + 2 < len && turns_text(c))
            n = 3;
        memset(text + i, '?', n);
    }
}

/* Characters of UTF-8: bytes that begin one. */
static unsigned width_of(const char *text, size_t len)
{
    unsigned n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* Prints, cuts in front of a character that does not fit, and makes harmless; returns the length. */
static size_t __attribute__((format(printf, 3, 0))) print_harmless(char *text, size_t cap, const char *fmt, va_list ap)
{
    int n = vsnprintf(text, cap, fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= cap) {
        len = cap - 1;
        while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
            len--;
        len -= len > 0 && (unsigned char)text[len - 1] >= 0xc0;
    }
    make_harmless(text, len);
    return len;
}

static void paint_raw(struct weir_textbuf *out, const struct ctl_style *style, enum ctl_tone tone, const char *text,
                      size_t len)
{
    bool coloured = style->colour && tone != CTL_PLAIN && len > 0;
    if (coloured)
        weir_textbuf_str(out, tones[tone]);
    weir_textbuf_add(out, text, len);
    if (coloured)
        weir_textbuf_str(out, "\033[0m");
}

void ctl_paint(struct weir_textbuf *out, const struct ctl_style *style, enum ctl_tone tone, struct weir_str text)
{
    while (text.len > 0) {
        char part[256];
        size_t n = text.len < sizeof part ? text.len : sizeof part;
        while (n < text.len && n > 1 && ((unsigned char)text.ptr[n] & 0xc0) == 0x80)
            n--; /* no character is split */
        memcpy(part, text.ptr, n);
        make_harmless(part, n);
        paint_raw(out, style, tone, part, n);
        text.ptr += n;
        text.len -= n;
    }
}

void ctl_table_begin(struct ctl_table *t, const struct ctl_column *columns, size_t column_count,
                     const struct ctl_style *style)
{
    assert(column_count > 0 && column_count <= CTL_TABLE_COLUMNS_MAX);
    *t = (struct ctl_table){.columns = columns, .column_count = column_count, .style = *style};
}

void ctl_table_cell(struct ctl_table *t, enum ctl_tone tone, const char *fmt, ...)
{
    if (t->count == t->cap && !t->failed) {
        size_t cap = t->cap == 0 ? 64 : 2 * t->cap;
        struct ctl_cell *cells = realloc(t->cells, cap * sizeof *cells);
        if (cells != NULL)
            t->cells = cells, t->cap = cap;
        t->failed = cells == NULL;
    }
    if (t->failed)
        return;
    struct ctl_cell *c = &t->cells[t->count++];
    va_list ap;
    va_start(ap, fmt);
    c->len = (unsigned)print_harmless(c->text, sizeof c->text, fmt, ap);
    va_end(ap);
    c->tone = tone;
    c->width = width_of(c->text, c->len);
}

static void add_row(const struct ctl_table *t, struct weir_textbuf *out, const struct ctl_cell *row,
                    const unsigned *widths)
{
    unsigned gap = 0; /* spaces owed: none are written at a line's end */
    for (size_t i = 0; i < t->column_count; i++) {
        if (t->columns[i].wide && !t->style.wide)
            continue;
        unsigned pad = widths[i] - row[i].width;
        gap += t->columns[i].right ? pad : 0;
        if (row[i].len > 0) {
            for (; gap > 0; gap--)
                weir_textbuf_char(out, ' ');
            paint_raw(out, &t->style, row[i].tone, row[i].text, row[i].len);
        } else {
            gap += row[i].width;
        }
        gap += (t->columns[i].right ? 0 : pad) + 2;
    }
    weir_textbuf_char(out, '\n');
}

void ctl_table_end(struct ctl_table *t, struct weir_textbuf *out)
{
    struct ctl_cell titles[CTL_TABLE_COLUMNS_MAX];
    unsigned widths[CTL_TABLE_COLUMNS_MAX];
    assert(t->column_count > 0 && t->column_count <= CTL_TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < t->column_count; i++) {
        struct ctl_cell *c = &titles[i];
        c->tone = CTL_DIM;
        c->len = (unsigned)snprintf(c->text, sizeof c->text, "%s", t->columns[i].title);
        widths[i] = c->width = c->len;
    }
    for (size_t i = 0; i < t->count; i++)
        if (t->cells[i].width > widths[i % t->column_count])
            widths[i % t->column_count] = t->cells[i].width;
    add_row(t, out, titles, widths);
    for (size_t i = 0; i + t->column_count <= t->count; i += t->column_count)
        add_row(t, out, &t->cells[i], widths);
    out->failed = out->failed || t->failed;
    ctl_table_drop(t);
}

void ctl_table_drop(struct ctl_table *t)
{
    free(t->cells);
    t->cells = NULL;
}

void ctl_fact(struct weir_textbuf *out, const struct ctl_style *style, const char *name, enum ctl_tone tone,
              const char *fmt, ...)
{
    char text[CTL_CELL_BYTES_MAX * 2];
    va_list ap;
    va_start(ap, fmt);
    size_t len = print_harmless(text, sizeof text, fmt, ap);
    va_end(ap);
    ctl_paint(out, style, CTL_DIM, weir_str_of(name)); /* of a node, perhaps */
    size_t at = strlen(name);
    do
        weir_textbuf_char(out, ' ');
    while (++at < FACT_NAME_WIDTH); /* a longer name is set off, too */
    paint_raw(out, style, tone, text, len);
    weir_textbuf_char(out, '\n');
}
