#include "net/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/err.h"

static void on_wake(uv_poll_t *wake, int status, int events)
{
    struct weir_mailbox *mb = wake->data;
    eventfd_t ignored;
    (void)status, (void)events;
    eventfd_read(mb->fd, &ignored);
    if (mb->woken != NULL)
        mb->woken(mb);
    else
        weir_mailbox_drain(mb);
}

int weir_mailbox_init(struct weir_mailbox *mb, uv_loop_t *loop, void *receiver)
{
    mb->receiver = receiver;
    mb->woken = NULL;
    mb->closed = NULL;
    atomic_init(&mb->top, NULL);
    mb->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mb->fd < 0)
        return WEIR_EIO;
    int rv = uv_poll_init(loop, &mb->wake, mb->fd);
    if (rv != 0) {
        close(mb->fd);
        errno = -rv;
        return WEIR_EIO;
    }
    mb->wake.data = mb;
    uv_poll_start(&mb->wake, UV_READABLE, on_wake);
    return WEIR_OK;
}

void weir_mailbox_post(struct weir_mailbox *mb, struct weir_message *m)
{
    /* Only pushing and taking everything is done to this stack, so a reused address (ABA) does no harm. */
    struct weir_message *top = atomic_load_explicit(&mb->top, memory_order_relaxed);
    do
        m->next = top;
    while (!atomic_compare_exchange_weak_explicit(&mb->top, &top, m, memory_order_release, memory_order_relaxed));
    /* Whoever found it empty wakes the receiver; a later sender's message is taken by the same drain or a later one. */
    if (top == NULL)
        eventfd_write(mb->fd, 1);
}

void weir_mailbox_drain(struct weir_mailbox *mb)
{
    if (atomic_load_explicit(&mb->top, memory_order_relaxed) == NULL)
        return;
    struct weir_message *newest = atomic_exchange_explicit(&mb->top, NULL, memory_order_acquire);
    struct weir_message *oldest = NULL;
    while (newest != NULL) {
        struct weir_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct weir_message *next = oldest->next; /* the handler owns it and may free it */
        oldest->handle(oldest, mb->receiver);
        oldest = next;
    }
}

static void on_closed(uv_handle_t *h)
{
    struct weir_mailbox *mb = h->data;
    weir_mailbox_drain(mb);
    close(mb->fd);
    if (mb->closed != NULL)
        mb->closed(mb);
}

void weir_mailbox_close(struct weir_mailbox *mb, void (*closed)(struct weir_mailbox *mb))
{
    mb->closed = closed;
    weir_mailbox_drain(mb);
    uv_close((uv_handle_t *)&mb->wake, on_closed);
}
