/* A node: its agent, circuits and limit, and the driver that ties them to the world. What a driver decides is nothing
 * of the cluster's. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static const struct weir_breaker_policy policy = {
    .failure_threshold = 5,
    .recovery_ms = 2000,
    .recovery_max_ms = 2000,
    .permits = SIM_PERMITS,
    .permit_ms = SIM_TRY_MS + 2 * WEIR_BREAKER_PERMIT_IDLE_MS,
};
static const char *const endpoints[SIM_ENDPOINTS] = {"http://a:80", "http://b:80"};

static uint64_t local_us(const struct sim_world *w, uint32_t i)
{
    return sim_local_us(&w->clients[i], w->now_us);
}

static uint64_t local_ms(const struct sim_world *w, uint32_t i)
{
    return local_us(w, i) / 1000;
}

const struct weir_breaker_policy *sim_policy(void)
{
    return &policy;
}

uint32_t sim_node_of(const char *id)
{
    uint64_t n;
    if (!weir_str_to_u64(weir_str_of(id + 1), &n))
        abort();
    return (uint32_t)n;
}

static uint32_t endpoint_of(const char *id)
{
    for (uint32_t e = 0; e < SIM_ENDPOINTS; e++)
        if (strcmp(endpoints[e], id) == 0)
            return e;
    abort();
}

/* -- ports -- */

/* How soon a circuit's report is due; false: there is none. */
static bool haste_of(struct sim_node *n, uint32_t e, uint64_t now_us, enum weir_cluster_haste *haste)
{
    bool urgent;
    if (!n->views[e].sharing) {
        *haste = WEIR_CLUSTER_URGENT;
        return n->asked_share_us[e] == 0 || n->asked_share_us[e] + SIM_S <= now_us;
    }
    bool owes = weir_breaker_view_owes(&n->views[e], &urgent);
    *haste = urgent ? WEIR_CLUSTER_URGENT : n->views[e].pending.fail > 0 ? WEIR_CLUSTER_SOON : WEIR_CLUSTER_CALM;
    return owes;
}

static uint32_t take_reports(void *arg, uint64_t now_ms, enum weir_cluster_haste least,
                             struct weir_coord_report_item *items, uint32_t max)
{
    struct sim_node *n = arg;
    uint32_t count = 0;
    for (uint32_t e = 0; e < SIM_ENDPOINTS && count < max; e++) {
        struct weir_coord_report_item *item = &items[count];
        enum weir_cluster_haste haste;
        weir_breaker_view_hand_back(&n->views[e], &policy, now_ms);
        if (!haste_of(n, e, n->world->now_us, &haste) || haste < least)
            continue;
        *item = (struct weir_coord_report_item){.endpoint = endpoints[e], .policy = policy};
        if (n->views[e].sharing) {
            (void)weir_breaker_view_take(&n->views[e], now_ms, &item->report);
            if (sim_planted(n->world, "cools-alone"))
                item->report.cooldown_ms = 0;
        } else {
            n->asked_share_us[e] = n->world->now_us;
            item->report.node = n->views[e].pending.node;
        }
        count++;
    }
    return count;
}

static uint32_t take_tokens(void *arg, uint64_t now_ms, struct weir_coord_tokens_item *items, uint32_t max)
{
    struct sim_node *n = arg;
    (void)now_ms;
    if (max == 0 || !weir_cluster_limit_wish(&n->limit, local_us(n->world, n->index), n->queued, n->drained, items))
        return 0;
    n->queued = 0;
    items[0].provider = "p";
    return 1;
}

/* A load that goes up and down with the slots. */
static struct weir_str take_load(void *arg, uint64_t now_ms, uint64_t slot)
{
    struct sim_node *n = arg;
    uint64_t load = 1 + (slot + n->index) % 7;
    (void)now_ms;
    int len = snprintf(n->load, sizeof n->load,
                       "weir-load 1 node=%s slot=%llu nodes=1 in_flight_peak=%llu utilization_pct=50\n"
                       "provider p requests=%llu in_flight_peak=%llu in_flight_mean=%llu\n",
                       n->world->clients[n->index].id, (unsigned long long)slot, (unsigned long long)load,
                       (unsigned long long)load, (unsigned long long)load, (unsigned long long)load * 500);
    return (struct weir_str){n->load, (size_t)len};
}

