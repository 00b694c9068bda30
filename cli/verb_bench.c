/* bench URL: a small load, and what became of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/load.h"
#include "cli/progress.h"
#include "cli/verb.h"

#define BODY_BYTES_MAX ((size_t)1 << 20)

static int read_body(const char *path, char **out, size_t *len)
{
    FILE *file = fopen(path, "re");
    char *body = file != NULL ? malloc(BODY_BYTES_MAX + 1) : NULL;
    *len = body != NULL ? fread(body, 1, BODY_BYTES_MAX + 1, file) : 0;
    bool failed = body == NULL || ferror(file);
    int why = errno;
    if (file != NULL)
        fclose(file);
    if (!failed && *len <= BODY_BYTES_MAX) {
        *out = body;
        return 0;
    }
    free(body);
    return failed ? ctl_complain(WEIR_EXIT_USAGE, NULL, "%s cannot be read: %s", path, strerror(why))
                  : ctl_complain(WEIR_EXIT_USAGE, NULL, "%s is longer than %zu MB", path, BODY_BYTES_MAX >> 20);
}

struct showing {
    struct ctl_progress bar;
    unsigned all;
};

static void show_progress(void *arg, unsigned done)
{
    struct showing *w = arg;
    /* A hundred times at most: a terminal is slower than a node. */
    if (done == w->all || done % (w->all / 100 + 1) == 0)
        ctl_progress_set(&w->bar, (double)done / w->all, "%u of %u requests", done, w->all);
}

/* -- the outcome -- */

static const double parts[] = {0.5, 0.9, 0.99};

static void show_times(struct weir_textbuf *out, const struct ctl_style *style, const char *name,
                       const struct ctl_histogram *h)
{
    char a[CTL_TIME_MAX], b[CTL_TIME_MAX], c[CTL_TIME_MAX], d[CTL_TIME_MAX];
    ctl_fact(out, style, name, CTL_PLAIN, "p50 %s, p90 %s, p99 %s, longest %s",
             ctl_time(a, ctl_histogram_at(h, parts[0])), ctl_time(b, ctl_histogram_at(h, parts[1])),
             ctl_time(c, ctl_histogram_at(h, parts[2])), ctl_time(d, h->max_us));
}

static void show_result(struct weir_textbuf *out, const struct ctl_style *style, const struct ctl_load_result *r)
{
    char statuses[160] = "";
    size_t len = 0;
    for (unsigned i = 1; i < 6; i++)
        if (r->statuses[i] > 0)
            len += (size_t)snprintf(statuses + len, sizeof statuses - len, "%s%u of %uxx", len > 0 ? ", " : "",
                                    r->statuses[i], i);
    double seconds = (double)r->took_us / 1e6;
    unsigned answered = r->done - r->statuses[0];
    if (answered > 0)
        ctl_fact(out, style, "requests", CTL_PLAIN, "%u in %.2f s: %.1f/s, %.1f KB/s", r->done, seconds,
                 answered / seconds, (double)r->bytes / 1e3 / seconds);
    else /* how fast it fails is no throughput */
        ctl_fact(out, style, "requests", CTL_PLAIN, "%u in %.2f s", r->done, seconds);
    ctl_fact(out, style, "connections", CTL_PLAIN, "%u", r->connections);
    ctl_fact(out, style, "answers", r->statuses[5] > 0 ? CTL_BAD : CTL_PLAIN, "%s", len > 0 ? statuses : "none");
    if (r->statuses[0] > 0)
        ctl_fact(out, style, "failed", CTL_BAD, "%u, the first: %s", r->statuses[0], r->failure.msg);
    if (r->whole.count == 0)
        return;
    show_times(out, style, "first byte", &r->first);
    show_times(out, style, "whole", &r->whole);
    weir_textbuf_char(out, '\n');
    ctl_histogram_show(&r->whole, out, style);
}

static json_t *times_of(const struct ctl_histogram *h)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "p50", (double)ctl_histogram_at(h, parts[0]) / 1e3, "p90",
                     (double)ctl_histogram_at(h, parts[1]) / 1e3, "p99", (double)ctl_histogram_at(h, parts[2]) / 1e3,
                     "max", (double)h->max_us / 1e3, "mean",
                     h->count > 0 ? (double)h->sum_us / (double)h->count / 1e3 : 0.0);
}

static json_t *value_of(const struct ctl_load_result *r)
{
    return json_pack("{s:i, s:i, s:i, s:f, s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:I, s:o, s:o}", "schema", 1, "requests",
                     (int)r->done, "connections", (int)r->connections, "seconds", (double)r->took_us / 1e6, "answers",
                     "none", (int)r->statuses[0], "1xx", (int)r->statuses[1], "2xx", (int)r->statuses[2], "3xx",
                     (int)r->statuses[3], "4xx", (int)r->statuses[4], "5xx", (int)r->statuses[5], "bytes",
                     (json_int_t)r->bytes, "first_byte_ms", times_of(&r->first), "whole_ms", times_of(&r->whole));
}

static int put_result(struct ctl_session *s, const struct ctl_load_result *r)
{
    struct weir_textbuf text;
    int code;
    if (ctl_wants_value(s)) {
        json_t *value = value_of(r);
        code = ctl_put_value(s, value);
        json_decref(value);
    } else {
        weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
        show_result(&text, &s->style, r);
        code = ctl_put(s, &text);
    }
    if (code == WEIR_EXIT_DONE && r->statuses[0] == r->done)
        return WEIR_EXIT_UNREACHABLE;
    return code == WEIR_EXIT_DONE && r->statuses[0] + r->statuses[5] > 0 ? WEIR_EXIT_FAILED : code;
}

int ctl_run_bench(struct ctl_session *s)
{
    const struct ctl_options *o = s->options;
    char *body = NULL;
    size_t len = 0;
    struct weir_err err = {0};
    struct showing showing = {.all = o->requests};
    struct ctl_load_result *result = calloc(1, sizeof *result);
    if (result == NULL)
        return ctl_complain(WEIR_EXIT_FAILED, NULL, "out of memory");
    int code = o->data_file != NULL ? read_body(o->data_file, &body, &len) : WEIR_EXIT_DONE;
    if (code == WEIR_EXIT_DONE) {
        const struct ctl_load load = {.url = o->arguments[0],
                                      .bearer = o->token_file != NULL ? s->bearer : NULL, /* no admin token by chance */
                                      .ca_file = o->ca_file,
                                      .body = body,
                                      .body_len = len,
                                      .requests = showing.all,
                                      .clients = o->clients,
                                      .sessions = o->sessions,
                                      .keepalive = !o->no_keepalive,
                                      .timeout_ms = o->timeout_ms,
                                      .progress = show_progress,
                                      .arg = &showing};
        ctl_progress_begin(&showing.bar);
        int rv = ctl_load_run(&load, result, &err);
        ctl_progress_end(&showing.bar);
        code = rv == 0 ? put_result(s, result)
                       : ctl_complain(rv == WEIR_EINVAL ? WEIR_EXIT_USAGE : WEIR_EXIT_UNREACHABLE,
                                      "A URL looks like http://127.0.0.1:8000/openai/v1/models.", "%s: %s",
                                      o->arguments[0], err.msg);
    }
    free(body);
    free(result);
    return code;
}
