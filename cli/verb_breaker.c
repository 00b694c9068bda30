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
static int complain_of_name(struct ctl_session *s, const char *endpoint)
{
    char names[NAMES_MAX] = "";
    size_t len = 0;
    json_t *answer;
    int code = ctl_get(s, ctl_verbs[CTL_BREAKERS].page, &answer);
    if (code != WEIR_EXIT_DONE)
        return code;
    const json_t *rows = json_object_get(answer, "breakers");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *name = ctl_text(json_array_get(rows, i), "endpoint", "-");
        if (len + strlen(name) + 2 >= sizeof names)
            break;
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? ", " : "", name);
    }
    code = ctl_complain(WEIR_EXIT_FAILED, "weirctl breakers lists all circuits.",
                        "no endpoint is %.200s, or it has no circuit; there %s%s", endpoint,
                        len > 0 ? "are: " : "is none", names);
    json_decref(answer);
    return code;
}

static int order(struct ctl_session *s, const char *action, const char *endpoint, struct weir_textbuf *done,
                 json_t *value)
{
    char name[64], page[PAGE_MAX];
    json_t *answer;
    snprintf(name, sizeof name, "/api/breaker/%s?endpoint=", action);
    if (!ctl_query(page, sizeof page, name, endpoint))
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "%.100s...: no endpoint is that long", endpoint);
    unsigned status;
    int code = ctl_post_any(s, page, &status, &answer);
    if (code == WEIR_EXIT_DONE && status == 404)
        code = complain_of_name(s, endpoint);
    else if (code == WEIR_EXIT_DONE && status != 200)
        code = ctl_complain_of_status(s, page, status, answer);
    if (code != WEIR_EXIT_DONE) {
        json_decref(answer);
        return code;
    }
    const char *state = ctl_text(answer, "state", "-");
    ctl_fact(done, &s->style, state, strcmp(state, "open") == 0 ? CTL_BAD : CTL_GOOD, "%s", endpoint);
    json_array_append_new(value, json_pack("{s:s, s:s}", "endpoint", endpoint, "state", state));
    json_decref(answer);
    return code;
}

/* A provider's name stands for all its endpoints. */
static int order_all(struct ctl_session *s, const char *action, const char *provider, struct weir_textbuf *done,
                     json_t *value)
{
    json_t *answer;
    int code = ctl_get(s, ctl_verbs[CTL_BREAKERS].page, &answer);
    if (code != WEIR_EXIT_DONE)
        return code;
    const json_t *rows = json_object_get(answer, "breakers");
    size_t found = 0;
    for (size_t i = 0; i < json_array_size(rows) && code == WEIR_EXIT_DONE; i++) {
        const json_t *row = json_array_get(rows, i);
        if (strcmp(ctl_text(row, "provider", ""), provider) != 0)
            continue;
        found++;
        code = order(s, action, ctl_text(row, "endpoint", ""), done, value);
    }
    if (found == 0)
        code = ctl_complain(WEIR_EXIT_FAILED, "weirctl breakers lists the circuits.",
                            "no provider %s has a circuit; an endpoint is named by its URL", provider);
    json_decref(answer);
    return code;
}

int ctl_run_breaker(struct ctl_session *s)
{
    const char *action = s->options->arguments[0], *what = s->options->arguments[1];
    bool url = strstr(what, "://") != NULL;
    struct weir_textbuf text;
    json_t *circuits = json_array(), *value = json_pack("{s:i, s:o}", "schema", 1, "circuits", circuits);
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    int code = url ? order(s, action, what, &text, circuits) : order_all(s, action, what, &text, circuits);
    if (code == WEIR_EXIT_DONE && ctl_wants_value(s))
        code = ctl_put_value(s, value);
    else if (code == WEIR_EXIT_DONE)
        code = ctl_put(s, &text);
    weir_textbuf_close(&text);
    json_decref(value);
    return code;
}
