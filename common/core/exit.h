/* Exit codes of every program of weir: an interface that scripts and supervisors rely on. */
#ifndef WEIR_CORE_EXIT_H
#define WEIR_CORE_EXIT_H

enum weir_exit {
    WEIR_EXIT_DONE = 0,
    WEIR_EXIT_FAILED = 1,
    WEIR_EXIT_USAGE = 2,       /* wrong usage or configuration */
    WEIR_EXIT_UNREACHABLE = 3, /* the cluster or the node */
};

#endif
