/* Readiness of many sockets with one registration each: a private edge-triggered epoll set, itself watched by the
 * libuv loop of its thread.
 *
 * A source is added once (in, out, rdhup, edge-triggered) and never modified. Readiness is remembered in `ready` until
 * whoever reads or writes sees EAGAIN, so work may be put off (no credit, budget spent) without losing an edge. Sources
 * with something left to do stand in the run queue; the loop does not sleep while it is not empty.
 *
 * A turn runs once in every iteration of the loop, after the loop's own poll phase: turn_clock is called, every event
 * of one epoll_wait (of as many as it takes, where turn_clock says so) is noted in its source's `ready`, turn_start is
 * called, then each source in the queue is run, at most once, then turn_end. So whoever takes an idle connection off a
 * shelf in this turn can see that its peer has already hung up, and a clock that the turn judges has been read before
 * the events that it is judged with: what came before a deadline is seen before it, even by a thread that was kept from
 * the processor between the loop's poll and the turn. Work found by other handles of the loop (their callbacks come
 * before the turn) is part of the same turn. */
#ifndef WEIR_NET_POLLER_H
#define WEIR_NET_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/list.h"

/* Events taken per epoll_wait; the rest wait for the next turn, so that timers and mailboxes get theirs. */
#define WEIR_POLLER_BATCH 256

enum weir_ready {
    WEIR_READY_IN = 1u << 0,
    WEIR_READY_OUT = 1u << 1,
    WEIR_READY_HUP = 1u << 2, /* the peer ended its direction (RDHUP) or both (HUP), or an error is pending */
};

struct weir_source;
typedef void (*weir_source_cb)(struct weir_source *src);

struct weir_poller {
    uv_loop_t *loop;
    int epoll_fd;
    uv_poll_t watch;        /* the epoll set as one handle of the loop */
    uv_check_t after;       /* runs the turn after the loop's poll phase */
    uv_idle_t busy;         /* started while there is something to run: keeps the loop from sleeping */
    struct weir_list queue; /* to be run in this turn, or the next when none is going on */
    struct weir_list later; /* has run in this turn and asked for another one */
    uint64_t turns;
    uint64_t sources; /* registered now */
    unsigned open_handles;
    bool (*turn_clock)(void *arg); /* first of all. True: all that has come is to be noted, announced or not */
    void (*turn_start)(void *arg); /* before the first source of a turn runs: messages */
    bool (*turn_end)(
        void *arg); /* after the last: timers, gathered output. True: something is left for the next turn */
    void *turn_arg;
    void (*closed)(struct weir_poller *p);
    bool readable; /* the set has events */
    bool in_turn;
    bool closing;
};

struct weir_source {
    struct weir_list queued; /* in the poller's queue, or alone */
    weir_source_cb run;      /* looks at `ready`, does a bounded piece of work */
    int fd;                  /* -1: no descriptor (tests) */
    uint16_t ran;            /* low bits of the turn it last ran in */
    uint8_t ready;           /* weir_ready, sticky; cleared by whoever meets EAGAIN */
};

/* Errors: WEIR_EIO with errno kept (no epoll, no descriptor); the loop must then still be run once by the caller, for
 * the handles that were begun. */
int weir_poller_init(struct weir_poller *p, uv_loop_t *loop);
/* Asynchronous; `closed` is called once when the handles are gone. No source may be left. */
void weir_poller_close(struct weir_poller *p, void (*closed)(struct weir_poller *p));

void weir_source_init(struct weir_source *src, int fd, weir_source_cb run);
/* Registers src->fd. Errors: WEIR_EIO, WEIR_ELIMIT. On failure the caller still owns all. */
int weir_poller_add(struct weir_poller *p, struct weir_source *src);
/* Unregisters a source that was added and leaves the queue; the descriptor stays open and with the caller. Legal inside
 * src->run of any source. */
void weir_poller_remove(struct weir_poller *p, struct weir_source *src);
/* The same for a descriptor that the caller closes at once, which unregisters it without a system call. */
void weir_poller_forget(struct weir_poller *p, struct weir_source *src);
/* Runs src without an event: in this turn if it has not run in it yet, else in the next. Cheap when it is queued
 * already; legal on a source that was never added. */
void weir_poller_again(struct weir_poller *p, struct weir_source *src);
/* Makes sure that a turn follows without sleep, for work that is not a source (turn_start and turn_end see to it). */
void weir_poller_wake(struct weir_poller *p);

#endif
