/* What weirctl says of itself: --help, and what shells complete. From the tables of cli/verbs.h. */
#ifndef WEIR_CLI_HELP_H
#define WEIR_CLI_HELP_H

#include <stdio.h>

#include "core/textbuf.h"

#define CTL_USAGE                                   \
    "usage: weirctl [OPTION]... VERB [OPTION]...\n" \
    "       weirctl --help | --version\n"

/* How a verb is written, and where more is said; verb -1: weirctl as a whole. */
void ctl_print_usage(FILE *to, int verb);
/* On standard output; verb as above. */
void ctl_print_help(int verb);

/* The file that a shell ("bash", "zsh", "fish") completes by (cli/completion.c). */
void ctl_completion(struct weir_textbuf *out, const char *shell);
/* weirctl(1), for man (cli/manual.c). */
void ctl_manual(struct weir_textbuf *out);

#endif
