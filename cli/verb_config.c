/* config: a configuration's file is checked, shown as it is in force, or compared with another one, by the code that a
 * node reads it with; and reload, which has a node read its own again. */
#include <stdio.h>
#include <string.h>

#include "cli/show.h"
#include "cli/verb.h"
#include "core/config_diff.h"
#include "core/config_output.h"
#include "net/config_file.h"
#include "net/tls_setup.h"

/* A thousand providers with every key shown take a tenth of it. */
#define OUTPUT_BYTES_MAX ((size_t)64 << 20)

static int load(struct weir_config **out, const char *path)
{
    struct weir_config_problems problems = {0};
    int rv = weir_config_file_load(out, path, &problems);
    weir_config_problems_print("weirctl", &problems);
    weir_config_problems_reset(&problems);
    return rv == WEIR_OK ? WEIR_EXIT_DONE : rv == WEIR_EINVAL ? WEIR_EXIT_USAGE : WEIR_EXIT_FAILED;
}

static void print_problem(const struct weir_err *problem)
{
    fprintf(stderr, "weirctl: %s\n", problem->msg);
}

static int check(struct ctl_session *s, const char *path)
{
    struct weir_config *config = NULL;
    struct weir_err err = {0};
    struct weir_textbuf text;
    int code = load(&config, path);
    if (code != WEIR_EXIT_DONE)
        return code;
    /* Certificates, keys and authorities are read as at a start. */
    if (weir_tls_setup_check(config, print_problem, &err) != 0)
        code = err.code == WEIR_ENOMEM ? WEIR_EXIT_FAILED : WEIR_EXIT_USAGE;
    weir_config_free(&config);
    if (code != WEIR_EXIT_DONE)
        return code;
    weir_textbuf_init(&text, OUTPUT_BYTES_MAX);
    weir_textbuf_printf(&text, "%s is valid\n", path);
    return ctl_put(s, &text);
}

static int print(struct ctl_session *s, const char *path)
{
    struct weir_config *config = NULL;
    struct weir_textbuf text;
    int code = load(&config, path);
    if (code != WEIR_EXIT_DONE)
        return code;
    weir_textbuf_init(&text, OUTPUT_BYTES_MAX);
    weir_config_print(config, &text);
    weir_config_free(&config);
    return ctl_put(s, &text);
}

/* -- diff -- */

struct differing {
    struct ctl_table table;
    json_t *changes;
};

static void add_difference(void *arg, const char *key, const char *from, const char *to)
{
    struct differing *d = arg;
    ctl_table_cell(&d->table, CTL_PLAIN, "%s", key);
    ctl_table_cell(&d->table, CTL_BAD, "%s", from != NULL ? from : "");
    ctl_table_cell(&d->table, CTL_GOOD, "%s", to != NULL ? to : "");
    json_array_append_new(d->changes, json_pack("{s:s, s:s?, s:s?}", "key", key, "from", from, "to", to));
}

static int put_differences(struct ctl_session *s, struct differing *d)
{
    struct weir_textbuf text;
    if (ctl_wants_value(s)) {
        json_t *value = json_pack("{s:i, s:O}", "schema", 1, "changes", d->changes);
        int code = ctl_put_value(s, value);
        json_decref(value);
        ctl_table_drop(&d->table);
        return code;
    }
    weir_textbuf_init(&text, OUTPUT_BYTES_MAX);
    if (json_array_size(d->changes) > 0) {
        ctl_table_end(&d->table, &text);
    } else {
        ctl_table_drop(&d->table);
        weir_textbuf_str(&text, "nothing differs\n");
    }
    return ctl_put(s, &text);
}

static int diff(struct ctl_session *s, const char *before, const char *after)
{
    static const struct ctl_column columns[] = {
        {"KEY", false, false}, {"BEFORE", false, false}, {"AFTER", false, false}};
    struct weir_config *a = NULL, *b = NULL;
    struct differing d = {0};
    if (after == NULL)
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "config diff needs two files");
    int code = load(&a, before);
    if (code == WEIR_EXIT_DONE)
        code = load(&b, after);
    if (code == WEIR_EXIT_DONE) {
        d.changes = json_array();
        ctl_table_begin(&d.table, columns, sizeof columns / sizeof columns[0], &s->style);
        if (weir_config_diff(a, b, &d, add_difference) == 0) {
            code = put_differences(s, &d);
        } else {
            ctl_table_drop(&d.table);
            code = ctl_complain(WEIR_EXIT_FAILED, NULL, "out of memory");
        }
        json_decref(d.changes);
    }
    weir_config_free(&a);
    weir_config_free(&b);
    return code;
}

int ctl_run_config(struct ctl_session *s)
{
    const char *action = s->options->arguments[0], *file = s->options->arguments[1], *other = s->options->arguments[2];
    if (strcmp(action, "diff") == 0)
        return diff(s, file, other);
    if (other != NULL)
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "config %s takes one file", action);
    return strcmp(action, "check") == 0 ? check(s, file) : print(s, file);
}

/* -- reload -- */

int ctl_run_reload(struct ctl_session *s)
{
    struct weir_textbuf text;
    json_t *answer;
    unsigned status;
    int code = ctl_post_any(s, "/api/node/reload", &status, &answer);
    if (code == WEIR_EXIT_DONE && status == 422)
        code = ctl_complain(WEIR_EXIT_USAGE, "Mend it; weirctl config check FILE says all that is wrong.",
                            "the node goes on as it was: %s",
                            ctl_text(json_object_get(answer, "error"), "message", "its file has errors"));
    else if (code == WEIR_EXIT_DONE && status / 100 != 2)
        code = ctl_complain_of_status(s, "/api/node/reload", status, answer);
    if (code == WEIR_EXIT_DONE && ctl_wants_value(s)) {
        code = ctl_put_value(s, answer);
    } else if (code == WEIR_EXIT_DONE) {
        weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
        ctl_fact(&text, &s->style, ctl_text(answer, "node", "-"), CTL_GOOD,
                 "has read its file again; it is in force "
                 "as soon as its names are resolved");
        code = ctl_put(s, &text);
    }
    json_decref(answer);
    return code;
}
