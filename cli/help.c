#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/options.h"

/* Columns in front of what an option does. */
#define OPTION_WIDTH 33

static void print_option(const struct ctl_option_row *row)
{
    char text[64], letter[8] = "    ";
    if (row->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(text, sizeof text, "%s--%s%s%s", letter, row->name, row->argument != NULL ? " " : "",
             row->argument != NULL ? row->argument : "");
    printf("  %-*s %s\n", OPTION_WIDTH, text, row->what);
}

static void print_general(void)
{
    for (unsigned id = 0; id < CTL_OPTIONS_GENERAL; id++)
        print_option(&ctl_options_table[id]);
    fputs(
        "\nExit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 the node, or the cluster's store, cannot be "
        "reached.\n",
        stdout);
}

static void print_own(const struct ctl_verb_row *row)
{
    for (unsigned id = CTL_OPTIONS_GENERAL; id < CTL_OPTIONS; id++)
        if (row->options >> id & 1)
            print_option(&ctl_options_table[id]);
}

static void print_verb_usage(FILE *to, enum ctl_verb v)
{
    const char *ways = ctl_verbs[v].arguments, *lead = "usage:";
    do {
        int len = ways != NULL ? (int)strcspn(ways, "\n") : 0;
        fprintf(to, "%s weirctl [OPTION]... %s%s%.*s [OPTION]...\n", lead, ctl_verb_name(v), len > 0 ? " " : "", len,
                len > 0 ? ways : "");
        ways = len > 0 && ways[len] == '\n' ? ways + len + 1 : NULL;
        lead = "      ";
    } while (ways != NULL);
}

void ctl_print_usage(FILE *to, int verb)
{
    if (verb < 0) {
        fputs(CTL_USAGE "Try weirctl --help.\n", to);
        return;
    }
    print_verb_usage(to, (enum ctl_verb)verb);
    fprintf(to, "Try weirctl %s --help.\n", ctl_verb_name((enum ctl_verb)verb));
}

static void print_verb(enum ctl_verb v)
{
    const struct ctl_verb_row *row = &ctl_verbs[v];
    print_verb_usage(stdout, v);
    printf("\n%s: %s.\n%s\nOptions:\n", ctl_verb_name(v), row->what, row->details);
    print_own(row);
    print_general();
}

void ctl_print_help(int verb)
{
    if (verb >= 0) {
        print_verb((enum ctl_verb)verb);
        return;
    }
    fputs(CTL_USAGE "\nShows a cluster of weir nodes, as one of them sees it, and operates it.\n\nVerbs:\n", stdout);
    for (size_t i = 0; i < CTL_VERBS; i++)
        printf("  %-11s %s\n", ctl_verb_name((enum ctl_verb)i), ctl_verbs[i].what);
    for (size_t i = 0; i < CTL_VERBS; i++)
        if (ctl_verbs[i].options != 0) {
            printf("\nOptions of %s:\n", ctl_verb_name((enum ctl_verb)i));
            print_own(&ctl_verbs[i]);
        }
    fputs("\nOptions:\n", stdout);
    print_general();
}
