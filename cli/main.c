#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run.h"
#include "cli/session.h"

/* What was written is out, or it is told: help and completions are not done before. */
static int close_output(int code)
{
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    if (!failed || code != WEIR_EXIT_DONE) /* another failure has been told */
        return code;
    return ctl_complain(WEIR_EXIT_FAILED, NULL, "cannot write: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    struct ctl_options options;
    int code = ctl_options_parse(&options, argc, argv, getenv);
    if (code < 0) {
        signal(SIGPIPE, SIG_IGN); /* a node that goes away is an error of one write */
        code = ctl_run(&options);
    }
    return close_output(code);
}
