/* Circuits: reports in batches, and what the others' reports have changed. */
#include <stdio.h>

#include "core/cluster_agent_inner.h"
#include "core/saturate.h"

static bool may_send(const struct weir_cluster_agent *a)
{
    return a->link && a->contact && a->leaving < AGENT_LEAVES;
}

/* -- reports -- */

/* The index of a free one; AGENT_BATCHES: as many are under way as may be, the next waits for an answer. */
static uint32_t free_batch(const struct weir_cluster_agent *a)
{
    uint32_t i = 0;
    while (i < AGENT_BATCHES && a->reports[i].request != 0)
        i++;
    return i;
}

static void no_later(uint64_t *due_ms, uint64_t at_ms)
{
    if (at_ms < *due_ms)
        *due_ms = at_ms;
}

static uint64_t not_before(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms > now_ms ? at_ms : now_ms;
}

void weir_cluster_agent_owes(struct weir_cluster_agent *a, uint64_t now_ms, enum weir_cluster_haste haste)
{
    switch (haste) {
    case WEIR_CLUSTER_URGENT:
        no_later(&a->urgent_due_ms, not_before(a->urgent_from_ms, now_ms));
        break;
    case WEIR_CLUSTER_SOON:
        no_later(&a->soon_due_ms, not_before(a->reported_ms + AGENT_SOON_MS, now_ms));
        break;
    case WEIR_CLUSTER_CALM:
        break; /* those are looked for by themselves */
    }
    weir_cluster_agent_tick(a, now_ms);
}

static uint32_t pull(struct weir_cluster_agent *a, uint64_t now_ms, enum weir_cluster_haste least,
                     struct weir_coord_report *into)
{
    uint32_t room = WEIR_COORD_BATCH - into->count;
    uint32_t n = room > 0 ? a->ports.take_reports(a->ports.arg, now_ms, least, into->items + into->count, room) : 0;
    assert(n <= room);
    into->count += n;
    return n;
}

/* On the store's clock. */
static uint64_t answer_until_ms(const struct weir_cluster_agent *a, uint64_t now_ms)
{
    bool known = a->members.clock_known && a->answer_ms > 0;
    return known ? weir_shift_ms(now_ms, a->members.clock_offset_ms) + a->answer_ms : 0;
}

/* One request; false: there was nothing to say, or no room. *full: there may be more. */
static bool send_batch(struct weir_cluster_agent *a, uint64_t now_ms, enum weir_cluster_haste least, bool *full)
{
    uint32_t free_one = free_batch(a);
    struct weir_coord_request request = {
        .op = WEIR_COORD_REPORT, .report.by = a->self.id, .report.grant_until_ms = answer_until_ms(a, now_ms)};
    *full = free_one == AGENT_BATCHES;
    if (free_one == AGENT_BATCHES)
        return false;
    struct agent_report_batch *batch = &a->reports[free_one];
    if (pull(a, now_ms, least, &request.report) == 0)
        return false;
    *full = request.report.count == WEIR_COORD_BATCH;
    if (least == WEIR_CLUSTER_URGENT) /* goes along for nothing */
        (void)pull(a, now_ms, WEIR_CLUSTER_SOON, &request.report);
    batch->count = request.report.count;
    for (uint32_t i = 0; i < batch->count; i++) {
        (void)snprintf(batch->endpoints[i], sizeof batch->endpoints[i], "%s", request.report.items[i].endpoint);
        batch->quiet[i] = request.report.items[i].quiet;
        batch->said[i] = request.report.items[i].report;
    }
    a->reported_ms = now_ms;
    a->urgent_from_ms = not_before(a->urgent_from_ms, now_ms) + AGENT_URGENT_MS;
    batch->request = agent_send(a, now_ms, &request) ? request.id : 0;
    return true;
}

void agent_circuits_tick(struct weir_cluster_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_CIRCUITS};
    bool more;
    if (!may_send(a))
        return;
    if (a->circuits_wanted && a->circuits_request == 0) {
        a->circuits_wanted = false;
        request.circuits_since = a->circuits_version;
        a->circuits_request = agent_send(a, now_ms, &request) ? request.id : 0;
    }
    enum weir_cluster_haste least = a->calm_due_ms <= now_ms   ? WEIR_CLUSTER_CALM
                                    : a->soon_due_ms <= now_ms ? WEIR_CLUSTER_SOON
                                                               : WEIR_CLUSTER_URGENT;
    if ((least == WEIR_CLUSTER_URGENT && a->urgent_due_ms > now_ms) || free_batch(a) == AGENT_BATCHES)
        return;
    while (send_batch(a, now_ms, least, &more) && more)
        ;
    /* What found no room goes with the next batch of its kind. */
    a->urgent_due_ms = more ? not_before(a->urgent_from_ms, now_ms) : AGENT_NEVER;
    if (least <= WEIR_CLUSTER_SOON)
        a->soon_due_ms = more ? now_ms + AGENT_SOON_MS : AGENT_NEVER;
    if (least == WEIR_CLUSTER_CALM)
        a->calm_due_ms = now_ms + AGENT_CALM_MS;
}

