#include "net/poller.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/err.h"

static void on_readable(uv_poll_t *watch, int status, int events)
{
    struct weir_poller *p = watch->data;
    (void)events;
    if (status == 0)
        p->readable = true;
}

static void on_busy(uv_idle_t *busy)
{
    (void)busy; /* being active is what keeps the loop from sleeping */
}

/* False: that was all. */
static bool note_events(struct weir_poller *p)
{
    struct epoll_event events[WEIR_POLLER_BATCH];
    p->readable = false;
    int n = epoll_wait(p->epoll_fd, events, WEIR_POLLER_BATCH, 0);
    for (int i = 0; i < n; i++) {
        struct weir_source *src = events[i].data.ptr;
        uint32_t what = events[i].events;
        if ((what & EPOLLIN) != 0)
            src->ready |= WEIR_READY_IN;
        if ((what & EPOLLOUT) != 0)
            src->ready |= WEIR_READY_OUT;
        /* Reading and writing find out which end or error it is, so both are worth a try. */
        if ((what & EPOLLRDHUP) != 0)
            src->ready |= WEIR_READY_HUP | WEIR_READY_IN;
        if ((what & (EPOLLHUP | EPOLLERR)) != 0)
            src->ready |= WEIR_READY_HUP | WEIR_READY_IN | WEIR_READY_OUT;
        if (weir_list_empty(&src->queued))
            weir_list_push_back(&p->queue, &src->queued);
    }
    return n == WEIR_POLLER_BATCH;
}

/* Each source is ready once, unless it becomes so anew meanwhile, which can wait. */
static void note_all_events(struct weir_poller *p)
{
    for (uint64_t left = p->sources / WEIR_POLLER_BATCH + 1; left > 0 && note_events(p); left--)
        ;
}

static void run_turn(uv_check_t *after)
{
    struct weir_poller *p = after->data;
    if (p->closing)
        return;
    p->turns++;
    p->in_turn = true;
    if (p->turn_clock != NULL && p->turn_clock(p->turn_arg))
        note_all_events(p);
    else if (p->readable)
        note_events(p);
    if (p->turn_start != NULL)
        p->turn_start(p->turn_arg);
    for (struct weir_list *l; (l = weir_list_pop_front(&p->queue)) != NULL;) {
        struct weir_source *src = WEIR_CONTAINER(l, struct weir_source, queued);
        src->ran = (uint16_t)p->turns;
        src->run(src);
    }
    bool more = p->turn_end != NULL && p->turn_end(p->turn_arg);
    weir_list_splice(&p->queue, &p->later);
    p->in_turn = false;
    if (more || !weir_list_empty(&p->queue))
        weir_poller_wake(p);
    else
        uv_idle_stop(&p->busy);
}

int weir_poller_init(struct weir_poller *p, uv_loop_t *loop)
{
    *p = (struct weir_poller){.loop = loop};
    weir_list_init(&p->queue);
    weir_list_init(&p->later);
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll_fd < 0)
        return WEIR_EIO;
    int rv = uv_poll_init(loop, &p->watch, p->epoll_fd);
    if (rv != 0) {
        close(p->epoll_fd);
        errno = -rv;
        return WEIR_EIO;
    }
    uv_check_init(loop, &p->after);
    uv_idle_init(loop, &p->busy);
    p->watch.data = p->after.data = p->busy.data = p;
    p->open_handles = 3;
    uv_check_start(&p->after, run_turn);
    uv_poll_start(&p->watch, UV_READABLE, on_readable);
    return WEIR_OK;
}

static void on_handle_closed(uv_handle_t *h)
{
    struct weir_poller *p = h->data;
    assert(p->closing && p->open_handles > 0);
    if (--p->open_handles > 0)
        return;
    close(p->epoll_fd);
    p->epoll_fd = -1;
    if (p->closed != NULL)
        p->closed(p);
}

void weir_poller_close(struct weir_poller *p, void (*closed)(struct weir_poller *p))
{
    assert(!p->closing && p->sources == 0);
    assert(weir_list_empty(&p->queue) && weir_list_empty(&p->later));
    p->closing = true;
    p->closed = closed;
    uv_close((uv_handle_t *)&p->watch, on_handle_closed);
    uv_close((uv_handle_t *)&p->after, on_handle_closed);
    uv_close((uv_handle_t *)&p->busy, on_handle_closed);
}

void weir_source_init(struct weir_source *src, int fd, weir_source_cb run)
{
    *src = (struct weir_source){.fd = fd, .run = run};
    weir_list_init(&src->queued);
}

int weir_poller_add(struct weir_poller *p, struct weir_source *src)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = src};
    if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, src->fd, &ev) != 0)
        return errno == ENOSPC || errno == ENOMEM ? WEIR_ELIMIT : WEIR_EIO;
    p->sources++;
    return WEIR_OK;
}

void weir_poller_remove(struct weir_poller *p, struct weir_source *src)
{
    int saved = errno;
    epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
    errno = saved;
    weir_poller_forget(p, src);
}

void weir_poller_forget(struct weir_poller *p, struct weir_source *src)
{
    assert(p->sources > 0);
    p->sources--;
    weir_list_remove(&src->queued);
}

void weir_poller_again(struct weir_poller *p, struct weir_source *src)
{
    if (!weir_list_empty(&src->queued))
        return;
    bool has_run = p->in_turn && src->ran == (uint16_t)p->turns;
    weir_list_push_back(has_run ? &p->later : &p->queue, &src->queued);
    weir_poller_wake(p);
}

void weir_poller_wake(struct weir_poller *p)
{
    /* A turn decides at its own end whether the loop may sleep. */
    if (!p->in_turn && !p->closing)
        uv_idle_start(&p->busy, on_busy);
}
