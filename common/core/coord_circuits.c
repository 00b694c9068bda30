/* The circuits that all nodes share: core/breaker, one for each endpoint. */
#include <stdlib.h>

#include "core/coord_impl.h"

/* The circuit that has not changed for longest makes room. */
static void forget_one(struct weir_coord_state *s)
{
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < s->circuit_count; i++)
        if (s->circuits[i]->version < s->circuits[oldest]->version)
            oldest = i;
    free(s->circuits[oldest]);
    s->circuits[oldest] = s->circuits[--s->circuit_count];
}

/* A circuit that was forgotten and begins again does so above every generation that it had: nodes may hold an older one
 * to be open, and heed nothing below it. The version is never below any generation. */
static struct weir_coord_circuit_record *make(const struct weir_coord_turn *t, const char *endpoint)
{
    struct weir_coord_state *s = t->s;
    void *circuits = s->circuits, *shown = s->circuits_shown;
    uint32_t cap = s->circuit_cap, shown_cap = s->circuit_cap;
    struct weir_coord_circuit_record *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    if (s->circuit_count == WEIR_COORD_CIRCUITS_MAX)
        forget_one(s);
    bool grown = weir_coord_grow(&shown, s->circuit_count, &shown_cap, sizeof s->circuits_shown[0]);
    s->circuits_shown = shown;
    if (!grown || !weir_coord_grow(&circuits, s->circuit_count, &cap, sizeof(void *))) {
        free(c);
        return NULL;
    }
    s->circuits = circuits;
    s->circuit_cap = cap;
    s->circuits[s->circuit_count++] = c;
    weir_coord_copy(c->endpoint, sizeof c->endpoint, endpoint);
    weir_breaker_init(&c->breaker, t->now_ms);
    c->breaker.gen = c->version = ++s->circuits_version;
    return c;
}

static struct weir_coord_circuit_record *find_or_make(const struct weir_coord_turn *t, const char *endpoint)
{
    for (uint32_t i = 0; i < t->s->circuit_count; i++)
        if (strcmp(t->s->circuits[i]->endpoint, endpoint) == 0)
            return t->s->circuits[i];
    return make(t, endpoint);
}

static struct weir_coord_circuit show(const struct weir_coord_circuit_record *c)
{
    return (struct weir_coord_circuit){.endpoint = c->endpoint,
                                       .sight = weir_breaker_look(&c->breaker),
                                       .since_ms = c->breaker.since_ms,
                                       .version = c->version,
                                       .by = c->by};
}

static bool sees_the_same(const struct weir_breaker_sight *a, const struct weir_breaker_sight *b)
{
    return a->phase == b->phase && a->gen == b->gen && a->open_until_ms == b->open_until_ms &&
           a->cooldown_until_ms == b->cooldown_until_ms;
}

void weir_coord_report(const struct weir_coord_turn *t, const struct weir_coord_report *r)
{
    for (uint32_t i = 0; i < r->count && i < WEIR_COORD_BATCH; i++) {
        struct weir_coord_circuit_record *c = find_or_make(t, r->items[i].endpoint);
        if (c == NULL) {
            weir_coord_refuse(t, WEIR_COORD_REFUSED, "out of memory");
            return;
        }
        struct weir_breaker_sight before = weir_breaker_look(&c->breaker);
        struct weir_breaker_report said = r->items[i].report;
        if (r->grant_until_ms != 0 && t->now_ms > r->grant_until_ms)
            said.want = 0;
        weir_breaker_report(&c->breaker, &r->items[i].policy, t->now_ms, &said, &t->reply->report.items[i].reply);
        struct weir_breaker_sight after = weir_breaker_look(&c->breaker);
        t->reply->report.items[i].sight = after;
        t->reply->report.count = i + 1;
        if (after.gen != before.gen)
            weir_coord_copy(c->by, sizeof c->by, r->by);
        if (!sees_the_same(&before, &after)) {
            uint64_t phases = after.gen - before.gen;
            c->version = t->s->circuits_version += phases > 1 ? phases : 1;
            struct weir_coord_push push = {.kind = WEIR_COORD_PUSH_CIRCUIT, .circuit = show(c)};
            weir_coord_push_out(t, &push);
        }
    }
}

static int by_version(const void *a, const void *b)
{
    const struct weir_coord_circuit *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

void weir_coord_circuits(const struct weir_coord_turn *t, uint64_t since)
{
    struct weir_coord_state *s = t->s;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->circuit_count; i++)
        if (s->circuits[i]->version > since)
            s->circuits_shown[n++] = show(s->circuits[i]);
    if (n > 1)
        qsort(s->circuits_shown, n, sizeof s->circuits_shown[0], by_version);
    t->reply->circuits =
        (struct weir_coord_circuits_reply){.version = s->circuits_version, .count = n, .at = s->circuits_shown};
}
