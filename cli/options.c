#include "cli/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "core/str.h"

static const char *const outputs[] = {"table", "wide", "json", "yaml"};

static void vsay(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static void vsay(const char *fmt, va_list ap)
{
    fputs("weirctl: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

/* Of an option, while its verb may be still to come: the usage follows. */
static int say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsay(fmt, ap);
    va_end(ap);
    return WEIR_EXIT_USAGE;
}

/* verb: whose usage is shown; -1: weirctl's. */
static int wrong(int verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int wrong(int verb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsay(fmt, ap);
    va_end(ap);
    ctl_print_usage(stderr, verb);
    return WEIR_EXIT_USAGE;
}

/* -- single options -- */

static int set_output(enum ctl_output *out, const char *text)
{
    for (unsigned i = 0; i < sizeof outputs / sizeof outputs[0]; i++)
        if (strcmp(text, outputs[i]) == 0) {
            *out = (enum ctl_output)i;
            return 0;
        }
    return say("--output %s: not one of table, wide, json, yaml", text);
}

static int set_number(double *out, const struct ctl_option_row *row, const char *text)
{
    char *end;
    *out = strtod(text, &end);
    if (end != text && *end == '\0' && *out >= row->lowest && *out <= row->highest)
        return 0;
    return say("--%s %s: not a number between %g and %.10g", row->name, text, row->lowest, row->highest);
}

static int set_count(unsigned *out, const struct ctl_option_row *row, const char *text)
{
    uint64_t n;
    if (!weir_str_to_u64(weir_str_of(text), &n) || (double)n < row->lowest || (double)n > row->highest)
        return say("--%s %s: not a whole number between %g and %.10g", row->name, text, row->lowest, row->highest);
    *out = (unsigned)n;
    return 0;
}

static int set_option(struct ctl_options *o, unsigned id, const char *value)
{
    const struct ctl_option_row *row = &ctl_options_table[id];
    void *member = (char *)o + row->offset;
    o->given |= UINT64_C(1) << id;
    switch (row->kind) {
    case CTL_ARG_OUTPUT:
        return set_output(member, value);
    case CTL_ARG_NUMBER:
        return set_number(member, row, value);
    case CTL_ARG_COUNT:
        return set_count(member, row, value);
    case CTL_ARG_FLAG:
        *(bool *)member = true;
        return 0;
    default:
        *(const char **)member = value;
        return 0;
    }
}

/* -- the verb and its arguments -- */

/* Every option is one of the verb's. */
static int check_options(const struct ctl_options *o)
{
    for (unsigned id = CTL_OPTIONS_GENERAL; id < CTL_OPTIONS; id++)
        if ((o->given & ~ctl_verbs[o->verb].options) >> id & 1)
            return wrong((int)o->verb, "--%s is no option of %s", ctl_options_table[id].name, ctl_verb_name(o->verb));
    return 0;
}

static bool is_choice(const char *choices, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = choices; len > 0 && (at = strstr(at, word)) != NULL; at += len)
        if ((at == choices || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static int set_arguments(struct ctl_options *o, int count, char *const *words)
{
    const struct ctl_verb_row *row = &ctl_verbs[o->verb];
    const char *verb = ctl_verb_name(o->verb);
    if ((unsigned)count > row->arguments_max)
        return wrong((int)o->verb, "unexpected argument '%s'", words[row->arguments_max]);
    if ((unsigned)count < row->arguments_min)
        return wrong((int)o->verb, "%s needs %.*s", verb, (int)strcspn(row->arguments, "\n"), row->arguments);
    for (int i = 0; i < count; i++)
        o->arguments[i] = words[i];
    if (row->choices != NULL && count > 0 && !is_choice(row->choices, words[0]))
        return wrong((int)o->verb, "%s %s: not one of %s", verb, words[0], row->choices);
    return 0;
}

static int set_verb(struct ctl_options *o, int count, char *const *words)
{
    if (count == 0)
        return wrong(-1, "a verb is missing, such as status");
    int verb = ctl_verb_find(words[0]);
    if (verb < 0)
        return wrong(-1, "'%s' is not a verb of weirctl", words[0]);
    o->verb = (enum ctl_verb)verb;
    int code = check_options(o);
    return code == 0 ? set_arguments(o, count - 1, words + 1) : code;
}

/* -- all of it -- */

#define LETTERS_MAX (2 * CTL_OPTIONS + 1)
#define OPTION_BASE 256 /* above every letter */

static void make_getopt(struct option options[CTL_OPTIONS + 1], char letters[LETTERS_MAX])
{
    for (int i = 0; i < CTL_OPTIONS; i++) {
        const struct ctl_option_row *row = &ctl_options_table[i];
        int has = row->argument != NULL ? required_argument : no_argument;
        options[i] = (struct option){row->name, has, NULL, OPTION_BASE + i};
        if (row->letter != 0)
            *letters++ = row->letter;
        if (row->letter != 0 && row->argument != NULL)
            *letters++ = ':';
    }
    options[CTL_OPTIONS] = (struct option){0};
    *letters = '\0';
}

/* Of what getopt_long has found; -1: nothing, and it has said why. */
static int option_of(int opt)
{
    if (opt >= OPTION_BASE)
        return opt - OPTION_BASE;
    for (int i = 0; i < CTL_OPTIONS; i++)
        if (opt != '?' && ctl_options_table[i].letter == opt)
            return i;
    return -1;
}

/* Once the options are read: the verb that is named, or -1. */
static int verb_of(int argc, char *const *argv)
{
    return optind < argc ? ctl_verb_find(argv[optind]) : -1;
}

static int read_options(struct ctl_options *o, int argc, char *const *argv)
{
    struct option options[CTL_OPTIONS + 1];
    char letters[LETTERS_MAX];
    int code = 0, opt;
    make_getopt(options, letters);
    optind = 0; /* glibc: begin anew, also when an earlier call stopped half-way */
    while ((opt = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        int id = option_of(opt);
        if (id < 0 || set_option(o, (unsigned)id, optarg) != 0)
            code = WEIR_EXIT_USAGE;
    }
    if (code != 0)
        ctl_print_usage(stderr, verb_of(argc, argv));
    return code;
}

static const char *variable(char *(*env)(const char *name), const char *name)
{
    const char *text = env(name);
    return text != NULL && *text != '\0' ? text : NULL;
}

/* Options win over the environment; where that names a node and a store, each verb asks the one that can answer. */
static int choose_store(struct ctl_options *o, char *(*env)(const char *name))
{
    const char *node_only = ctl_verbs[o->verb].node_only;
    bool has_node = node_only != NULL && variable(env, "WEIR_NODE") != NULL;
    if (!(o->given & (CTL_BIT(NODE) | CTL_BIT(REDIS))) && !has_node)
        o->redis = variable(env, "WEIR_REDIS");
    return o->redis != NULL && node_only != NULL ? wrong((int)o->verb, "%s: --node URL", node_only) : 0;
}

int ctl_options_parse(struct ctl_options *o, int argc, char *const *argv, char *(*env)(const char *name))
{
    *o = (struct ctl_options){.node = variable(env, "WEIR_NODE"),
                              .token = variable(env, "WEIR_ADMIN_TOKEN"),
                              .timeout_s = CTL_TIMEOUT_S,
                              .count = CTL_EVENTS_DEFAULT,
                              .requests = CTL_REQUESTS_DEFAULT,
                              .clients = CTL_CLIENTS_DEFAULT,
                              .over_s = CTL_OVER_S,
                              .interval_s = CTL_INTERVAL_S};
    const char *cluster = variable(env, "WEIR_CLUSTER");
    if (o->node == NULL)
        o->node = CTL_NODE_DEFAULT;
    o->cluster = cluster != NULL ? cluster : CTL_CLUSTER_DEFAULT;
    int code = read_options(o, argc, argv);
    if (code != 0)
        return code;
    if ((o->given & CTL_BIT(NODE)) && (o->given & CTL_BIT(REDIS)))
        return wrong(verb_of(argc, argv), "--node and --redis: one of them is asked");
    o->timeout_ms = (uint64_t)(o->timeout_s * 1000);
    if (o->version) {
        puts("weirctl " WEIR_VERSION);
        return WEIR_EXIT_DONE;
    }
    if (o->help) {
        ctl_print_help(verb_of(argc, argv));
        return WEIR_EXIT_DONE;
    }
    code = set_verb(o, argc - optind, argv + optind);
    if (code == 0)
        code = choose_store(o, env);
    return code == 0 ? -1 : code;
}
