/* breaker open|close|reset: an operator's word to circuits, in the whole cluster. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/query.h"
#include "cli/show.h"
#include "cli/verb.h"

#define PAGE_MAX  1024u
#define NAMES_MAX 256u

/* Says which circuits there are, as many as fit. */
static int complain_of_name(const json_t *rows, const char *endpoint)
{
    char names[NAMES_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *name = ctl_text(json_array_get(rows, i), "endpoint", "-");
        if (len + strlen(name) + 2 >= sizeof names)
            break;
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? ", " : "", name);
    }
    return ctl_complain(WEIR_EXIT_FAILED, "weirctl breakers lists all circuits.",
                        "no endpoint is %.200s, or it has no circuit; there %s%s", endpoint,
                        len > 0 ? "are: " : "is none", names);
}

/* Whose circuit it is: an endpoint that stands under several providers has one for all of them. */
static json_t *providers_of(const json_t *rows, const char *endpoint)
{
    json_t *providers = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i), *provider = json_object_get(row, "provider");
        if (json_is_string(provider) && strcmp(ctl_text(row, "endpoint", ""), endpoint) == 0)
            json_array_append(providers, provider);
    }
    return providers;
}

/* "URL (also of b, c)" where a was named, "URL (of a, b, c)" where the URL was; alone: "URL". */
static void show_done(struct ctl_session *s, struct weir_textbuf *done, const char *state, const char *endpoint,
                      const char *named, const json_t *providers)
{
    struct weir_textbuf text;
    size_t shown = 0, count = json_array_size(providers);
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    weir_textbuf_str(&text, endpoint);
    for (size_t i = 0; i < count && count > 1; i++) {
        const char *provider = json_string_value(json_array_get(providers, i));
        if (named != NULL && strcmp(provider, named) == 0)
            continue;
        weir_textbuf_str(&text, shown++ > 0 ? ", " : named != NULL ? " (also of " : " (of ");
        weir_textbuf_str(&text, provider);
    }
    weir_textbuf_str(&text, shown > 0 ? ")" : "");
    ctl_fact(done, &s->style, state, strcmp(state, "open") == 0 ? CTL_BAD : CTL_GOOD, "%.*s", (int)text.len,
             text.len > 0 ? text.ptr : "");
    done->failed = done->failed || text.failed;
    weir_textbuf_close(&text);
}

/* What is done, and what is told of it. */
struct orders {
    struct ctl_session *session;
    const char *action;
    const char *named;  /* the provider whose endpoints are meant; NULL: one endpoint was named itself */
    const json_t *rows; /* the circuits, as the node shows them */
    struct weir_textbuf done;
    json_t *circuits;
};

static int order(struct orders *o, const char *endpoint)
{
    char name[64], page[PAGE_MAX];
    json_t *answer;
    snprintf(name, sizeof name, "/api/breaker/%s?endpoint=", o->action);
    if (!ctl_query(page, sizeof page, name, endpoint))
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "%.100s...: no endpoint is that long", endpoint);
    unsigned status;
    int code = ctl_post_any(o->session, page, &status, &answer);
    if (code == WEIR_EXIT_DONE && status == 404)
        code = complain_of_name(o->rows, endpoint);
    else if (code == WEIR_EXIT_DONE && status != 200)
        code = ctl_complain_of_status(o->session, page, status, answer);
    if (code == WEIR_EXIT_DONE) {
        const char *state = ctl_text(answer, "state", "-");
        json_t *providers = providers_of(o->rows, endpoint);
        show_done(o->session, &o->done, state, endpoint, o->named, providers);
        json_array_append_new(
            o->circuits, json_pack("{s:s, s:s, s:o}", "endpoint", endpoint, "state", state, "providers", providers));
    }
    json_decref(answer);
    return code;
}

/* A provider's name stands for all its endpoints. */
static int order_all(struct orders *o)
{
    size_t found = 0;
    int code = WEIR_EXIT_DONE;
    for (size_t i = 0; i < json_array_size(o->rows) && code == WEIR_EXIT_DONE; i++) {
        const json_t *row = json_array_get(o->rows, i);
        if (strcmp(ctl_text(row, "provider", ""), o->named) != 0)
            continue;
        found++;
        code = order(o, ctl_text(row, "endpoint", ""));
    }
    if (found == 0)
        code = ctl_complain(WEIR_EXIT_FAILED, "weirctl breakers lists the circuits.",
                            "no provider %s has a circuit; an endpoint is named by its URL", o->named);
    return code;
}

int ctl_run_breaker(struct ctl_session *s)
{
    const char *what = s->options->arguments[1];
    bool url = strstr(what, "://") != NULL;
    struct orders o = {.session = s, .action = s->options->arguments[0], .named = url ? NULL : what};
    json_t *page;
    int code = ctl_get(s, ctl_verbs[CTL_BREAKERS].page, &page);
    if (code != WEIR_EXIT_DONE)
        return code;
    o.rows = json_object_get(page, "breakers");
    o.circuits = json_array();
    weir_textbuf_init(&o.done, CTL_ANSWER_BYTES_MAX);
    code = url ? order(&o, what) : order_all(&o);
    json_t *value = json_pack("{s:i, s:o}", "schema", 1, "circuits", o.circuits);
    if (code == WEIR_EXIT_DONE && ctl_wants_value(s))
        code = ctl_put_value(s, value);
    else if (code == WEIR_EXIT_DONE)
        code = ctl_put(s, &o.done);
    weir_textbuf_close(&o.done);
    json_decref(value);
    json_decref(page);
    return code;
}
