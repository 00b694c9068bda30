#include "cli/session.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/show.h"
#include "cli/store_ask.h"

/* -- what went wrong -- */

int ctl_complain(int code, const char *next, const char *fmt, ...)
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

/* For somebody whose store did not answer. */
static const char *what_next_of_store(const struct ctl_options *o, const struct weir_err *err)
{
    bool tls = strncasecmp(o->redis, "rediss", 6) == 0;
    if (strstr(err->msg, "NOAUTH") != NULL || strstr(err->msg, "WRONGPASS") != NULL) /* Redis' own words */
        return "Its password belongs into the URL: redis://:PASSWORD@host, or the same in WEIR_REDIS.";
    if (err->code == WEIR_ETLS || tls)
        return "Does it speak TLS there? Otherwise its URL begins with redis://. --ca-file FILE names the authorities "
               "to check its certificate by.";
    return "Does it run, and is --redis what the nodes have as redis_url? Where it speaks TLS, that is rediss://.";
}

/* Its URL may hold a password, and is not shown. */
static int complain_of_store(const struct ctl_options *o, const struct weir_err *err)
{
    if (err->code == WEIR_ENOTFOUND)
        return ctl_complain(WEIR_EXIT_FAILED,
                            "--cluster NAME, or WEIR_CLUSTER, is what its nodes have as distributed_pool.cluster.",
                            "%s", err->msg);
    if (err->code == WEIR_EINVAL)
        return ctl_complain(WEIR_EXIT_USAGE, "A store's URL looks like redis://127.0.0.1:6379; see distributed_pool.",
                            "--redis: %s", err->msg);
    return ctl_complain(WEIR_EXIT_UNREACHABLE, what_next_of_store(o, err), "the store cannot be asked: %s", err->msg);
}

int ctl_complain_of_asking(const struct ctl_session *s, unsigned status, const struct weir_err *err)
{
    const char *node = s->options->node;
    if (s->options->redis != NULL)
        return complain_of_store(s->options, err);
    if (err->code == WEIR_EINVAL && status == 0)
        return ctl_complain(WEIR_EXIT_USAGE, "A node's URL looks like " CTL_NODE_DEFAULT ".", "%s: %s", node, err->msg);
    if (status != 0)
        return ctl_complain(WEIR_EXIT_UNREACHABLE, "It may have been stopped. Ask again.",
                            "the answer of the node at %s was cut off: %s", node, err->msg);
    return ctl_complain(WEIR_EXIT_UNREACHABLE, what_next(s->options, err), "cannot reach the node at %s: %s", node,
                        err->msg);
}

int ctl_complain_of_status(const struct ctl_session *s, const char *page, unsigned status, const json_t *answer)
{
    const char *node = s->options->node, *message = ctl_text(json_object_get(answer, "error"), "message", NULL);
    if (status == 401)
        return ctl_complain(WEIR_EXIT_FAILED, "Give it with --token-file FILE or in WEIR_ADMIN_TOKEN.",
                            "the node at %s asks for its admin token (server.admin.token)", node);
    if (status == 404 && message == NULL)
        return ctl_complain(WEIR_EXIT_FAILED, "Its pages may be at another address: server.admin.listen.",
                            "the node at %s has no page %s", node, page);
    return ctl_complain(WEIR_EXIT_FAILED, NULL, "the node at %s answered %u%s%s", node, status,
                        message != NULL ? ": " : "", message != NULL ? message : "");
}

int ctl_complain_of_answer(const struct ctl_session *s, const char *page)
{
    return ctl_complain(WEIR_EXIT_FAILED, "Is it a weir node, and of this version (" WEIR_VERSION ")?",
                        "what the node at %s answered is not %s", s->options->node, page);
}

/* -- asking -- */

static bool take_body(void *arg, unsigned status, const uint8_t *bytes, size_t n)
{
    struct weir_textbuf *body = arg;
    (void)status;
    weir_textbuf_add(body, bytes, n);
    return !body->failed;
}

struct ctl_ask ctl_session_question(const struct ctl_session *s)
{
    return (struct ctl_ask){.url = s->options->node,
                            .accept = "application/json",
                            .token = s->bearer,
                            .ca_file = s->options->ca_file,
                            .timeout_ms = s->options->timeout_ms};
}

static int ask_store(const struct ctl_session *s, const char *page, unsigned *status, json_t **answer,
                     struct weir_err *err)
{
    const struct ctl_options *o = s->options;
    const struct ctl_store_ask a = {.url = o->redis,
                                    .cluster = o->cluster,
                                    .page = page,
                                    .ca_file = o->ca_file,
                                    .timeout_ms = o->timeout_ms,
                                    .events = o->verb == CTL_REPORT ? CTL_REPORT_EVENTS : o->count,
                                    .history_ms = s->history_ms};
    int rv = ctl_store_ask(&a, answer, err);
    *status = rv == 0 ? 200 : 0;
    return rv;
}

