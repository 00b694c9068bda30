#include "cli/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/show.h"
#include "core/coord.h"
#include "core/event_stream.h"

/* What a thousand nodes with every shard listed take, many times over. */
#define ANSWER_BYTES_MAX ((size_t)32 << 20)
/* An event, with what a stream puts around it. */
#define EVENT_BYTES_MAX ((size_t)4 * WEIR_COORD_EVENT_MAX)

/* A node that has nothing to tell says so more often than this (WEIR_FOLLOW_PULSE_MS). */
#define PAUSE_MS 35000u

struct running {
    const struct ctl_options *options;
    struct ctl_style style;
    char token[CTL_TOKEN_BYTES_MAX + 1];
    struct weir_textbuf body; /* of an answer that is read as a whole */
    struct weir_event_stream stream;
    bool streams;      /* the answer is a stream of events */
    bool write_failed; /* standard output has gone */
};

/* -- what went wrong -- */

static int complain(int code, const char *next, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int complain(int code, const char *next, const char *fmt, ...)
{
    char text[1024];
    struct weir_textbuf line;
    const struct ctl_style plain = {0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    weir_textbuf_init(&line, 2 * sizeof text);
    ctl_paint(&line, &plain, CTL_PLAIN, weir_str_of(text)); /* it may quote what a node said */
    fprintf(stderr, "weirctl: %.*s\n", (int)line.len, line.len > 0 ? line.ptr : "");
    if (next != NULL)
        fprintf(stderr, "  %s\n", next);
    weir_textbuf_close(&line);
    return code;
}

/* For somebody whose node did not answer. */
static const char *what_next(const struct ctl_options *o, const struct weir_err *err)
{
    bool plain = strncasecmp(o->node, "http://", 7) == 0;
    if (err->code == WEIR_ETLS)
        return o->ca_file == NULL
                   ? "Does it speak TLS there? --ca-file FILE names the authorities to check its certificate by."
                   : "Does it speak TLS there, does --ca-file name its authority, and the URL its name?";
    if (plain && (err->code == WEIR_ECLOSED || err->code == WEIR_EPROTO))
        return "Does a weir-node listen there, and without TLS? Otherwise its URL begins with https://.";
    return "Does weir-node run there? --node URL, or WEIR_NODE, names another node.";
}

static int complain_of_asking(const struct running *r, unsigned status, const struct weir_err *err)
{
    const char *node = r->options->node;
    if (err->code == WEIR_EINVAL && status == 0)
        return complain(WEIR_EXIT_USAGE, "A node's URL looks like " CTL_NODE_DEFAULT ".", "%s: %s", node, err->msg);
    if (status != 0)
        return complain(WEIR_EXIT_UNREACHABLE, "It may have been stopped. Ask again.",
                        "the answer of the node at %s was cut off: %s", node, err->msg);
    return complain(WEIR_EXIT_UNREACHABLE, what_next(r->options, err), "cannot reach the node at %s: %s", node,
                    err->msg);
}

/* The message of weir's own errors, or NULL. */
static const char *message_of(const json_t *answer)
{
    return ctl_text(json_object_get(answer, "error"), "message", NULL);
}

static int complain_of_status(const struct running *r, unsigned status, const json_t *answer)
{
    const char *node = r->options->node, *message = message_of(answer);
    if (status == 401)
        return complain(WEIR_EXIT_FAILED, "Give it with --token-file FILE or in WEIR_ADMIN_TOKEN.",
                        "the node at %s asks for its admin token (server.admin.token)", node);
    if (status == 404)
        return complain(WEIR_EXIT_FAILED, "Its pages may be at another address: server.admin.listen.",
                        "the node at %s has no page %s", node, ctl_verb_page(r->options->verb));
    return complain(WEIR_EXIT_FAILED, NULL, "the node at %s answered %u%s%s", node, status, message != NULL ? ": " : "",
                    message != NULL ? message : "");
}

/* -- output -- */

static int put(struct running *r, struct weir_textbuf *text)
{
    int code = WEIR_EXIT_DONE;
    if (text->failed) {
        code = complain(WEIR_EXIT_FAILED, NULL, "out of memory");
    } else if (fwrite(text->ptr, 1, text->len, stdout) != text->len || fflush(stdout) != 0) {
        r->write_failed = true;
        code = errno == EPIPE ? WEIR_EXIT_FAILED /* the reader has seen enough */
                              : complain(WEIR_EXIT_FAILED, NULL, "cannot write: %s", strerror(errno));
    }
    weir_textbuf_close(text);
    return code;
}

static void take_event(void *arg, const struct weir_event *e)
{
    struct running *r = arg;
    struct weir_textbuf text;
    json_t *event = json_loadb(e->data.ptr, e->data.len, 0, NULL);
    weir_textbuf_init(&text, ANSWER_BYTES_MAX);
    if (json_is_object(event))
        ctl_show_event(&text, r->options->output, &r->style, event);
    if (!r->write_failed)
        (void)put(r, &text);
    else
        weir_textbuf_close(&text);
    json_decref(event);
}

static bool take(void *arg, unsigned status, const uint8_t *bytes, size_t n)
{
    struct running *r = arg;
    r->streams = r->options->follow && status == 200;
    if (r->streams)
        return weir_event_stream_feed(&r->stream, bytes, n) && !r->write_failed;
    weir_textbuf_add(&r->body, bytes, n);
    return !r->body.failed;
}

static int show_answer(struct running *r, unsigned status)
{
    const struct ctl_options *o = r->options;
    struct weir_textbuf text;
    if (r->body.failed)
        return complain(WEIR_EXIT_FAILED, "Is it a weir node?", "the answer of the node at %s is longer than %zu MB",
                        o->node, ANSWER_BYTES_MAX >> 20);
    json_t *answer = r->body.len > 0 ? json_loadb(r->body.ptr, r->body.len, 0, NULL) : NULL;
    int code = WEIR_EXIT_DONE;
    weir_textbuf_init(&text, 4 * ANSWER_BYTES_MAX);
    if (status != 200) {
        code = complain_of_status(r, status, answer);
    } else if (!ctl_show(&text, o, &r->style, answer)) {
        code = complain(WEIR_EXIT_FAILED, "Is it a weir node, and of this version (" WEIR_VERSION ")?",
                        "what the node at %s answered is not %s", o->node, ctl_verb_page(o->verb));
    } else {
        code = put(r, &text);
        if (code == WEIR_EXIT_DONE && o->verb == CTL_STATUS && ctl_store_is_away(answer))
            code = WEIR_EXIT_UNREACHABLE;
    }
    weir_textbuf_close(&text);
    json_decref(answer);
    return code;
}

/* -- the token -- */

/* A token goes into a header field: nothing else may come with it. */
static bool is_token(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

static int read_token(struct running *r)
{
    const char *path = r->options->token_file;
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(r->token, 1, sizeof r->token, file) : 0;
    bool failed = file == NULL || ferror(file);
    int why = errno;
    if (file != NULL)
        fclose(file);
    if (failed)
        return complain(WEIR_EXIT_USAGE, NULL, "%s cannot be read: %s", path, strerror(why));
    if (n == sizeof r->token)
        return complain(WEIR_EXIT_USAGE, NULL, "%s is longer than %zu bytes: no token", path, CTL_TOKEN_BYTES_MAX);
    while (n > 0 && (r->token[n - 1] == '\n' || r->token[n - 1] == '\r'))
        n--;
    r->token[n] = '\0';
    if (n == 0 || !is_token(r->token))
        return complain(WEIR_EXIT_USAGE, "It is to hold the token and nothing else.", "%s holds no token", path);
    return 0;
}

static int find_token(struct running *r, const char **token)
{
    const struct ctl_options *o = r->options;
    if (o->token_file != NULL) {
        *token = r->token;
        return read_token(r);
    }
    *token = o->token;
    if (o->token != NULL && !is_token(o->token))
        return complain(WEIR_EXIT_USAGE, NULL, "WEIR_ADMIN_TOKEN holds no token: spaces or control characters");
    return 0;
}

/* -- the command -- */

static int ask(struct running *r)
{
    const struct ctl_options *o = r->options;
    char page[64];
    struct weir_err err = {0};
    unsigned status;
    struct ctl_ask a = {.url = o->node,
                        .page = ctl_verb_page(o->verb),
                        .accept = o->follow ? "text/event-stream" : "application/json",
                        .ca_file = o->ca_file,
                        .timeout_ms = o->timeout_ms,
                        .pause_ms = o->follow ? PAUSE_MS : 0,
                        .take = take,
                        .arg = r};
    int code = find_token(r, &a.token);
    if (code != 0)
        return code;
    if (o->verb == CTL_EVENTS) {
        snprintf(page, sizeof page, "%s?n=%u", a.page, o->count);
        a.page = page;
    }
    if (ctl_ask(&a, &status, &err) != 0)
        return complain_of_asking(r, status, &err);
    if (!r->streams)
        return show_answer(r, status);
    if (r->write_failed)
        return WEIR_EXIT_FAILED;
    return complain(WEIR_EXIT_UNREACHABLE, "It may have been stopped, or this follower was too slow. Follow again.",
                    "the node at %s ended the stream of events", o->node);
}

int ctl_run(const struct ctl_options *o)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    struct running r = {.options = o};
    r.style.wide = o->output == CTL_WIDE;
    r.style.colour = isatty(STDOUT_FILENO) && (no_colour == NULL || *no_colour == '\0') &&
                     (terminal == NULL || strcmp(terminal, "dumb") != 0);
    weir_textbuf_init(&r.body, ANSWER_BYTES_MAX);
    weir_event_stream_init(&r.stream, EVENT_BYTES_MAX, take_event, &r);
    int code = ask(&r);
    weir_event_stream_close(&r.stream);
    weir_textbuf_close(&r.body);
    explicit_bzero(r.token, sizeof r.token);
    return code;
}