uint64_t agent_circuits_deadline(const struct weir_cluster_agent *a)
{
    uint64_t first = a->calm_due_ms;
    if (!may_send(a) || free_batch(a) == AGENT_BATCHES)
        return AGENT_NEVER;
    no_later(&first, a->soon_due_ms);
    no_later(&first, a->urgent_due_ms);
    return first;
}

static void learn(struct weir_cluster_agent *a, const char *endpoint, const char *by,
                  const struct weir_breaker_sight *sight, uint64_t store_ms)
{
    struct weir_cluster_action action = {.what = WEIR_CLUSTER_LEARN, .store_ms = store_ms};
    action.circuit.endpoint = endpoint;
    action.circuit.by = by;
    action.circuit.sight = *sight;
    agent_act(a, &action);
}

void agent_report_reply(struct weir_cluster_agent *a, uint64_t now_ms, const struct weir_coord_reply *r)
{
    for (uint32_t b = 0; b < AGENT_BATCHES; b++) {
        struct agent_report_batch *batch = &a->reports[b];
        if (batch->request != r->id)
            continue;
        batch->request = 0;
        /* An answer from before contact was lost, or another store's, belongs to nobody any more. */
        if (r->word != WEIR_COORD_OK || !a->contact || r->id <= a->circuits_stale_request)
            return;
        for (uint32_t i = 0; i < batch->count && i < r->report.count; i++) {
            struct weir_cluster_action action = {.what = WEIR_CLUSTER_GRANTED, .store_ms = r->now_us / 1000};
            learn(a, batch->endpoints[i], "", &r->report.items[i].sight, r->now_us / 1000);
            action.granted.endpoint = batch->endpoints[i];
            action.granted.said = &batch->said[i];
            action.granted.reply = &r->report.items[i].reply;
            agent_act(a, &action);
            if (!batch->quiet[i])
                agent_tell_circuit(a, now_ms, batch->endpoints[i], &r->report.items[i].reply);
        }
        return;
    }
}

/* -- what has changed -- */

/* The views have forgotten what they shared: everything is asked for, and all of them report to begin again. */
void agent_circuits_begin(struct weir_cluster_agent *a, uint64_t now_ms, uint64_t store_us)
{
    a->circuits_from_us = store_us;
    a->circuits_version = a->circuits_store_us = 0;
    a->circuits_wanted = true;
    a->circuits_stale_request = a->request_last;
    a->circuits_request = 0;
    a->calm_due_ms = a->urgent_due_ms = now_ms;
}

bool agent_circuits_seen(struct weir_cluster_agent *a, uint64_t version, uint64_t store_us)
{
    if (store_us < a->circuits_from_us) /* its clock was set back */
        a->circuits_from_us = store_us;
    if (version < a->circuits_version)
        return store_us <= a->circuits_store_us; /* said before that version was, and come after it */
    a->circuits_wanted = a->circuits_wanted || version > a->circuits_version;
    return true;
}

static void saw_version(struct weir_cluster_agent *a, uint64_t version, uint64_t store_us)
{
    a->circuits_version = version;
    a->circuits_store_us = store_us;
}

void agent_circuits_reply(struct weir_cluster_agent *a, const struct weir_coord_reply *r)
{
    if (r->id != a->circuits_request)
        return;
    a->circuits_request = 0;
    if (r->word != WEIR_COORD_OK || !a->contact)
        return; /* the next beat shows again that something has changed */
    for (uint32_t i = 0; i < r->circuits.count; i++)
        learn(a, r->circuits.at[i].endpoint, r->circuits.at[i].by, &r->circuits.at[i].sight, r->now_us / 1000);
    saw_version(a, r->circuits.version, r->now_us);
}

void agent_circuit_push(struct weir_cluster_agent *a, const struct weir_coord_push *p)
{
    /* They come another way than answers, so one of the contents before may come after those are known to be lost. What
     * it said, if it still holds, is in the answer to CIRCUITS. */
    if (!a->contact || p->now_us <= a->circuits_from_us)
        return;
    learn(a, p->circuit.endpoint, p->circuit.by, &p->circuit.sight, p->now_us / 1000);
    if (p->circuit.version == a->circuits_version + 1)
        saw_version(a, p->circuit.version, p->now_us);
}
