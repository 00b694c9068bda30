#include "net/outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* A head, a few chunks with their framing: more than this in one turn means many tiny pieces by reference, and those
 * are copied. */
#define GATHER_IOVS  62
#define GATHER_BYTES WEIR_STREAM_BACKLOG_MAX
/* Kept for the next turn: as many as sources can become ready in one. Only pages once used cost memory. */
#define POOL_MAX WEIR_POLLER_BATCH

struct weir_gather {
    struct weir_gather *next; /* in the pool */
    size_t total;             /* bytes behind the iovecs */
    size_t used;              /* of `bytes` */
    int count;
    bool refs; /* some of them are the caller's */
    struct iovec iov[GATHER_IOVS];
    char bytes[GATHER_BYTES];
};

struct weir_outbox_pool {
    struct weir_gather *free;
    unsigned count;
};

struct weir_outbox_pool *weir_outbox_pool_new(void)
{
    return calloc(1, sizeof(struct weir_outbox_pool));
}

void weir_outbox_pool_free(struct weir_outbox_pool *pool)
{
    if (pool == NULL)
        return;
    for (struct weir_gather *g = pool->free, *next; g != NULL; g = next) {
        next = g->next;
        free(g);
    }
    free(pool);
}

static struct weir_gather *borrow(struct weir_outbox_pool *pool)
{
    struct weir_gather *g = pool->free;
    if (g != NULL) {
        pool->free = g->next;
        pool->count--;
    } else {
        g = malloc(sizeof *g);
        if (g == NULL)
            return NULL;
    }
    g->next = NULL;
    g->total = g->used = 0;
    g->count = 0;
    g->refs = false;
    return g;
}

static void give_back(struct weir_outbox *o)
{
    struct weir_outbox_pool *pool = o->reactor->outbox_pool;
    struct weir_gather *g = o->gather;
    o->gather = NULL;
    if (g == NULL)
        return;
    if (pool->count >= POOL_MAX) {
        free(g);
        return;
    }
    g->next = pool->free;
    pool->free = g;
    pool->count++;
}

void weir_outbox_init(struct weir_outbox *o, struct weir_reactor *r, struct weir_stream *s,
                      void (*flushed)(struct weir_outbox *o, int error), void *owner)
{
    *o = (struct weir_outbox){.reactor = r, .stream = s, .flushed = flushed, .owner = owner};
    weir_list_init(&o->dirty);
}

static void drop_backlog(struct weir_outbox *o)
{
    free(o->backlog);
    o->backlog = NULL;
    o->backlog_at = o->backlog_len = o->backlog_cap = 0;
}

void weir_outbox_close(struct weir_outbox *o)
{
    give_back(o);
    drop_backlog(o);
    weir_list_remove(&o->dirty);
    o->failed = true;
}

void weir_outbox_move(struct weir_outbox *o, struct weir_reactor *r)
{
    assert(weir_outbox_unsent(o) == 0 && !o->failed);
    give_back(o);
    weir_list_remove(&o->dirty);
    o->reactor = r;
}

static void mark_dirty(struct weir_outbox *o)
{
    if (!weir_list_empty(&o->dirty))
        return;
    weir_list_push_back(&o->reactor->dirty, &o->dirty);
    weir_poller_wake(&o->reactor->poller);
}

static void fail(struct weir_outbox *o, int error)
{
    o->failed = true;
    o->error = error;
    give_back(o);
    drop_backlog(o);
    mark_dirty(o);
}

size_t weir_outbox_unsent(const struct weir_outbox *o)
{
    return o->backlog_len + (o->gather != NULL ? o->gather->total : 0);
}

/* Room for n more bytes at the end of the backlog; NULL: out of memory. */
static char *extend_backlog(struct weir_outbox *o, size_t n)
{
    if (o->backlog_at + o->backlog_len + n > o->backlog_cap) {
        if (o->backlog_len + n > o->backlog_cap) {
            size_t cap = o->backlog_len + n;
            char *grown = malloc(cap);
            if (grown == NULL)
                return NULL;
            if (o->backlog_len > 0)
                memcpy(grown, o->backlog + o->backlog_at, o->backlog_len);
            free(o->backlog);
            o->backlog = grown;
            o->backlog_cap = cap;
        } else {
            memmove(o->backlog, o->backlog + o->backlog_at, o->backlog_len);
        }
        o->backlog_at = 0;
    }
    char *end = o->backlog + o->backlog_at + o->backlog_len;
    o->backlog_len += n;
    return end;
}

/* Keeps what is gathered but for its first `skip` bytes, and returns the gather. */
static void keep_rest(struct weir_outbox *o, size_t skip)
{
    struct weir_gather *g = o->gather;
    size_t rest = g->total - skip;
    if (o->backlog_len + rest > WEIR_OUTBOX_UNSENT_MAX) {
        fail(o, -ENOBUFS);
        return;
    }
    char *to = extend_backlog(o, rest);
    if (to == NULL) {
        fail(o, -ENOMEM);
        return;
    }
    for (int i = 0; i < g->count; i++) {
        size_t len = g->iov[i].iov_len;
        size_t skipped = skip < len ? skip : len;
        memcpy(to, (char *)g->iov[i].iov_base + skipped, len - skipped);
        to += len - skipped;
        skip -= skipped;
    }
    give_back(o);
}