/* -- what the agent wants done -- */

static void gone(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    (void)data;
    if (w->clients[i].process == mark)
        sim_client_end(w, i);
}

static void leave(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up || c->process != mark || sim_client_hangs(w, i, leave, mark, data, 0))
        return;
    weir_cluster_agent_leave(c->node.agent, local_ms(w, i));
    sim_client_retick(w, i);
}

static void noted(struct sim_world *w, uint32_t i, const struct weir_cluster_action *a)
{
    struct sim_client *c = &w->clients[i];
    sim_trace(w, c->id, "%s %s %s", weir_cluster_note_text(a->note.kind), a->note.node, a->note.why);
    switch (a->note.kind) {
    case WEIR_CLUSTER_JOINED:
        c->node.joined = true;
        break;
    case WEIR_CLUSTER_CONTACT_BACK:
    case WEIR_CLUSTER_CONTACT_LOST:
    case WEIR_CLUSTER_STORE_ANEW:
        c->disturbed_us = w->now_us;
        break;
    case WEIR_CLUSTER_DRAINED:
        c->node.drained = true;
        sim_at(w, w->now_us + SIM_TRY_MS * SIM_MS, leave, i, c->process, NULL);
        break;
    case WEIR_CLUSTER_LEFT:
        c->node.left = true;
        sim_at(w, w->now_us, gone, i, c->process, NULL);
        break;
    default:
        break;
    }
}

/* It has a share of the limit from now on. */
static void begins_alone(const struct sim_world *w, struct sim_node *n)
{
    if (n->alone)
        return;
    n->alone = true;
    n->alone_from_us = w->now_us;
    n->alone_count = 0;
}

static void goes_alone(struct sim_world *w, uint32_t i)
{
    struct sim_node *n = &w->clients[i].node;
    for (uint32_t e = 0; e < SIM_ENDPOINTS; e++) {
        weir_breaker_view_alone(&n->views[e], local_ms(w, i));
        n->asked_share_us[e] = 0;
    }
    weir_cluster_limit_alone(&n->limit, weir_cluster_agent_sight(n->agent)->alive_count, local_us(w, i));
    begins_alone(w, n);
}

static void sees(struct sim_world *w, uint32_t i)
{
    struct sim_node *n = &w->clients[i].node;
    w->counts.sights++;
    sim_check_sight(w, i);
    if (weir_cluster_agent_sight(n->agent)->contact) {
        weir_cluster_limit_lease(&n->limit);
        n->alone = false;
    }
}

static void answered(struct sim_world *w, uint32_t i, const struct weir_cluster_action *a)
{
    struct sim_node *n = &w->clients[i].node;
    struct weir_cluster_limit_answer answer = {
        .ok = a->tokens.word == WEIR_COORD_OK,
        .asked = a->tokens.asked,
        .asked_us = a->tokens.asked_ms * 1000,
        .store_us = a->tokens.store_us,
        .granted = a->tokens.granted,
        .remaining = a->tokens.remaining,
        .wait_us = a->tokens.wait_us,
        .full_us = a->tokens.full_us,
        .nodes = weir_cluster_agent_sight(n->agent)->alive_count,
    };
    if (answer.ok && sim_planted(w, "tokens-twice"))
        answer.granted *= 2;
    weir_cluster_limit_answered(&n->limit, local_us(w, i), &answer);
    if (n->limit.mode == WEIR_CLUSTER_LIMIT_LEASED)
        n->alone = false;
    else if (n->limit.late)
        begins_alone(w, n);
}

