#include <stdio.h>

#include "node/cli.h"

int main(int argc, char **argv)
{
    struct weir_cli cli;
    int code = weir_cli_parse(&cli, argc, argv);
    if (code != 0)
        return code;
    code = weir_cli_run_offline(&cli);
    if (code >= 0)
        return code;
    fputs("weir-node: this build answers about its configuration only\n", stderr);
    return WEIR_EXIT_FAILED;
}
