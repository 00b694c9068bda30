#include "coordinator/backtest.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exit.h"
#include "core/render_tree.h"

/* A table or an object of a few lines, and a file's name. */
#define TEXT_MAX   ((size_t)65536)
#define INDENT     2u
#define READ_BYTES ((size_t)65536)

/* A share as per cent, or a dash where there is none. */
static void cell(struct weir_textbuf *out, int width, double value, double factor, int decimals)
{
    if (isnan(value))
        weir_textbuf_printf(out, "%*s", width, "-");
    else
        weir_textbuf_printf(out, "%*.*f", width, decimals, value * factor);
}

void weir_backtest_table(struct weir_textbuf *out, const char *name, const struct weir_series *s, unsigned horizon,
                         const struct weir_backtest *b)
{
    weir_textbuf_printf(out, "%s: %zu steps of %g s, %zu of them gaps\n", name, s->count, s->step_s, s->gaps);
    weir_textbuf_printf(out, "%u steps ahead (%g min), from %u origins in the last third\n\n", horizon,
                        horizon * s->step_s / 60, b->origins);
    weir_textbuf_str(out, "method    MASE  pinball 0.9 %  covered %   spare %   short %\n");
    for (unsigned m = 0; m < WEIR_BACKTEST_METHODS; m++) {
        const struct weir_backtest_score *score = &b->methods[m];
        weir_textbuf_printf(out, "%-6s", weir_backtest_name((enum weir_backtest_method)m));
        cell(out, 8, score->mase, 1, 3);
        cell(out, 15, score->pinball90_rel, 100, 2);
        cell(out, 11, score->coverage90, 100, 1);
        cell(out, 10, score->spare_rel, 100, 1);
        cell(out, 10, score->short_rel, 100, 2);
        weir_textbuf_char(out, '\n');
    }
    weir_textbuf_str(
        out, "\nMASE: error of the middle, in mean steps of the history. covered: values under the 0.9 band (90 is\n"
             "right). Pinball loss of the band, and what exactly the band would have cost as capacity: what nobody\n"
             "used (spare) and what was missing (short), are shares of the mean load.\n");
}

void weir_backtest_json(struct weir_textbuf *out, const char *name, const struct weir_series *s, unsigned horizon,
                        const struct weir_backtest *b)
{
    struct weir_tree t;
    weir_tree_begin(&t);
    weir_tree_text(&t, t.root, "series", name);
    if (s->step_s == floor(s->step_s))
        weir_tree_u64(&t, t.root, "step", (uint64_t)s->step_s);
    else
        weir_tree_real(&t, t.root, "step", s->step_s);
    weir_tree_u64(&t, t.root, "horizon", horizon);
    weir_tree_u64(&t, t.root, "origins", b->origins);
    json_t *methods = weir_tree_child(&t, t.root, "methods");
    for (unsigned m = 0; m < WEIR_BACKTEST_METHODS; m++) {
        const struct weir_backtest_score *score = &b->methods[m];
        json_t *method = weir_tree_child(&t, methods, weir_backtest_name((enum weir_backtest_method)m));
        weir_tree_real(&t, method, "mase", score->mase);
        weir_tree_real(&t, method, "pinball90_rel", score->pinball90_rel);
        weir_tree_real(&t, method, "coverage90", score->coverage90);
    }
    if (weir_tree_finish(&t, out, INDENT) != WEIR_OK)
        out->failed = true;
}

/* The whole file, at most its bound. */
static int read_all(const char *path, struct weir_textbuf *text, struct weir_err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return weir_err_set(err, WEIR_EIO, "%s", strerror(errno));
    static char chunk[READ_BYTES];
    size_t n;
    while (!text->failed && (n = fread(chunk, 1, sizeof chunk, file)) > 0)
        weir_textbuf_add(text, chunk, n);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (failed != 0)
        return weir_err_set(err, WEIR_EIO, "%s", strerror(failed));
    return text->failed ? weir_err_set(err, WEIR_ELIMIT, "is above %zu MB", WEIR_BACKTEST_FILE_BYTES_MAX >> 20)
                        : WEIR_OK;
}

/* The file's name without its folder and ".csv". */
static void name_of(const char *path, char *name, size_t size)
{
    const char *slash = strrchr(path, '/');
    snprintf(name, size, "%s", slash != NULL ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name && strcmp(dot, ".csv") == 0)
        *dot = '\0';
}

static int show(const struct weir_backtest_opts *opts, const struct weir_series *s, const struct weir_backtest *b,
                struct weir_err *err)
{
    char name[256];
    struct weir_textbuf out;
    name_of(opts->path, name, sizeof name);
    weir_textbuf_init(&out, TEXT_MAX);
    if (opts->json)
        weir_backtest_json(&out, name, s, opts->horizon, b);
    else
        weir_backtest_table(&out, name, s, opts->horizon, b);
    int rv = WEIR_OK;
    if (out.failed)
        rv = weir_err_set(err, WEIR_EINVAL, "its name is not UTF-8, or out of memory");
    else if (fwrite(out.ptr, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
        rv = weir_err_set(err, WEIR_EIO, "standard output: %s", strerror(errno));
    weir_textbuf_close(&out);
    return rv;
}

int weir_backtest_main(const struct weir_backtest_opts *opts)
{
    struct weir_err err = {0};
    struct weir_textbuf text;
    struct weir_series series = {0};
    struct weir_backtest result;
    weir_textbuf_init(&text, WEIR_BACKTEST_FILE_BYTES_MAX);
    int rv = read_all(opts->path, &text, &err);
    if (rv == WEIR_OK)
        rv = weir_series_parse(&series, (struct weir_str){text.ptr, text.len}, opts->step_s, WEIR_BACKTEST_VALUES_MAX,
                               &err);
    if (rv == WEIR_OK)
        rv = weir_backtest_run(&result, series.values, series.count, series.step_s, opts->horizon, &err);
    if (rv == WEIR_OK)
        rv = show(opts, &series, &result, &err);
    weir_series_close(&series);
    weir_textbuf_close(&text);
    if (rv == WEIR_OK)
        return WEIR_EXIT_DONE;
    fprintf(stderr, "weir-coordinator: %s: %s\n", opts->path, err.msg);
    return WEIR_EXIT_FAILED;
}