static void act(void *arg, const struct weir_cluster_action *a)
{
    struct sim_node *n = arg;
    struct sim_world *w = n->world;
    switch (a->what) {
    case WEIR_CLUSTER_SEND:
        sim_client_send(w, n->index, a->request);
        break;
    case WEIR_CLUSTER_SIGHT:
        sees(w, n->index);
        break;
    case WEIR_CLUSTER_LEARN: {
        uint32_t e = endpoint_of(a->circuit.endpoint);
        weir_breaker_view_learn(&n->views[e], &policy, local_ms(w, n->index), &a->circuit.sight, a->store_ms);
        break;
    }
    case WEIR_CLUSTER_GRANTED: {
        uint32_t e = endpoint_of(a->granted.endpoint);
        weir_breaker_view_granted(&n->views[e], local_ms(w, n->index), a->granted.said, a->granted.reply, a->store_ms);
        break;
    }
    case WEIR_CLUSTER_ALONE:
        goes_alone(w, n->index);
        break;
    case WEIR_CLUSTER_TOKENS:
        answered(w, n->index, a);
        break;
    case WEIR_CLUSTER_NOTE:
        noted(w, n->index, a);
        break;
    case WEIR_CLUSTER_CHECKED:
    case WEIR_CLUSTER_HEARD:
    case WEIR_CLUSTER_ADVICE:
        break;
    }
}

/* -- the process -- */

void sim_node_make_agent(struct sim_world *w, uint32_t i)
{
    struct sim_client *c = &w->clients[i];
    struct weir_err err;
    struct weir_cluster_ports ports = {
        .arg = &c->node, .act = act, .take_reports = take_reports, .take_tokens = take_tokens, .take_load = take_load};
    struct weir_cluster_agent_config config = {.id = c->id,
                                               .advertise = c->id,
                                               .version = "sim",
                                               .instance = weir_rng_next(&w->rng) >> 12,
                                               .weight = 1 + i % 2,
                                               .failover_timeout_ms = SIM_FAILOVER_MS,
                                               .answer_ms = SIM_CALL_US / SIM_MS,
                                               .load_slot_ms = SIM_SLOT_MS,
                                               .failover = w->failover || sim_planted(w, "fails-over"),
                                               .shard_count = w->shard_count,
                                               .secret = i % 2 == 0 ? "proposed" : "another",
                                               .secret_shared = true};
    if (weir_cluster_agent_new(&c->node.agent, &config, &ports, local_ms(w, i), &err) != 0)
        abort();
}

void sim_node_start(struct sim_world *w, uint32_t i)
{
    struct sim_node *n = &w->clients[i].node;
    struct weir_cluster_limit_config limit = {.limit = w->limit,
                                              .burst = w->burst,
                                              .strict = w->strict,
                                              .fail_closed = w->fail_closed,
                                              .share_ppm = SIM_LIMIT_SHARE};
    memset(n, 0, sizeof *n);
    n->world = w;
    n->index = i;
    n->requests_mean_us = 40 * SIM_MS << sim_chance(w, 4);
    n->alone = true;
    n->alone_from_us = w->now_us;
    for (uint32_t e = 0; e < SIM_ENDPOINTS; e++)
        weir_breaker_view_init(&n->views[e], weir_coord_node_number(w->clients[i].id), local_ms(w, i));
    weir_cluster_limit_init(&n->limit, &limit, local_us(w, i));
    sim_node_make_agent(w, i);
    if (!w->options.quiet)
        sim_traffic_start(w, i);
}

void sim_node_end(struct sim_world *w, uint32_t i)
{
    struct sim_node *n = &w->clients[i].node;
    n->owned = weir_cluster_agent_sight(n->agent)->owned_count;
    weir_cluster_agent_free(&n->agent);
}

void sim_node_drain(struct sim_world *w, uint32_t i)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up)
        return;
    sim_trace(w, c->id, "is told to drain");
    c->node.drains = true;
    weir_cluster_agent_drain(c->node.agent, local_ms(w, i));
    sim_client_retick(w, i);
}