static int ask_quietly(struct ctl_session *s, bool post, const char *page, unsigned *status, json_t **answer,
                       struct weir_err *err)
{
    struct weir_textbuf body;
    struct ctl_ask a = ctl_session_question(s);
    *answer = NULL;
    *status = 0;
    if (s->options->redis != NULL) {
        assert(!post); /* what does something is asked of nodes (cli/verbs.h) */
        return ask_store(s, page, status, answer, err);
    }
    weir_textbuf_init(&body, CTL_ANSWER_BYTES_MAX);
    a.page = page;
    a.post = post;
    a.take = take_body;
    a.arg = &body;
    int rv = ctl_ask(&a, status, err);
    if (rv == 0 && body.failed)
        rv = weir_err_set(err, WEIR_ELIMIT, "the answer is longer than %zu MB", CTL_ANSWER_BYTES_MAX >> 20);
    if (rv == 0 && body.len > 0)
        *answer = json_loadb(body.ptr, body.len, 0, NULL);
    weir_textbuf_close(&body);
    return rv;
}

static int ask(struct ctl_session *s, bool post, const char *page, unsigned *status, json_t **answer)
{
    struct weir_err err = {0};
    int rv = ask_quietly(s, post, page, status, answer, &err);
    if (rv == WEIR_ELIMIT)
        return ctl_complain(WEIR_EXIT_FAILED, "Is it a weir node?", "the node at %s: %s", s->options->node, err.msg);
    return rv == 0 ? WEIR_EXIT_DONE : ctl_complain_of_asking(s, *status, &err);
}

int ctl_try(struct ctl_session *s, const char *page, unsigned *status, json_t **answer, struct weir_err *err)
{
    return ask_quietly(s, false, page, status, answer, err);
}

int ctl_look(struct ctl_session *s, const char *page, unsigned *status, json_t **answer)
{
    return ask(s, false, page, status, answer);
}

int ctl_post_any(struct ctl_session *s, const char *page, unsigned *status, json_t **answer)
{
    return ask(s, true, page, status, answer);
}

static int ask_well(struct ctl_session *s, bool post, const char *page, json_t **answer)
{
    unsigned status;
    int code = ask(s, post, page, &status, answer);
    if (code == WEIR_EXIT_DONE && status / 100 != 2)
        code = ctl_complain_of_status(s, page, status, *answer);
    else if (code == WEIR_EXIT_DONE && !json_is_object(*answer))
        code = ctl_complain_of_answer(s, page);
    if (code == WEIR_EXIT_DONE)
        return code;
    json_decref(*answer);
    *answer = NULL;
    return code;
}

int ctl_get(struct ctl_session *s, const char *page, json_t **answer)
{
    return ask_well(s, false, page, answer);
}

int ctl_post(struct ctl_session *s, const char *page, json_t **answer)
{
    return ask_well(s, true, page, answer);
}

/* -- output -- */

int ctl_put(struct ctl_session *s, struct weir_textbuf *text)
{
    int code = WEIR_EXIT_DONE;
    if (text->failed) {
        code = ctl_complain(WEIR_EXIT_FAILED, NULL, "out of memory");
    } else if (fwrite(text->ptr, 1, text->len, stdout) != text->len || fflush(stdout) != 0) {
        s->write_failed = true;
        code = errno == EPIPE ? WEIR_EXIT_FAILED /* the reader has seen enough */
                              : ctl_complain(WEIR_EXIT_FAILED, NULL, "cannot write: %s", strerror(errno));
    }
    weir_textbuf_close(text);
    return code;
}

bool ctl_wants_value(const struct ctl_session *s)
{
    return s->options->output == CTL_JSON || s->options->output == CTL_YAML;
}

int ctl_put_value(struct ctl_session *s, const json_t *value)
{
    struct weir_textbuf text;
    if (!ctl_wants_value(s))
        return WEIR_EXIT_DONE;
    weir_textbuf_init(&text, 4 * CTL_ANSWER_BYTES_MAX);
    ctl_show_value(&text, s->options->output, value);
    return ctl_put(s, &text);
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

static int read_token(struct ctl_session *s)
{
    const char *path = s->options->token_file;
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(s->token, 1, sizeof s->token, file) : 0;
    bool failed = file == NULL || ferror(file);
    int why = errno;
    if (file != NULL)
        fclose(file);
    if (failed)
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "%s cannot be read: %s", path, strerror(why));
    if (n == sizeof s->token)
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "%s is longer than %zu bytes: no token", path, CTL_TOKEN_BYTES_MAX);
    while (n > 0 && (s->token[n - 1] == '\n' || s->token[n - 1] == '\r'))
        n--;
    s->token[n] = '\0';
    if (n == 0 || !is_token(s->token))
        return ctl_complain(WEIR_EXIT_USAGE, "It is to hold the token and nothing else.", "%s holds no token", path);
    return 0;
}

int ctl_session_open(struct ctl_session *s, const struct ctl_options *o)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    *s = (struct ctl_session){.options = o, .bearer = o->token};
    s->style.wide = o->output == CTL_WIDE;
    s->style.colour = isatty(STDOUT_FILENO) && (no_colour == NULL || *no_colour == '\0') &&
                      (terminal == NULL || strcmp(terminal, "dumb") != 0);
    if (o->token_file != NULL) {
        s->bearer = s->token;
        return read_token(s);
    }
    if (o->token != NULL && !is_token(o->token))
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "WEIR_ADMIN_TOKEN holds no token: spaces or control characters");
    return 0;
}

void ctl_session_close(struct ctl_session *s)
{
    explicit_bzero(s->token, sizeof s->token);
}
