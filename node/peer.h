/* What a node has found out about a peer by itself, outlasting every picture of the cluster: whether it could be
 * reached, and how much it has to do. Workers write, control and workers read; what both see is atomic.
 *
 * Suspicion: a peer whose link failed is asked no more for a while (distributed_pool.failover_timeout); after that one
 * request at a time tries it, until it answers. Control takes note of both (weir_peer_take_news), so that the agent
 * sees other owners for its shards.
 *
 * Load: a peer tells the requests that it serves with each acknowledgement. In between, what this node has sent and got
 * back since is counted on top; and what was told counts half after each second, so that a peer that was busy is asked
 * again some time. The store has no part in it.
 *
 * Epoch: what peers say to each other carries that of their shard map. Who hears of a newer one asks the store for it,
 * should the word of it have been lost. */
#ifndef WEIR_NODE_PEER_H
#define WEIR_NODE_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct weir_endpoint;

enum weir_peer_news { WEIR_PEER_NEWS_NONE, WEIR_PEER_NEWS_UNREACHABLE, WEIR_PEER_NEWS_REACHABLE };

struct weir_peer_state {
    _Atomic uint32_t refs;
    _Atomic bool has_news;             /* until control has taken it; what it is, suspect_until_ms says */
    _Atomic uint64_t suspect_until_ms; /* 0: not suspect; in the past: the next one tries it */
    _Atomic int64_t load_elsewhere;    /* its load, less what this node had sent it when it was told */
    _Atomic uint64_t load_told_ms;     /* when that was; 0: never */
    uint64_t probe_due_ms;             /* control's own: of the next probe; 0: not drawn yet */
    _Atomic uint64_t epoch_told;       /* the highest of its shard map that was above this node's; 0: none was */
};

/* NULL: out of memory. One reference, the caller's. */
struct weir_peer_state *weir_peer_state_new(void);
void weir_peer_state_ref(struct weir_peer_state *p);
void weir_peer_state_unref(struct weir_peer_state *p);

/* Whether a request may go to it now. Of a suspect whose time is over this is true once, and again after trial_ms. */
bool weir_peer_may_ask(struct weir_peer_state *p, uint64_t now_ms, uint64_t trial_ms);
bool weir_peer_is_suspect(const struct weir_peer_state *p);
/* Its link failed: true when it was not suspect. Control takes note either way: as long as it fails, its shards are
 * others'. */
bool weir_peer_suspect(struct weir_peer_state *p, uint64_t now_ms, uint64_t for_ms);
/* It has answered: true when it was suspect, and then control takes note. */
bool weir_peer_answered(struct weir_peer_state *p);
/* Control: how it stands, if something has been told since it last asked. */
enum weir_peer_news weir_peer_take_news(struct weir_peer_state *p);

/* It has told its load; e: its peer listener, of which tries are counted. */
void weir_peer_told(struct weir_peer_state *p, const struct weir_endpoint *e, uint64_t now_ms, uint32_t load);
/* It goes by a shard map of that epoch, which is above this node's. */
void weir_peer_told_epoch(struct weir_peer_state *p, uint64_t epoch);
/* Requests that it serves now, as far as can be known here. */
uint32_t weir_peer_load(const struct weir_peer_state *p, const struct weir_endpoint *e, uint64_t now_ms);

#endif
