#include <signal.h>
#include <stdlib.h>

#include "cli/run.h"

int main(int argc, char **argv)
{
    struct ctl_options options;
    int code = ctl_options_parse(&options, argc, argv, getenv);
    if (code >= 0)
        return code;
    signal(SIGPIPE, SIG_IGN); /* a node that goes away is an error of one write */
    return ctl_run(&options);
}
