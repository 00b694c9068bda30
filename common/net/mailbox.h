/* Messages from any thread to one: an intrusive lock-free stack that its owner takes whole and reverses, so each
 * sender's messages arrive in its order. A message is owned by the mailbox from post until its handler is called.
 *
 * The wake-up is one write to an eventfd and nothing after it. (uv_async_send has more to do after its write, and its
 * receiver spins until that is done: a sender that lost the core in between is then waited for.) */
#ifndef WEIR_NET_MAILBOX_H
#define WEIR_NET_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct weir_message;
/* Runs on the receiver's thread and owns the message: frees, reuses or re-posts it. */
typedef void (*weir_message_cb)(struct weir_message *m, void *receiver);

struct weir_message {
    struct weir_message *next;
    weir_message_cb handle;
};

struct weir_mailbox {
    _Atomic(struct weir_message *) top;
    uv_poll_t wake;
    int fd;
    void *receiver;
    void (*woken)(struct weir_mailbox *mb); /* in place of draining at the wake-up; NULL: drain */
    void (*closed)(struct weir_mailbox *mb);
};

/* Errors: WEIR_EIO. */
int weir_mailbox_init(struct weir_mailbox *mb, uv_loop_t *loop, void *receiver);
/* Any thread, until the receiver has called close. Wakes the receiver only when the mailbox was empty. */
void weir_mailbox_post(struct weir_mailbox *mb, struct weir_message *m);
/* The receiver's thread: handles all that has arrived so far. */
void weir_mailbox_drain(struct weir_mailbox *mb);
/* Asynchronous. What has arrived until `closed` is still handled: nobody else would free it. */
void weir_mailbox_close(struct weir_mailbox *mb, void (*closed)(struct weir_mailbox *mb));

#endif
