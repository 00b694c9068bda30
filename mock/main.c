/* weir-mock-provider: reads its flags, starts its workers, says where it listens, and waits to be told to end. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "mock/worker.h"

static void announce(const char *what, const struct weir_addr *address)
{
    char text[WEIR_ADDR_TEXT_MAX];
    printf("%s on %s\n", what, weir_addr_text(address, text));
    fflush(stdout);
}

static int fail(const struct weir_err *err)
{
    fprintf(stderr, "weir-mock-provider: %s\n", err->msg);
    return 1;
}

/* Returns how many were initialised. The sockets of the others stay open until the process ends, which is soon. */
static unsigned init_workers(struct mock_worker *workers, struct mock_shared *shared, struct weir_addr *control,
                             struct weir_err *err)
{
    int fds[MOCK_WORKERS_MAX], control_fd = -1;
    unsigned n = 0;
    if (weir_listen_open(fds, shared->options->workers, &shared->bound, err) != WEIR_OK)
        return 0;
    if (control->sa.sa_family != AF_UNSPEC && weir_listen_open(&control_fd, 1, control, err) != WEIR_OK)
        return 0;
    while (n < shared->options->workers &&
           mock_worker_init(&workers[n], shared, fds[n], n == 0 ? control_fd : -1, n, err) == WEIR_OK)
        n++;
    return n;
}

static unsigned start_workers(struct mock_worker *workers, unsigned count, struct weir_err *err)
{
    unsigned n = 0;
    while (n < count && mock_worker_start(&workers[n], err) == WEIR_OK)
        n++;
    return n;
}

/* Blocked before the first thread exists, so that all inherit it and only sigwait takes them. */
static void block_signals(sigset_t *ends)
{
    sigemptyset(ends);
    sigaddset(ends, SIGTERM);
    sigaddset(ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, ends, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    struct mock_options options;
    int code = mock_options_parse(&options, argc, argv);
    if (code >= 0)
        return code;
    struct mock_shared *shared = calloc(1, sizeof *shared);
    struct mock_worker *workers = calloc(options.workers, sizeof *workers);
    struct weir_err err = {.msg = "out of memory"};
    if (shared == NULL || workers == NULL) {
        free(shared);
        free(workers);
        return fail(&err);
    }
    shared->options = &options;
    mock_gates_init(&shared->gates);
    sigset_t ends;
    block_signals(&ends);
    struct weir_addr control = options.control;
    shared->bound = options.listen;
    unsigned ready = init_workers(workers, shared, &control, &err);
    struct weir_addr bound = shared->bound; /* the workers' from now on: a test may have them listen anew */
    unsigned started = ready == options.workers ? start_workers(workers, ready, &err) : 0;
    if (started == options.workers) {
        announce("listening", &bound);
        if (control.sa.sa_family != AF_UNSPEC)
            announce("control", &control);
        int number;
        sigwait(&ends, &number);
        code = 0;
    } else {
        code = fail(&err);
    }
    for (unsigned i = 0; i < ready; i++)
        mock_worker_stop(&workers[i], i < started);
    free(workers);
    mock_shared_close(shared);
    free(shared);
    return code;
}
