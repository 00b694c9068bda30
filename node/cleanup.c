#include "node/cleanup.h"

#include <stdio.h>
#include <stdlib.h>

/* One sweep: a message to each worker, and one back from whoever is last. */
struct sweep {
    struct weir_message done; /* first */
    struct weir_node *node;
    struct weir_provider *provider; /* one reference */
    struct weir_log_producer *log;
    uint64_t sick;
    _Atomic unsigned left;   /* workers that are not done */
    _Atomic unsigned closed; /* connections, of all workers */
    struct sweep_part {
        struct weir_message message; /* first */
        struct sweep *whole;
        struct weir_worker *worker;
    } part[];
};

/* Back on control's thread. */
static void all_swept(struct weir_message *m, void *receiver)
{
    struct sweep *s = (struct sweep *)m;
    unsigned closed = atomic_load(&s->closed);
    (void)receiver;
    s->provider->cleaning.under_way = false;
    if (closed > 0) {
        char msg[64];
        struct weir_log_line l;
        snprintf(msg, sizeof msg, "Cleaned up %u stale connections", closed);
        weir_log_begin(&l, s->log, WEIR_LOG_INFO, "pool_cleanup", msg);
        weir_log_text(&l, "provider", s->provider->name);
        weir_log_u64(&l, "closed", closed);
        weir_log_end(&l);
    }
    weir_provider_unref(s->provider);
    free(s);
}

static void sweep_here(struct weir_message *m, void *receiver)
{
    struct sweep_part *part = (struct sweep_part *)m;
    struct sweep *s = part->whole;
    struct weir_worker *w = part->worker;
    (void)receiver;
    unsigned closed = weir_pool_clean(&w->pool, s->provider, s->sick);
    weir_pool_settle(&w->pool, s->provider);
    weir_provider_add(&s->provider->local[w->index].counters, WEIR_PC_CLEANED, closed);
    atomic_fetch_add(&s->closed, closed);
    if (atomic_fetch_sub(&s->left, 1) == 1) {
        s->done.handle = all_swept;
        weir_mailbox_post(s->node->control_mailbox, &s->done);
    }
}

bool weir_cleanup_begin(struct weir_node *node, struct weir_provider *p, uint64_t sick, struct weir_log_producer *log)
{
    unsigned count = node->worker_count;
    struct sweep *s = p->cleaning.under_way ? NULL : malloc(sizeof *s + count * sizeof s->part[0]);
    if (s == NULL)
        return false;
    *s = (struct sweep){.node = node, .provider = p, .log = log, .sick = sick, .left = count};
    weir_provider_ref(p);
    p->cleaning.under_way = true;
    for (unsigned i = 0; i < count; i++) {
        s->part[i] = (struct sweep_part){{.handle = sweep_here}, s, &node->workers[i]};
        weir_mailbox_post(&node->workers[i].reactor.mailbox, &s->part[i].message);
    }
    return true;
}
