#include "cli/run.h"

#include <string.h>

#include "cli/help.h"
#include "cli/show.h"
#include "cli/verb.h"

/* Verbs that show a page of the node's as it is. */
static int run_page(struct ctl_session *s)
{
    const struct ctl_options *o = s->options;
    const char *page = ctl_verbs[o->verb].page;
    struct weir_textbuf text;
    json_t *answer;
    int code = ctl_get(s, page, &answer);
    if (code != WEIR_EXIT_DONE)
        return code;
    weir_textbuf_init(&text, 4 * CTL_ANSWER_BYTES_MAX);
    if (ctl_show(&text, o, &s->style, answer))
        code = ctl_put(s, &text);
    else
        code = ctl_complain_of_answer(s, page);
    if (code == WEIR_EXIT_DONE && o->verb == CTL_STATUS && ctl_store_is_away(answer))
        code = WEIR_EXIT_UNREACHABLE;
    if (code == WEIR_EXIT_DONE && o->verb == CTL_HINTS && !json_is_true(json_object_get(answer, "valid")))
        code = WEIR_EXIT_FAILED;
    weir_textbuf_close(&text);
    json_decref(answer);
    return code;
}

static int run_completion(struct ctl_session *s)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    if (strcmp(s->options->arguments[0], "man") == 0)
        ctl_manual(&text);
    else
        ctl_completion(&text, s->options->arguments[0]);
    return ctl_put(s, &text);
}

int ctl_run(const struct ctl_options *o)
{
    static int (*const runs[CTL_VERBS])(struct ctl_session * s) = {
        [CTL_EVENTS] = ctl_run_events,     [CTL_REBALANCE] = ctl_run_rebalance,
        [CTL_DRAIN] = ctl_run_drain,       [CTL_UNDRAIN] = ctl_run_undrain,
        [CTL_BREAKER] = ctl_run_breaker,   [CTL_RELOAD] = ctl_run_reload,
        [CTL_CONFIG] = ctl_run_config,     [CTL_DOCTOR] = ctl_run_doctor,
        [CTL_REPORT] = ctl_run_report,     [CTL_BENCH] = ctl_run_bench,
        [CTL_TOP] = ctl_run_top,           [CTL_TUNE] = ctl_run_tune,
        [CTL_COMPLETION] = run_completion,
    };
    struct ctl_session s;
    int code = ctl_session_open(&s, o);
    if (code == 0)
        code = runs[o->verb] != NULL ? runs[o->verb](&s) : run_page(&s);
    ctl_session_close(&s);
    return code;
}
