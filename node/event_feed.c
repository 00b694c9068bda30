#include "node/event_feed.h"

#include <stdlib.h>

/* -- followers -- */

static void unlink_follower(struct weir_event_feed *f, struct weir_event_follower *w)
{
    weir_list_remove(&w->in_feed);
    f->follower_count--;
    if (f->follower_count == 0)
        weir_deadline_clear(&f->pulse);
}

/* It gets no more; the list's reference goes with the message. */
static void let_go(struct weir_event_feed *f, struct weir_event_follower *w)
{
    unlink_follower(f, w);
    w->last.handle = weir_event_last_arrived;
    weir_mailbox_post(&w->worker->reactor.mailbox, &w->last);
}

static void post(struct weir_event_feed *f, struct weir_event_follower *w, const char *text, size_t len)
{
    struct weir_event_piece *p = malloc(sizeof *p + len);
    if (p == NULL) {
        let_go(f, w); /* better than a gap that nobody sees */
        return;
    }
    p->message.handle = weir_event_piece_arrived;
    p->follower = w;
    p->len = len;
    memcpy(p->text, text, len);
    atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
    weir_mailbox_post(&w->worker->reactor.mailbox, &p->message);
}

static void post_all(struct weir_event_feed *f, const char *text, size_t len)
{
    WEIR_LIST_EACH_SAFE(at, &f->followers)
    post(f, WEIR_CONTAINER(at, struct weir_event_follower, in_feed), text, len);
}

static void on_pulse(struct weir_deadline *d, uint64_t now_ms)
{
    static const char alive[] = ": alive\n\n";
    struct weir_event_feed *f = WEIR_CONTAINER(d, struct weir_event_feed, pulse);
    post_all(f, alive, sizeof alive - 1);
    if (f->follower_count > 0)
        weir_reactor_deadline(f->reactor, d, now_ms + WEIR_FOLLOW_PULSE_MS);
}

void weir_event_leave_arrived(struct weir_message *m, void *receiver)
{
    (void)receiver;
    struct weir_event_follower *w = WEIR_CONTAINER(m, struct weir_event_follower, leave);
    if (!weir_list_empty(&w->in_feed)) {
        unlink_follower(w->feed, w);
        weir_event_follower_unref(w);
    }
    weir_event_follower_unref(w);
}

/* -- from outside -- */

void weir_event_feed_init(struct weir_event_feed *f, struct weir_reactor *r)
{
    *f = (struct weir_event_feed){.reactor = r};
    weir_list_init(&f->followers);
    weir_deadline_init(&f->pulse, on_pulse);
}

void weir_event_feed_hear(struct weir_event_feed *f, struct weir_str json)
{
    const struct weir_event_entry *e = weir_event_ring_add(&f->ring, json);
    struct weir_textbuf text;
    if (e == NULL || f->follower_count == 0)
        return;
    weir_textbuf_init(&text, 2 * WEIR_EVENT_TEXT_MAX);
    weir_event_entry_stream(&text, e);
    if (!text.failed)
        post_all(f, text.ptr, text.len);
    weir_textbuf_close(&text);
}

static void add_kept(struct weir_textbuf *first, const struct weir_event_ring *ring, uint64_t after, size_t count)
{
    size_t from = ring->count - (count < ring->count ? count : ring->count);
    if (after != 0)
        from = weir_event_ring_after(ring, after);
    weir_textbuf_str(first, ": events of the cluster\n\n"); /* the head goes out with it */
    for (size_t i = from; i < ring->count; i++)
        weir_event_entry_stream(first, ring->at[i]);
}

struct weir_event_follower *weir_event_feed_follow(struct weir_event_feed *f, struct weir_worker *worker,
                                                   uint64_t after, size_t count, struct weir_textbuf *first)
{
    if (f->ended || f->follower_count == WEIR_FOLLOWERS_MAX)
        return NULL;
    struct weir_event_follower *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    add_kept(first, &f->ring, after, count);
    if (first->failed) {
        free(w);
        return NULL;
    }
    atomic_init(&w->refs, 2); /* the request's and the list's */
    w->worker = worker;
    w->feed = f;
    weir_textbuf_init(&w->waiting, WEIR_FOLLOW_BACKLOG_MAX);
    weir_list_push_back(&f->followers, &w->in_feed);
    if (f->follower_count++ == 0)
        weir_reactor_deadline(f->reactor, &f->pulse, f->reactor->now_ms + WEIR_FOLLOW_PULSE_MS);
    return w;
}

void weir_event_feed_end(struct weir_event_feed *f)
{
    f->ended = true;
    while (!weir_list_empty(&f->followers))
        let_go(f, WEIR_CONTAINER(f->followers.next, struct weir_event_follower, in_feed));
}

void weir_event_feed_close(struct weir_event_feed *f)
{
    weir_event_feed_end(f);
    weir_deadline_drop(&f->reactor->wheel, &f->pulse);
    weir_event_ring_close(&f->ring);
}
