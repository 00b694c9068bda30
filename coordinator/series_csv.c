#include "coordinator/series_csv.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 63u
/* How far a time may be from a whole number of steps: clocks are written with few decimals. */
#define STEP_TOLERANCE 0.001

struct parser {
    struct weir_series *s;
    struct weir_str rest;
    unsigned line;
    size_t cells;     /* in the header */
    size_t cap;       /* values that there is room for */
    size_t count_max; /* the caller's bound */
    double previous;  /* time */
};

static bool next_line(struct parser *p, struct weir_str *line)
{
    if (p->rest.len == 0)
        return false;
    const char *end = memchr(p->rest.ptr, '\n', p->rest.len);
    size_t len = end != NULL ? (size_t)(end - p->rest.ptr) : p->rest.len;
    *line = (struct weir_str){p->rest.ptr, len};
    size_t taken = end != NULL ? len + 1 : len;
    p->rest = (struct weir_str){p->rest.ptr + taken, p->rest.len - taken};
    if (line->len > 0 && line->ptr[line->len - 1] == '\r')
        line->len--;
    p->line++;
    return true;
}

/* Takes the cell up to the next comma off the line; false behind the last one. */
static bool next_cell(struct weir_str *line, struct weir_str *cell)
{
    if (line->ptr == NULL)
        return false;
    const char *comma = line->len > 0 ? memchr(line->ptr, ',', line->len) : NULL;
    if (comma == NULL) {
        *cell = weir_str_trim(*line);
        *line = (struct weir_str){NULL, 0};
        return true;
    }
    size_t len = (size_t)(comma - line->ptr);
    *cell = weir_str_trim((struct weir_str){line->ptr, len});
    *line = (struct weir_str){comma + 1, line->len - len - 1};
    return true;
}

/* Decimal, 0 or more, finite. */
static bool number_of(struct weir_str cell, double *out)
{
    char text[NUMBER_MAX + 1], *end;
    if (cell.len == 0 || cell.len > NUMBER_MAX)
        return false;
    for (size_t i = 0; i < cell.len; i++)
        if (strchr("0123456789.eE+-", cell.ptr[i]) == NULL || cell.ptr[i] == '\0')
            return false;
    memcpy(text, cell.ptr, cell.len);
    text[cell.len] = '\0';
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out) && *out >= 0;
}

static int wrong(const struct parser *p, struct weir_err *err, const char *what)
{
    return weir_err_set(err, WEIR_EINVAL, "line %u: %s", p->line, what);
}

static int add(struct parser *p, double value, struct weir_err *err)
{
    struct weir_series *s = p->s;
    if (s->count == p->count_max)
        return weir_err_set(err, WEIR_EINVAL, "line %u: more than %zu steps", p->line, p->count_max);
    if (s->count == p->cap) {
        size_t cap = p->cap == 0 ? 1024 : 2 * p->cap;
        double *grown = realloc(s->values, cap * sizeof *grown);
        if (grown == NULL)
            return weir_err_set(err, WEIR_ENOMEM, "out of memory");
        s->values = grown;
        p->cap = cap;
    }
    s->values[s->count++] = value;
    s->gaps += isnan(value) ? 1 : 0;
    return WEIR_OK;
}

static int header(struct parser *p, struct weir_err *err)
{
    struct weir_str line, cell;
    if (!next_line(p, &line))
        return weir_err_set(err, WEIR_EINVAL, "is empty");
    while (next_cell(&line, &cell))
        if (p->cells++ == 0 && !weir_str_eq(cell, WEIR_STR("t")))
            return wrong(p, err, "the header's first name is not \"t\" (the time in seconds)");
    return p->cells < 2 ? wrong(p, err, "a header of one column: \"t\" and a series are needed") : WEIR_OK;
}

/* A line after the first one: the steps left out before it, then its value. */
static int place(struct parser *p, double time, double value, struct weir_err *err)
{
    double steps = (time - p->previous) / p->s->step_s, whole = round(steps);
    if (steps <= 0)
        return wrong(p, err, "its time is not after that of the line before it");
    if (fabs(steps - whole) > STEP_TOLERANCE || whole < 1)
        return weir_err_set(
            err, WEIR_EINVAL,
            "line %u: its time is %g s after that of the line before it: not a whole number of steps of %g s", p->line,
            time - p->previous, p->s->step_s);
    if (whole > (double)p->count_max)
        return weir_err_set(err, WEIR_EINVAL, "line %u: more than %zu steps", p->line, p->count_max);
    int rv = WEIR_OK;
    for (size_t gap = 1; gap < (size_t)whole && rv == WEIR_OK; gap++)
        rv = add(p, NAN, err);
    return rv == WEIR_OK ? add(p, value, err) : rv;
}

static int row(struct parser *p, struct weir_str line, bool first, struct weir_err *err)
{
    struct weir_str cell;
    double time = 0, value = NAN;
    size_t cells = 0;
    if (line.len > WEIR_SERIES_LINE_MAX)
        return wrong(p, err, "too long");
    for (; next_cell(&line, &cell); cells++) {
        if (cells == 0 && !number_of(cell, &time))
            return wrong(p, err, "its time is not a number of 0 or more");
        if (cells == 1 && cell.len > 0 && !number_of(cell, &value))
            return wrong(p, err, "its load is not a number of 0 or more");
    }
    if (cells != p->cells)
        return weir_err_set(err, WEIR_EINVAL, "line %u: %zu cells, and the header has %zu", p->line, cells, p->cells);
    if (!first && p->s->step_s <= 0) {
        p->s->step_s = time - p->previous;
        if (p->s->step_s <= 0)
            return wrong(p, err, "its time is not after that of the line before it");
    }
    int rv = first ? add(p, value, err) : place(p, time, value, err);
    p->previous = time;
    return rv;
}

int weir_series_parse(struct weir_series *s, struct weir_str text, double step_s, size_t count_max,
                      struct weir_err *err)
{
    *s = (struct weir_series){.step_s = step_s};
    struct parser p = {.s = s, .rest = text, .count_max = count_max};
    struct weir_str line;
    int rv = header(&p, err);
    while (rv == WEIR_OK && next_line(&p, &line))
        rv = row(&p, line, s->count == 0, err);
    if (rv == WEIR_OK && (s->count == 0 || s->step_s <= 0))
        rv = weir_err_set(err, WEIR_EINVAL, "has no series: two lines of numbers at least");
    else if (rv == WEIR_OK && s->gaps > s->count / 2)
        rv = weir_err_set(err, WEIR_EINVAL, "%zu of %zu steps of %g s have no load: not a series of this step", s->gaps,
                          s->count, s->step_s);
    if (rv != WEIR_OK)
        weir_series_close(s);
    return rv;
}

void weir_series_close(struct weir_series *s)
{
    free(s->values);
    *s = (struct weir_series){0};
}
