/* An answer that stays open: the events of the cluster as they come, to one client (/api/cluster/events as
 * text/event-stream). Control posts pieces of text, the worker that has the client passes them on as far as it takes
 * them. What it does not take waits, WEIR_FOLLOW_BACKLOG_MAX at most: who is slower than the events is told so and
 * dropped.
 *
 * A follower belongs to the control's list, to the request, and to every message under way that names it; the last of
 * them frees it. */
#ifndef WEIR_NODE_EVENT_FOLLOW_H
#define WEIR_NODE_EVENT_FOLLOW_H

#include <stdatomic.h>

#include "core/textbuf.h"
#include "node/node.h"
#include "node/request.h"

/* All events that are kept, each at its longest, and as many again. */
#define WEIR_FOLLOW_BACKLOG_MAX ((size_t)2 << 20)

struct weir_event_follower {
    atomic_uint refs;
    struct weir_worker *worker;
    /* Control's. */
    struct weir_event_feed *feed;
    struct weir_list in_feed; /* linked while it is to get pieces */
    /* The worker's. */
    struct weir_request *request; /* NULL: not begun, or over */
    struct weir_textbuf waiting;  /* to be passed on; begins at `passed` */
    size_t passed;
    bool ending;               /* nothing comes behind what waits */
    struct weir_message leave; /* to control: it is to get no more */
    struct weir_message last;  /* from control: nor will it */
};

/* A piece on its way from control. */
struct weir_event_piece {
    struct weir_message message; /* first; handle is weir_event_piece_arrived */
    struct weir_event_follower *follower;
    size_t len;
    char text[];
};
void weir_event_piece_arrived(struct weir_message *m, void *receiver);
void weir_event_last_arrived(struct weir_message *m, void *receiver);
/* On control (event_feed.c). */
void weir_event_leave_arrived(struct weir_message *m, void *receiver);

void weir_event_follower_unref(struct weir_event_follower *f);

/* On the worker: begins the answer with a first text, which is emptied. The request may be gone afterwards. */
void weir_event_follow(struct weir_request *r, struct weir_event_follower *f, struct weir_textbuf *first);
/* The client can take more. The request may be over afterwards: pin it. */
void weir_event_follow_room(struct weir_request *r);
/* The request is over, or never began to follow. */
void weir_event_unfollow(struct weir_event_follower *f);

#endif
