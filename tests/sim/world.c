/* Time, chance, events and what holds them. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define SECONDS_USUAL 45u
/* Without faults, at the end: for the cluster to come back. */
#define QUIET_TAIL_S 20u
/* Events at one moment: an agent whose deadline is due and who does nothing about it would come back for ever. */
#define AT_ONCE_MAX 100000u

void *sim_alloc(size_t size)
{
    void *p = calloc(1, size > 0 ? size : 1);
    if (p == NULL) {
        (void)fprintf(stderr, "weir-sim: out of memory\n");
        exit(2);
    }
    return p;
}

/* -- the queue -- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

void sim_at(struct sim_world *w, uint64_t at_us, sim_run_cb run, uint32_t who, uint64_t mark, void *data)
{
    struct sim_event e = {at_us, ++w->order_last, run, who, mark, data};
    if (w->queue_count == w->queue_cap) {
        uint32_t cap = w->queue_cap > 0 ? w->queue_cap * 2 : 1024;
        struct sim_event *more = realloc(w->queue, cap * sizeof *more);
        if (more == NULL)
            abort();
        w->queue = more;
        w->queue_cap = cap;
    }
    uint32_t at = w->queue_count++;
    while (at > 0 && before(&e, &w->queue[(at - 1) / 2])) {
        w->queue[at] = w->queue[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w->queue[at] = e;
}

static struct sim_event pop(struct sim_world *w)
{
    struct sim_event first = w->queue[0], last = w->queue[--w->queue_count];
    uint32_t at = 0, child;
    while ((child = 2 * at + 1) < w->queue_count) {
        if (child + 1 < w->queue_count && before(&w->queue[child + 1], &w->queue[child]))
            child++;
        if (!before(&w->queue[child], &last))
            break;
        w->queue[at] = w->queue[child];
        at = child;
    }
    if (w->queue_count > 0)
        w->queue[at] = last;
    return first;
}

/* -- chance -- */

uint64_t sim_chance(struct sim_world *w, uint64_t below)
{
    return below > 0 ? weir_rng_next(&w->rng) % below : 0;
}

uint64_t sim_between(struct sim_world *w, uint64_t from, uint64_t below)
{
    return from + sim_chance(w, below - from);
}

bool sim_one_in(struct sim_world *w, uint64_t n)
{
    return sim_chance(w, n) == 0;
}

/* -- texts -- */

