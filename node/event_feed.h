/* The cluster's events on control: the last ones, and those who follow them. On control's thread. */
#ifndef WEIR_NODE_EVENT_FEED_H
#define WEIR_NODE_EVENT_FEED_H

#include "core/event_ring.h"
#include "node/event_follow.h"

/* Dashboards and terminals; each costs a connection, and what it does not take in time. */
#define WEIR_FOLLOWERS_MAX 32u
/* A sign of life, for followers and for the proxies between. */
#define WEIR_FOLLOW_PULSE_MS 10000u

struct weir_event_feed {
    struct weir_reactor *reactor;
    struct weir_event_ring ring;
    struct weir_list followers; /* weir_event_follower.in_feed */
    unsigned follower_count;
    struct weir_deadline pulse;
    bool ended; /* no more followers are taken */
};

void weir_event_feed_init(struct weir_event_feed *f, struct weir_reactor *r);
/* An event of the store's, pushed or asked for: kept, and passed on if it is new. What is no event is passed over. */
void weir_event_feed_hear(struct weir_event_feed *f, struct weir_str json);

/* Someone on that worker follows from now on. *first is what they get to begin with: of the kept events those behind
 * the one with the id `after`, or, when that is 0, the last `count`. NULL: the feed has ended, WEIR_FOLLOWERS_MAX
 * follow, or there is no memory. The one reference is the request's. */
struct weir_event_follower *weir_event_feed_follow(struct weir_event_feed *f, struct weir_worker *w, uint64_t after,
                                                   size_t count, struct weir_textbuf *first);

/* The node drains: all answers end, and no more are begun. */
void weir_event_feed_end(struct weir_event_feed *f);
/* Ends it, frees. Before the workers are swept. */
void weir_event_feed_close(struct weir_event_feed *f);

#endif
