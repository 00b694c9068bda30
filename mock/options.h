/* The command line of weir-mock-provider. */
#ifndef WEIR_MOCK_OPTIONS_H
#define WEIR_MOCK_OPTIONS_H

#include "mock/plan.h"
#include "net/addr.h"

/* More workers than this is a slip of the finger, not a machine. */
#define MOCK_WORKERS_MAX 256

struct mock_options {
    struct weir_addr listen, control; /* control of no family: no control listener */
    unsigned workers;
    uint64_t seed;
    uint32_t close_idle_after_ms;  /* 0: never */
    uint32_t close_idle_permille;  /* of the answers are followed by a close at a random moment */
    uint32_t close_idle_window_ms; /* that moment is within this of the answer's end */
    const char *name;              /* shown as x-mock-name; NULL: not shown */
    struct mock_plan plan;
};

/* Returns -1 to go on, else the exit code (0 after --help and --version, 2 on wrong usage, said on stderr). */
int mock_options_parse(struct mock_options *o, int argc, char **argv);

#endif