/* One attempt at the kernel with what is gathered. A backlog means that the kernel is full: then there is none. */
static void write_gathered(struct weir_outbox *o)
{
    struct weir_gather *g = o->gather;
    if (g == NULL)
        return;
    if (g->total == 0) {
        give_back(o);
        return;
    }
    size_t taken = 0;
    if (o->backlog_len == 0) {
        ssize_t n = weir_stream_writev(o->stream, g->iov, g->count);
        if (n < 0 && n != WEIR_STREAM_AGAIN) {
            fail(o, (int)n);
            return;
        }
        taken = n > 0 ? (size_t)n : 0;
        o->bytes_total += taken;
    }
    if (taken == g->total)
        give_back(o);
    else
        keep_rest(o, taken);
}

/* A gather with n contiguous bytes and an iovec free; NULL once failed. */
static struct weir_gather *gather_for(struct weir_outbox *o, size_t n)
{
    if (o->failed)
        return NULL;
    struct weir_gather *g = o->gather;
    if (g != NULL && (g->count == GATHER_IOVS || GATHER_BYTES - g->used < n)) {
        write_gathered(o);
        if (o->failed)
            return NULL;
        g = o->gather;
    }
    if (g == NULL) {
        g = o->gather = borrow(o->reactor->outbox_pool);
        if (g == NULL) {
            fail(o, -ENOMEM);
            return NULL;
        }
    }
    mark_dirty(o);
    return g;
}

static void append(struct weir_gather *g, const void *p, size_t n)
{
    struct iovec *last = g->count > 0 ? &g->iov[g->count - 1] : NULL;
    if (last != NULL && (char *)last->iov_base + last->iov_len == (const char *)p)
        last->iov_len += n;
    else
        g->iov[g->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    g->total += n;
}

void weir_outbox_copy(struct weir_outbox *o, const void *p, size_t n)
{
    const char *from = p;
    while (n > 0) {
        size_t part = n < GATHER_BYTES ? n : GATHER_BYTES;
        struct weir_gather *g = gather_for(o, part);
        if (g == NULL)
            return;
        memcpy(g->bytes + g->used, from, part);
        append(g, g->bytes + g->used, part);
        g->used += part;
        from += part;
        n -= part;
    }
}

void weir_outbox_ref(struct weir_outbox *o, const void *p, size_t n)
{
    if (n < WEIR_OUTBOX_COPY_MAX) {
        weir_outbox_copy(o, p, n);
        return;
    }
    struct weir_gather *g = gather_for(o, 0);
    if (g == NULL)
        return;
    append(g, p, n);
    g->refs = true;
}

char *weir_outbox_reserve(struct weir_outbox *o, size_t n)
{
    assert(n <= GATHER_BYTES);
    struct weir_gather *g = gather_for(o, n);
    return g != NULL ? g->bytes + g->used : NULL;
}

void weir_outbox_commit(struct weir_outbox *o, size_t used)
{
    struct weir_gather *g = o->gather;
    if (g == NULL || used == 0)
        return;
    assert(used <= GATHER_BYTES - g->used);
    append(g, g->bytes + g->used, used);
    g->used += used;
}

void weir_outbox_flush(struct weir_outbox *o)
{
    write_gathered(o);
}

void weir_outbox_settle(struct weir_outbox *o)
{
    if (o->gather != NULL && o->gather->refs)
        write_gathered(o);
}

void weir_outbox_writable(struct weir_outbox *o)
{
    if (o->backlog_len == 0)
        return;
    struct iovec iov = {.iov_base = o->backlog + o->backlog_at, .iov_len = o->backlog_len};
    ssize_t n = weir_stream_writev(o->stream, &iov, 1);
    if (n == WEIR_STREAM_AGAIN || n == 0)
        return;
    if (n < 0) {
        fail(o, (int)n);
        return;
    }
    o->bytes_total += (size_t)n;
    o->backlog_at += (size_t)n;
    o->backlog_len -= (size_t)n;
    if (o->backlog_len == 0)
        drop_backlog(o);
    mark_dirty(o);
}

bool weir_outbox_flush_all(struct weir_reactor *r)
{
    struct weir_list now;
    weir_list_init(&now);
    weir_list_splice(&now, &r->dirty);
    for (struct weir_list *l; (l = weir_list_pop_front(&now)) != NULL;) {
        struct weir_outbox *o = WEIR_CONTAINER(l, struct weir_outbox, dirty);
        write_gathered(o);
        weir_list_remove(&o->dirty); /* a failure in this very write is reported here, not once more */
        int error = o->error;
        o->error = 0;
        o->flushed(o, error); /* o may be gone now */
    }
    return !weir_list_empty(&r->dirty);
}
