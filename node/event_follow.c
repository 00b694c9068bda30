#include "node/event_follow.h"

#include <stdlib.h>

void weir_event_follower_unref(struct weir_event_follower *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
        return;
    weir_textbuf_close(&f->waiting);
    free(f);
}

void weir_event_unfollow(struct weir_event_follower *f)
{
    f->request = NULL;
    f->leave.handle = weir_event_leave_arrived; /* takes the request's reference over */
    weir_mailbox_post(f->worker->node->control_mailbox, &f->leave);
}

static void end(struct weir_request *r)
{
    struct weir_event_follower *f = r->follower;
    r->follower = NULL;
    weir_event_unfollow(f);
    weir_request_answer_ended(r);
    struct weir_exchange *down = r->down;
    if (r->body_ended)
        r->down = NULL; /* the codec forgets it inside the last send */
    down->ops->send_end(down, NULL);
}

/* Sends what waits, as far as there is room. The request may be over afterwards. */
static void pass_on(struct weir_event_follower *f)
{
    struct weir_request *r = f->request;
    struct weir_textbuf *w = &f->waiting;
    while (f->passed < w->len) {
        size_t room = r->down->ops->room(r->down), n = w->len - f->passed;
        if (room == 0) {
            r->down->ops->send_body(r->down, NULL, 0); /* has `room` called when there is some */
            return;
        }
        n = n < room ? n : room;
        r->bytes_out += n;
        r->down->ops->send_body(r->down, w->ptr + f->passed, n);
        f->passed += n;
    }
    weir_textbuf_close(w); /* a follower of a calm cluster keeps no memory for it */
    f->passed = 0;
    if (f->ending)
        end(r);
}

static void drop(struct weir_event_follower *f)
{
    static const char slow[] = "\n\n: this follower is too slow, and is dropped\n\n";
    struct weir_request *r = f->request;
    /* More than there is room for, once: it is the last. */
    r->down->ops->send_body(r->down, slow, sizeof slow - 1);
    end(r);
}

static void take(struct weir_event_follower *f, const char *text, size_t len)
{
    struct weir_request *r = f->request;
    weir_request_pin(r);
    if (f->passed > 0 && f->waiting.len + len > f->waiting.max) {
        memmove(f->waiting.ptr, f->waiting.ptr + f->passed, f->waiting.len - f->passed);
        f->waiting.len -= f->passed;
        f->passed = 0;
    }
    weir_textbuf_add(&f->waiting, text, len);
    if (f->waiting.failed)
        drop(f);
    else
        pass_on(f);
    weir_request_unpin(r);
}

void weir_event_piece_arrived(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_event_piece *p = (struct weir_event_piece *)m;
    struct weir_event_follower *f = p->follower;
    if (f->request != NULL && f->request->down != NULL && !f->ending)
        take(f, p->text, p->len);
    free(p);
    weir_event_follower_unref(f);
}

void weir_event_last_arrived(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_event_follower *f = WEIR_CONTAINER(m, struct weir_event_follower, last);
    if (f->request != NULL && f->request->down != NULL && !f->ending) {
        static const char word[] = ": the node ends\n\n";
        struct weir_request *r = f->request;
        weir_request_pin(r);
        f->ending = true;
        take(f, word, sizeof word - 1);
        weir_request_unpin(r);
    }
    weir_event_follower_unref(f);
}

void weir_event_follow(struct weir_request *r, struct weir_event_follower *f, struct weir_textbuf *first)
{
    weir_request_pin(r);
    f->request = r;
    r->follower = f;
    if (weir_request_answer_begin(r, 200, "text/event-stream")) {
        f->waiting = *first;
        weir_textbuf_init(first, 0);
        f->waiting.max = WEIR_FOLLOW_BACKLOG_MAX;
        pass_on(f);
    }
    weir_request_unpin(r);
}

void weir_event_follow_room(struct weir_request *r)
{
    if (r->down != NULL)
        pass_on(r->follower);
}
