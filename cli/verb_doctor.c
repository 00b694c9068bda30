/* doctor: looks at a node and its cluster for some seconds, and says what is wrong. */
#include <stdio.h>
#include <time.h>

#include "cli/doctor_checks.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "cli/verb.h"

#define STEP_MS 100u

/* With the bar, for as long as the look lasts. */
static void watch(double seconds)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
    struct ctl_progress bar;
    unsigned steps = (unsigned)(seconds * 1000 / STEP_MS);
    ctl_progress_begin(&bar);
    for (unsigned i = 0; i < steps; i++) {
        ctl_progress_set(&bar, (double)i / steps, "looking at it for %g s", seconds);
        nanosleep(&step, NULL);
    }
    ctl_progress_end(&bar);
}

static void show_lines(struct weir_textbuf *out, const struct ctl_style *style, const char *indent, const char *lines)
{
    while (*lines != '\0') {
        const char *end = lines;
        while (*end != '\0' && *end != '\n')
            end++;
        weir_textbuf_str(out, indent);
        ctl_paint(out, style, CTL_PLAIN, (struct weir_str){lines, (size_t)(end - lines)});
        weir_textbuf_char(out, '\n');
        lines = *end != '\0' ? end + 1 : end;
    }
}

/* What would be proposed if it were not so already. */
static void show_held(struct weir_textbuf *out, const struct ctl_style *style, const json_t *held)
{
    for (size_t i = 0; i < json_array_size(held); i++) {
        weir_textbuf_str(out, i == 0 ? "  set already: " : "; ");
        ctl_paint(out, style, CTL_PLAIN, weir_str_of(json_string_value(json_array_get(held, i))));
    }
    if (json_array_size(held) > 0)
        weir_textbuf_char(out, '\n');
}

static void show_finding(struct weir_textbuf *out, const struct ctl_style *style, const json_t *f)
{
    const char *provider = ctl_text(f, "provider", NULL), *advice = ctl_text(f, "advice", NULL),
               *change = ctl_text(f, "change", "");
    const json_t *evidence = json_object_get(f, "evidence");
    ctl_paint(out, style, CTL_BAD, weir_str_of(ctl_text(f, "kind", "-")));
    if (provider != NULL) {
        weir_textbuf_str(out, " at ");
        ctl_paint(out, style, CTL_PLAIN, weir_str_of(provider));
    }
    weir_textbuf_str(out, ", node ");
    ctl_paint(out, style, CTL_PLAIN, weir_str_of(ctl_text(f, "node", "-")));
    weir_textbuf_char(out, '\n');
    for (size_t i = 0; i < json_array_size(evidence); i++) {
        weir_textbuf_str(out, "  - ");
        ctl_paint(out, style, CTL_PLAIN, weir_str_of(json_string_value(json_array_get(evidence, i))));
        weir_textbuf_char(out, '\n');
    }
    if (*change != '\0') {
        weir_textbuf_str(out, "  change:\n");
        show_lines(out, style, "    ", change);
    }
    show_held(out, style, json_object_get(f, "held"));
    if (advice != NULL) {
        weir_textbuf_str(out, "  ");
        ctl_paint(out, style, CTL_PLAIN, weir_str_of(advice));
        weir_textbuf_char(out, '\n');
    }
}

static int put_findings(struct ctl_session *s, const json_t *findings, const char *node)
{
    struct weir_textbuf text;
    size_t count = json_array_size(findings);
    int code;
    if (ctl_wants_value(s)) {
        json_t *value = json_pack("{s:i, s:s, s:O}", "schema", 1, "node", node, "findings", findings);
        code = ctl_put_value(s, value);
        json_decref(value);
    } else {
        weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
        if (count == 0)
            ctl_fact(&text, &s->style, node, CTL_GOOD, "nothing is wrong that can be seen from here");
        for (size_t i = 0; i < count; i++) {
            if (i > 0)
                weir_textbuf_char(&text, '\n');
            show_finding(&text, &s->style, json_array_get(findings, i));
        }
        code = ctl_put(s, &text);
    }
    return code == WEIR_EXIT_DONE && count > 0 ? WEIR_EXIT_FAILED : code;
}

/* The pages, all of them optional but the pools. */
enum page { HEALTH, MEMORY, PROVIDERS, ALERTS, STATE, NODES, BREAKERS, EVENTS, HEALTH_BEFORE, PAGES };

static int examine(struct ctl_session *s, json_t *pages[PAGES], json_t **before, json_t **after)
{
    static const char *const names[PAGES] = {"/health",
                                             "/debug/memory/pool",
                                             "/health/providers",
                                             "/api/alerts",
                                             "/api/cluster/state",
                                             "/api/cluster/nodes",
                                             "/api/cluster/breakers",
                                             CTL_EVENTS_ALL,
                                             "/health"};
    const char *pools = ctl_verbs[CTL_POOLS].page;
    unsigned status;
    int code = ctl_get(s, pools, before);
    if (code == WEIR_EXIT_DONE)
        code = ctl_look(s, names[HEALTH_BEFORE], &status, &pages[HEALTH_BEFORE]);
    if (code == WEIR_EXIT_DONE)
        watch(s->options->over_s);
    if (code == WEIR_EXIT_DONE)
        code = ctl_get(s, pools, after);
    for (size_t i = 0; i < HEALTH_BEFORE && code == WEIR_EXIT_DONE; i++)
        code = ctl_look(s, names[i], &status, &pages[i]); /* /health is 503 when it is not well */
    return code;
}

int ctl_run_doctor(struct ctl_session *s)
{
    json_t *pages[PAGES] = {NULL}, *before = NULL, *after = NULL, *findings = NULL;
    int code = examine(s, pages, &before, &after);
    if (code == WEIR_EXIT_DONE) {
        const struct ctl_exam exam = {.before = before,
                                      .after = after,
                                      .seconds = s->options->over_s,
                                      .health = pages[HEALTH],
                                      .health_before = pages[HEALTH_BEFORE],
                                      .memory = pages[MEMORY],
                                      .providers = pages[PROVIDERS],
                                      .events = pages[EVENTS],
                                      .alerts = pages[ALERTS],
                                      .state = pages[STATE],
                                      .nodes = pages[NODES],
                                      .breakers = pages[BREAKERS]};
        findings = ctl_diagnose(&exam);
        if (findings != NULL)
            ctl_diagnose_checks(findings, &exam);
        code = findings != NULL ? put_findings(s, findings, ctl_text(after, "node_id", "-"))
                                : ctl_complain(WEIR_EXIT_FAILED, NULL, "out of memory");
    }
    for (size_t i = 0; i < PAGES; i++)
        json_decref(pages[i]);
    json_decref(before);
    json_decref(after);
    json_decref(findings);
    return code;
}
