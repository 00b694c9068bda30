/* Clients' requests: each enters at some node, is served where that node places it, and ends once. */
#include <stdlib.h>

#include "sim.h"

/* Who waits for a permit looks again so often, and so many times. */
#define ASKED_US    (20 * SIM_MS)
#define ASKED_WAITS 20u

struct journey {
    uint64_t request;
    uint32_t entered, shard;
    uint64_t entered_process;
};

static uint64_t local_us(const struct sim_world *w, uint32_t i)
{
    return sim_local_us(&w->clients[i], w->now_us);
}

/* -- with the endpoint -- */

struct attempt {
    uint64_t request;
    uint32_t endpoint;
    bool fails;
    uint32_t cools_ms; /* 429 with Retry-After; 0: not */
    struct weir_breaker_ticket ticket;
};

/* Of a cooldown. */
#define COOLS_MS_MIN 500u
#define COOLS_MS_MAX 6000u

static void probe_over(struct sim_world *w, uint32_t endpoint, uint64_t mark, void *data)
{
    (void)mark;
    (void)data;
    w->probes[endpoint]--;
}

static void tell_owed(struct sim_world *w, uint32_t i, uint32_t e)
{
    struct sim_node *n = &w->clients[i].node;
    bool urgent;
    (void)weir_breaker_view_owes(&n->views[e], &urgent);
    if (urgent || n->views[e].pending.fail > 0)
        weir_cluster_agent_owes(n->agent, local_us(w, i) / 1000, urgent ? WEIR_CLUSTER_URGENT : WEIR_CLUSTER_SOON);
    sim_client_retick(w, i);
}

static void done(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    struct attempt *a = data;
    struct weir_breaker_reply reply;
    if (c->process != mark) {
        w->counts.died++;
        sim_check_outcome(w, a->request);
        return;
    }
    if (sim_client_hangs(w, i, done, mark, data, sizeof *a))
        return;
    weir_breaker_view_done(&c->node.views[a->endpoint], sim_policy(), local_us(w, i) / 1000, &a->ticket,
                           a->cools_ms > 0 ? WEIR_BREAKER_NEITHER
                           : a->fails      ? WEIR_BREAKER_FAILURE
                                           : WEIR_BREAKER_SUCCESS,
                           a->cools_ms, &reply);
    if (a->cools_ms > 0)
        sim_check_cooldown(w, i, a->endpoint, a->cools_ms * SIM_MS);
    bool well = !a->fails && a->cools_ms == 0;
    w->counts.served += well;
    w->counts.failed += !well;
    sim_check_outcome(w, a->request);
    tell_owed(w, i, a->endpoint);
}

static void go_out(struct sim_world *w, uint32_t i, uint32_t e, uint64_t request, struct weir_breaker_ticket ticket)
{
    struct attempt *a = sim_alloc(sizeof *a);
    bool fails = w->endpoints[e].failing || w->endpoints[e].failing_for == i;
    uint64_t takes = sim_between(w, SIM_MS, (fails ? 50 : SIM_TRY_MS) * SIM_MS);
    uint32_t cools_ms = w->endpoints[e].cools ? (uint32_t)sim_between(w, COOLS_MS_MIN, COOLS_MS_MAX) : 0;
    *a = (struct attempt){request, e, fails, cools_ms, ticket};
    sim_check_tried(w, i, e);
    if (ticket.permit != 0 || sim_planted(w, "probes-unasked")) {
        w->counts.probes++;
        w->probes[e]++;
        sim_at(w, w->now_us + takes, probe_over, e, 0, NULL);
        sim_check_probe(w, i, e);
    }
    sim_at(w, w->now_us + takes, done, i, w->clients[i].process, a);
}

static enum weir_breaker_answer_word try_endpoint(struct sim_world *w, uint32_t i, uint32_t e, uint64_t request)
{
    struct sim_node *n = &w->clients[i].node;
    struct weir_breaker_reply reply;
    struct weir_breaker_answer answer =
        weir_breaker_view_admit(&n->views[e], sim_policy(), local_us(w, i) / 1000, &reply);
    n->tried_late[e] += w->now_us + SIM_LATE_US > w->end_us;
    tell_owed(w, i, e);
    if (answer.word == WEIR_BREAKER_ADMIT)
        go_out(w, i, e, request, answer.ticket);
    return answer.word;
}

static void choose(struct sim_world *w, uint32_t i, uint64_t request, uint32_t shard, uint32_t waits);

struct waiting {
    uint64_t request;
    uint32_t shard, waits;
};

static void asked_again(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct waiting *r = data;
    if (w->clients[i].process != mark) {
        w->counts.died++;
        sim_check_outcome(w, r->request);
    } else if (!sim_client_hangs(w, i, asked_again, mark, data, sizeof *r)) {
        choose(w, i, r->request, r->shard, r->waits);
    }
}

