#include "mock/worker.h"

#include <stdlib.h>

#include "mock/connection.h"
#include "mock/request.h"

uint64_t mock_worker_random(struct mock_worker *w)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return w->random * 0x2545f4914f6cdd1du;
}

bool mock_worker_dice(struct mock_worker *w, uint32_t permille)
{
    return (mock_worker_random(w) >> 32) % 1000 < permille;
}

static void on_accepted(struct weir_listener *l, int fd, const struct weir_addr *peer)
{
    (void)peer;
    struct mock_worker *w = l->owner;
    mock_connection_new(w, fd, l == &w->control);
}

static int start_listener(struct mock_worker *w, struct weir_listener *l, int fd)
{
    l->accepted = on_accepted;
    l->owner = w;
    return weir_listener_start(l, &w->reactor, fd);
}

int mock_worker_init(struct mock_worker *w, struct mock_shared *shared, int listen_fd, int control_fd, unsigned index,
                     struct weir_err *err)
{
    *w = (struct mock_worker){.shared = shared, .random = (shared->options->seed + index) * 0x9e3779b97f4a7c15u | 1};
    weir_list_init(&w->connections);
    weir_list_init(&w->free_connections);
    weir_list_init(&w->free_requests);
    w->filler = malloc(MOCK_FILLER_BYTES);
    if (w->filler == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    for (size_t i = 0; i < MOCK_FILLER_BYTES; i++)
        w->filler[i] = (char)(unsigned char)(i % MOCK_PATTERN_PERIOD);
    int rv = weir_reactor_init(&w->reactor, err);
    if (rv != WEIR_OK)
        goto err_after_filler;
    w->reactor.user = w;
    rv = control_fd < 0 ? WEIR_OK : start_listener(w, &w->control, control_fd);
    if (rv == WEIR_OK)
        rv = start_listener(w, &w->listener, listen_fd);
    if (rv == WEIR_OK)
        return WEIR_OK;
    (void)weir_err_set(err, rv, "a listening socket cannot be watched");
    weir_listener_close(&w->control);
    weir_reactor_close(&w->reactor);
err_after_filler:
    free(w->filler);
    return rv;
}

static void *run(void *arg)
{
    struct mock_worker *w = arg;
    weir_reactor_run(&w->reactor);
    return NULL;
}

int mock_worker_start(struct mock_worker *w, struct weir_err *err)
{
    if (pthread_create(&w->thread, NULL, run, w) != 0)
        return weir_err_set(err, WEIR_EIO, "a thread cannot be started");
    return WEIR_OK;
}

static void close_all(struct mock_worker *w)
{
    weir_listener_close(&w->listener);
    weir_listener_close(&w->control);
    while (!weir_list_empty(&w->connections))
        mock_connection_kill(WEIR_CONTAINER(w->connections.next, struct mock_connection, link), false);
}

static void on_stop(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct mock_worker *w = WEIR_CONTAINER(m, struct mock_worker, stop);
    close_all(w);
    weir_reactor_stop(&w->reactor);
}

void mock_worker_stop(struct mock_worker *w, bool started)
{
    if (started) {
        w->stop.handle = on_stop;
        weir_mailbox_post(&w->reactor.mailbox, &w->stop);
        pthread_join(w->thread, NULL);
    } else {
        close_all(w);
    }
    weir_reactor_close(&w->reactor);
    mock_requests_free(w);
    mock_connections_free(w);
    free(w->filler);
}
