/* weirctl(1): the tables, and around them what they do not say. */
#include <string.h>

#include "cli/help.h"
#include "cli/options.h"

static const char begin[] =
    ".\\\" made by `weirctl completion man`\n"
    ".TH WEIRCTL 1 \"2026-11-28\" \"weir " WEIR_VERSION "\" \"weir\"\n"
    ".SH NAME\nweirctl \\- shows and operates a cluster of weir nodes\n"
    ".SH SYNOPSIS\n.B weirctl\n.RI [ OPTION \"]... \" VERB \" [\" ARGUMENT \"]... [\" OPTION ]...\n.br\n"
    ".B weirctl\n.BR \\-\\-help \" | \" \\-\\-version\n"
    ".SH DESCRIPTION\n"
    "Asks one node over HTTP and shows what it knows of its cluster, or has it do something.\n"
    "A node that is not in a cluster is shown as one of its own.\n"
    "What\n.B \\-o json\nand\n.B \\-o yaml\nshow is a contract, whose version is the number at\n.BR schema .\n";

static const char end[] =
    ".SH ENVIRONMENT\n"
    ".TP\n.B WEIR_NODE\nThe node to ask, where\n.B \\-\\-node\nis not given.\n"
    ".TP\n.BR WEIR_REDIS \", \" WEIR_CLUSTER\nThe store that is asked in place of a node, and whose part of it, where "
    "neither\n.B \\-\\-node\nnor\n.B \\-\\-redis\nis given.\n"
    ".TP\n.B WEIR_ADMIN_TOKEN\nThe node's admin token, where\n.B \\-\\-token\\-file\nis not given.\n"
    ".TP\n.BR NO_COLOR \", \" TERM\nColours are for terminals only, and for none where\n.B NO_COLOR\nis set to "
    "something or\n.B "
    "TERM\n"
    "is\n.BR dumb .\n"
    ".SH EXIT STATUS\n"
    "0 done, 1 failed, 2 wrong usage or configuration, 3 the node, or the cluster's store, cannot be reached.\n"
    ".SH EXAMPLES\n.EX\n"
    "weirctl status\n"
    "weirctl nodes \\-o wide\n"
    "weirctl \\-\\-node https://node\\-1.example.org breakers \\-\\-token\\-file /etc/weir/token\n"
    "weirctl events \\-\\-follow \\-o json | jq .event\n"
    "weirctl tune \\-\\-rps 100 \\-\\-latency 1200\n"
    ".EE\n"
    ".SH SEE ALSO\n.BR weir\\-node (1),\n.BR weir\\-coordinator (1)\n.PP\nWhat a cluster is:\n.IR docs/cluster.md .\n";

/* Text of a paragraph: no line of it may begin a request, and a dash is one that can be copied. */
static void add_text(struct weir_textbuf *out, const char *text)
{
    for (bool first = true; *text != '\0'; first = *text++ == '\n') {
        if (first && (*text == '.' || *text == '\''))
            weir_textbuf_str(out, "\\&");
        if (*text == '-' || *text == '\\')
            weir_textbuf_char(out, '\\');
        weir_textbuf_str(out, *text == '\\' ? "e" : (char[]){*text, '\0'});
    }
}

static void add_option(struct weir_textbuf *out, const struct ctl_option_row *row)
{
    weir_textbuf_str(out, ".TP\n.BR ");
    if (row->letter != 0)
        weir_textbuf_printf(out, "\\-%c \", \" ", row->letter);
    weir_textbuf_str(out, "\\-\\-");
    add_text(out, row->name);
    if (row->argument != NULL)
        weir_textbuf_printf(out, " \" \\fI%s\\fR\"", row->argument);
    weir_textbuf_char(out, '\n');
    add_text(out, row->what);
    weir_textbuf_str(out, ".\n");
}

static void add_verb(struct weir_textbuf *out, enum ctl_verb v)
{
    const struct ctl_verb_row *row = &ctl_verbs[v];
    const char *way = row->arguments;
    weir_textbuf_printf(out, ".TP\n.BR %s", ctl_verb_name(v));
    for (size_t len = 0; way != NULL; way = way[len] == '\n' ? way + len + 1 : NULL) {
        if (way != row->arguments)
            weir_textbuf_printf(out, "\n.TQ\n.BR %s", ctl_verb_name(v));
        len = strcspn(way, "\n");
        weir_textbuf_printf(out, " \" \\fI%.*s\\fR\"", (int)len, way);
    }
    weir_textbuf_char(out, '\n');
    add_text(out, row->what);
    weir_textbuf_str(out, ".\n");
    add_text(out, row->details);
    if (row->options == 0)
        return;
    weir_textbuf_str(out, ".RS\n");
    for (unsigned id = CTL_OPTIONS_GENERAL; id < CTL_OPTIONS; id++)
        if (row->options >> id & 1)
            add_option(out, &ctl_options_table[id]);
    weir_textbuf_str(out, ".RE\n");
}

void ctl_manual(struct weir_textbuf *out)
{
    weir_textbuf_str(out, begin);
    weir_textbuf_str(out, ".SH VERBS\n");
    for (size_t v = 0; v < CTL_VERBS; v++)
        add_verb(out, (enum ctl_verb)v);
    weir_textbuf_str(out, ".SH OPTIONS\n");
    for (unsigned id = 0; id < CTL_OPTIONS_GENERAL; id++)
        add_option(out, &ctl_options_table[id]);
    weir_textbuf_str(out, end);
}