/* The shard's endpoint, else the other one. Who has asked for a permit waits for the answer. */
static void choose(struct sim_world *w, uint32_t i, uint64_t request, uint32_t shard, uint32_t waits)
{
    enum weir_breaker_answer_word word = try_endpoint(w, i, shard % SIM_ENDPOINTS, request);
    if (word == WEIR_BREAKER_ADMIT)
        return;
    if (word == WEIR_BREAKER_REFUSE_ASKED && waits > 0) {
        struct waiting *r = sim_alloc(sizeof *r);
        *r = (struct waiting){request, shard, waits - 1};
        sim_at(w, w->now_us + ASKED_US, asked_again, i, w->clients[i].process, r);
        return;
    }
    if (try_endpoint(w, i, (shard + 1) % SIM_ENDPOINTS, request) == WEIR_BREAKER_ADMIT)
        return;
    w->counts.no_circuit++;
    sim_check_outcome(w, request);
}

static bool take_token(struct sim_world *w, uint32_t i)
{
    struct sim_node *n = &w->clients[i].node;
    uint64_t now_us = local_us(w, i);
    if (weir_cluster_limit_tokens(&n->limit, now_us) == 0) {
        n->queued += n->queued < 20;
        weir_cluster_agent_thirsty(n->agent, now_us / 1000);
        sim_client_retick(w, i);
        return false;
    }
    uint32_t alone = n->limit.spent_alone;
    weir_cluster_limit_take(&n->limit, now_us);
    sim_check_admitted(w, i, n->limit.spent_alone == alone);
    return true;
}

/* Whoever is handed a request serves it. */
static void serve(struct sim_world *w, uint32_t i, uint64_t request, uint32_t shard)
{
    if (take_token(w, i)) {
        choose(w, i, request, shard, ASKED_WAITS);
        return;
    }
    w->counts.no_token++;
    sim_check_outcome(w, request);
}

/* -- between nodes -- */

static bool reaches(const struct sim_world *w, uint32_t from, uint32_t to)
{
    const struct sim_client *c = &w->clients[to];
    return c->up && c->paused_until_us <= w->now_us && !w->peers_cut[from * w->node_count + to];
}

static void comes_back(struct sim_world *w, uint32_t to, uint64_t mark, void *data)
{
    struct journey *j = data;
    struct sim_client *c = &w->clients[j->entered];
    if (c->process != j->entered_process) {
        w->counts.died++;
        sim_check_outcome(w, j->request);
        return;
    }
    if (c->paused_until_us > w->now_us) {
        struct journey *copy = sim_alloc(sizeof *copy);
        *copy = *j;
        sim_at(w, c->paused_until_us, comes_back, to, mark, copy);
        return;
    }
    weir_cluster_agent_peer(c->node.agent, local_us(w, j->entered) / 1000, w->clients[to].id, false);
    sim_client_retick(w, j->entered);
    serve(w, j->entered, j->request, j->shard);
}

static void handed_over(struct sim_world *w, uint32_t to, uint64_t mark, void *data)
{
    struct journey *j = data;
    struct sim_client *c = &w->clients[j->entered];
    (void)mark;
    if (!reaches(w, j->entered, to)) {
        struct journey *copy = sim_alloc(sizeof *copy);
        *copy = *j;
        sim_at(w, w->now_us + SIM_PEER_US, comes_back, to, 0, copy);
        return;
    }
    if (c->process == j->entered_process && c->paused_until_us <= w->now_us) {
        weir_cluster_agent_peer(c->node.agent, local_us(w, j->entered) / 1000, w->clients[to].id, true);
        sim_client_retick(w, j->entered);
        if (sim_planted(w, "served-twice"))
            serve(w, j->entered, j->request, j->shard);
    }
    const struct weir_cluster_sight *sight = weir_cluster_agent_sight(w->clients[to].node.agent);
    if (sim_planted(w, "owner-only") && sight->owner[j->shard % sight->shard_count] != sight->self)
        return; /* "not mine" */
    serve(w, to, j->request, j->shard);
}

static void place(struct sim_world *w, uint32_t i)
{
    struct sim_client *c = &w->clients[i];
    const struct weir_cluster_sight *sight = weir_cluster_agent_sight(c->node.agent);
    uint32_t shard = (uint32_t)sim_chance(w, sight->shard_count);
    const struct weir_cluster_peer *owner = &sight->peers[sight->owner[shard]];
    uint64_t request = sim_check_request(w, i, shard);
    w->counts.requests++;
    if (sight->owner[shard] == sight->self || !owner->alive || owner->suspect) {
        serve(w, i, request, shard);
        return;
    }
    struct journey *j = sim_alloc(sizeof *j);
    *j = (struct journey){request, i, shard, c->process};
    w->counts.forwarded++;
    sim_at(w, w->now_us + 50 + sim_chance(w, SIM_MS), handed_over, sim_node_of(owner->id), 0, j);
}

static void enters(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up || c->process != mark || sim_client_hangs(w, i, enters, mark, data, 0))
        return;
    if (!c->node.left)
        place(w, i);
    sim_at(w, w->now_us + sim_chance(w, 2 * c->node.requests_mean_us), enters, i, mark, NULL);
}

void sim_traffic_start(struct sim_world *w, uint32_t i)
{
    sim_at(w, w->now_us + sim_chance(w, SIM_S), enters, i, w->clients[i].process, NULL);
}
