#include "mock/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

void mock_shared_close(struct mock_shared *s)
{
    struct mock_change *at = atomic_load_explicit(&s->change, memory_order_relaxed);
    while (at != NULL) {
        struct mock_change *older = at->older;
        free(at);
        at = older;
    }
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
    *w = (struct mock_worker){
        .shared = shared, .port_fd = -1, .random = (shared->options->seed + index) * 0x9e3779b97f4a7c15u | 1};
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

/* Bound and deaf: whoever connects is refused, and the kernel gives the port to nobody else. */
static int keep_port(const struct weir_addr *addr)
{
    int on = 1, fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 && bind(fd, &addr->sa, weir_addr_len(addr)) == 0)
        return fd;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return -1;
}

int mock_worker_down(struct mock_worker *w, struct weir_err *err)
{
    if (w->port_fd >= 0)
        return WEIR_OK;
    w->port_fd = keep_port(&w->shared->bound);
    if (w->port_fd < 0)
        return weir_err_set(err, WEIR_EIO, "the port cannot be kept: %s", strerrordesc_np(errno));
    weir_listener_close(&w->listener);
    WEIR_LIST_EACH_SAFE(at, &w->connections)
    {
        struct mock_connection *c = WEIR_CONTAINER(at, struct mock_connection, link);
        if (!c->control)
            mock_connection_kill(c, true);
    }
    return WEIR_OK;
}

int mock_worker_up(struct mock_worker *w, struct weir_err *err)
{
    int fd;
    if (w->port_fd < 0)
        return WEIR_OK;
    int rv = weir_listen_open(&fd, 1, &w->shared->bound, err);
    if (rv != WEIR_OK)
        return rv;
    rv = start_listener(w, &w->listener, fd);
    if (rv != WEIR_OK) {
        close(fd);
        return weir_err_set(err, rv, "a listening socket cannot be watched");
    }
    close(w->port_fd);
    w->port_fd = -1;
    return WEIR_OK;
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
    if (w->port_fd >= 0)
        close(w->port_fd);
    free(w->filler);
}