const char *sim_intern(struct sim_world *w, const char *text)
{
    for (uint32_t i = 0; i < w->interned_count; i++)
        if (strcmp(w->interned[i], text) == 0)
            return w->interned[i];
    if (w->interned_count == SIM_INTERNED_MAX)
        abort();
    char *copy = sim_alloc(strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return w->interned[w->interned_count++] = copy;
}

void sim_trace(struct sim_world *w, const char *who, const char *fmt, ...)
{
    va_list ap;
    if (w->options.trace == NULL)
        return;
    (void)fprintf(w->options.trace, "%9.3f %-8s ", (double)w->now_us / 1e6, who);
    va_start(ap, fmt);
    (void)vfprintf(w->options.trace, fmt, ap);
    va_end(ap);
    (void)fputc('\n', w->options.trace);
}

void sim_break(struct sim_world *w, const char *invariant, const char *fmt, ...)
{
    va_list ap;
    if (w->broken)
        return;
    w->broken = true;
    (void)snprintf(w->invariant, sizeof w->invariant, "%s", invariant);
    va_start(ap, fmt);
    (void)vsnprintf(w->why, sizeof w->why, fmt, ap);
    va_end(ap);
    sim_trace(w, "BROKEN", "%s: %s", w->invariant, w->why);
}

bool sim_planted(const struct sim_world *w, const char *name)
{
    return w->options.plant != NULL && strcmp(w->options.plant, name) == 0;
}

/* -- clocks -- */

static uint64_t scaled(uint64_t at_us, int64_t ppm)
{
    return (uint64_t)((int64_t)at_us + (int64_t)at_us * ppm / 1000000);
}

uint64_t sim_local_us(const struct sim_client *c, uint64_t at_us)
{
    return c->offset_us + scaled(at_us, c->ppm);
}

uint64_t sim_world_us(const struct sim_client *c, uint64_t local_us)
{
    uint64_t at = local_us > c->offset_us ? scaled(local_us - c->offset_us, -c->ppm) : 0;
    at = at > 8 ? at - 8 : 0;
    while (sim_local_us(c, at) < local_us)
        at++;
    return at;
}

/* -- a run -- */

static void make_clients(struct sim_world *w)
{
    const struct sim_options *o = &w->options;
    w->node_count = o->nodes > 0 ? o->nodes : (uint32_t)sim_between(w, 3, 7);
    uint32_t coordinators = o->coordinators != UINT32_MAX ? o->coordinators
                            : sim_one_in(w, 8)            ? 0
                                                          : (uint32_t)sim_between(w, 1, SIM_COORDINATORS);
    w->shard_count = o->shards > 0 ? o->shards : 16u << sim_chance(w, 3);
    w->client_count = w->node_count + coordinators;
    w->clients = sim_alloc(w->client_count * sizeof *w->clients);
    w->peers_cut = sim_alloc((size_t)w->node_count * w->node_count * sizeof *w->peers_cut);
    for (uint32_t i = 0; i < w->client_count; i++) {
        struct sim_client *c = &w->clients[i];
        c->is_node = i < w->node_count;
        (void)snprintf(c->id, sizeof c->id, c->is_node ? "n%u" : "k%u", c->is_node ? i : i - w->node_count);
        c->ppm =
            (int64_t)sim_chance(w, 4001) - 2000; /* a bad quartz is wrong by 100 ppm; clocks being slewed, by 500 */
        c->offset_us = sim_chance(w, 1000000) * SIM_S;
    }
}

static void keep_counts(struct sim_world *w, uint32_t who, uint64_t mark, void *data)
{
    (void)who;
    (void)mark;
    (void)data;
    *w->options.before = w->counts;
}

static void begin(struct sim_world *w)
{
    make_clients(w);
    w->delay_us = SIM_DELAY_MAX_US;
    w->limit = sim_one_in(w, 3) ? 600 : 6000; /* far below what comes, and well above */
    w->burst = w->limit / 10;
    w->strict = sim_one_in(w, 4);
    w->fail_closed = sim_one_in(w, 6);
    w->failover = !sim_one_in(w, 6);
    for (uint32_t e = 0; e < SIM_ENDPOINTS; e++)
        w->endpoints[e].failing_for = UINT32_MAX;
    sim_store_open(w);
    for (uint32_t i = 0; i < w->client_count; i++)
        sim_client_start(w, i);
    sim_check_start(w);
    sim_plant_start(w);
    if (w->options.before != NULL)
        sim_at(w, w->now_us + w->options.before_us, keep_counts, 0, 0, NULL);
    if (!w->options.quiet)
        sim_faults_plan(w);
}

bool sim_world_run(struct sim_world *w, const struct sim_options *o)
{
    memset(w, 0, sizeof *w);
    w->options = *o;
    w->rng.state = o->seed;
    w->now_us = SIM_S;
    w->end_us = w->now_us + (o->seconds > 0 ? o->seconds : SECONDS_USUAL) * SIM_S;
    w->faults_end_us = w->end_us > QUIET_TAIL_S * SIM_S ? w->end_us - QUIET_TAIL_S * SIM_S : 0;
    begin(w);
    uint32_t at_once = 0;
    while (!w->broken && w->queue_count > 0 && w->queue[0].at_us <= w->end_us) {
        struct sim_event e = pop(w);
        at_once = e.at_us > w->now_us ? 0 : at_once + 1;
        if (at_once > AT_ONCE_MAX)
            sim_break(w, "time-passes", "events without end at one moment, the last of client %u", e.who);
        w->now_us = e.at_us;
        w->counts.events++;
        e.run(w, e.who, e.mark, e.data);
        free(e.data);
    }
    if (!w->broken) {
        w->now_us = w->end_us;
        sim_check_end(w);
    }
    return !w->broken;
}

void sim_world_close(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->client_count; i++)
        if (w->clients[i].up)
            sim_client_end(w, i);
    for (uint32_t i = 0; i < w->queue_count; i++)
        free(w->queue[i].data);
    for (uint32_t i = 0; i < w->interned_count; i++)
        free((void *)(uintptr_t)w->interned[i]);
    sim_store_close(w);
    weir_textbuf_close(&w->planted_text);
    free(w->queue);
    free(w->clients);
    free(w->peers_cut);
    free(w->requests);
    memset(w, 0, sizeof *w);
}
