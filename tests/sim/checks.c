/* The invariants, judged against the truth while it happens. README.md says what each means. */
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "sim.h"

#define LOOK_EACH_US (250 * SIM_MS)
#define MINUTE_US    (60 * SIM_S)
#define LEASE_US     WEIR_LEASE_LIFE_US
/* The clocks' rates differ by up to 3000 ppm; rounding. */
#define RATE_SLACK(n) ((n) / 200 + 2)
/* Until a death is known: failover_timeout as the store counts, then the next beat and the answer after it. */
#define ROUND_US (SIM_FAILOVER_MS * SIM_MS / 3)
#define DEATH_US (SIM_FAILOVER_MS * SIM_MS + ROUND_US + 500 * SIM_MS)
/* An open circuit is only probed when it is asked for; after so many requests it is closed. */
#define CLOSES_AFTER 12u
/* A request that nobody has answered after this is lost. */
#define REQUEST_US (5 * SIM_S)

/* -- maps and epochs -- */

void sim_check_map(struct sim_world *w, uint64_t epoch, const char *leader, struct weir_str text)
{
    uint64_t hash = weir_hash64_str(text, 0);
    const char *known = sim_intern(w, leader);
    for (uint32_t i = w->map_count; i-- > 0;)
        if (w->maps[i].epoch == epoch && w->maps[i].leader == known) {
            if (w->maps[i].hash != hash)
                sim_break(w, "one-map", "two maps have epoch %llu of leader %s", (unsigned long long)epoch, leader);
            return;
        }
    if (w->map_count < SIM_MAPS_MAX)
        w->maps[w->map_count++] = (struct sim_map_seen){epoch, hash, known};
}

void sim_check_sight(struct sim_world *w, uint32_t node)
{
    struct sim_client *c = &w->clients[node];
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->node.agent);
    bool lower = s->epoch < c->node.epoch ||
                 (s->epoch == c->node.epoch && s->epoch > 0 && strcmp(s->leader, c->node.leader) < 0);
    sim_trace(w, c->id, "sees epoch %llu of %s, %u of %u alive, owns %u%s", (unsigned long long)s->epoch, s->leader,
              s->alive_count, s->peer_count, s->owned_count, s->contact ? "" : ", no contact");
    if (lower)
        sim_break(w, "no-lower-epoch", "%s acts on epoch %llu of %s after %llu of %s", c->id,
                  (unsigned long long)s->epoch, s->leader, (unsigned long long)c->node.epoch, c->node.leader);
    c->node.epoch = s->epoch;
    memcpy(c->node.leader, s->leader, sizeof s->leader);
}

/* -- owners -- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool store_is_well(const struct sim_world *w)
{
    const struct sim_store *s = &w->store;
    return !s->down && s->frozen_until_us <= w->now_us && s->slow_us == 0 && !s->refuses && w->loss_ppm == 0 &&
           w->delay_us <= SIM_DELAY_MAX_US;
}

/* Since when a process has been no use to anybody; SIM_NEVER: it is. */
static uint64_t useless_since(const struct sim_world *w, const struct sim_client *c)
{
    if (!c->up)
        return c->gone_us;
    return c->paused_until_us > w->now_us ? c->paused_from_us : SIM_NEVER;
}

static uint32_t useless_count(const struct sim_world *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->node_count; i++)
        n += useless_since(w, &w->clients[i]) != SIM_NEVER;
    return n;
}

static void check_owners(struct sim_world *w, uint32_t node)
{
    struct sim_client *c = &w->clients[node];
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->node.agent);
    uint64_t undisturbed_us = later(c->disturbed_us, w->store.disturbed_us);
    /* Of more than half, some are only declared dead in the rounds after. */
    uint64_t allowed = DEATH_US + (useless_count(w) * 2 > w->node_count ? 3 * ROUND_US : 0);
    for (uint32_t shard = 0; shard < s->shard_count; shard++) {
        const char *owner = s->peers[s->owner[shard]].id;
        uint64_t since = useless_since(w, &w->clients[sim_node_of(owner)]);
        if (since == SIM_NEVER || w->now_us - since <= allowed)
            continue;
        /* A disturbance, too, is only noticed with a beat. */
        if (w->now_us - undisturbed_us <= allowed + ROUND_US)
            continue;
        sim_break(w, "live-owner", "%s takes %s for the owner of shard %u, which is gone for %llu ms", c->id, owner,
                  shard, (unsigned long long)((w->now_us - since) / SIM_MS));
        return;
    }
}

/* With failover off, who has crashed keeps its shards. */
static void check_kept(struct sim_world *w, uint32_t node)
{
    const struct sim_client *c = &w->clients[node];
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->node.agent);
    for (uint32_t k = 0; k < w->node_count; k++) {
        const struct sim_client *gone = &w->clients[k];
        uint32_t owns = 0;
        bool crashed = !gone->up && gone->node.joined && !gone->node.drains && gone->node.owned > 1;
        uint64_t undisturbed_us = later(later(c->disturbed_us, w->store.disturbed_us), gone->disturbed_us);
        if (!crashed || undisturbed_us + DEATH_US + ROUND_US > gone->gone_us)
            continue;
        for (uint32_t shard = 0; shard < s->shard_count; shard++)
            owns += strcmp(s->peers[s->owner[shard]].id, gone->id) == 0;
        if (owns == 0)
            sim_break(w, "kept-owner", "%s takes none of the %u shards of %s for its own any more, which has crashed",
                      c->id, gone->node.owned, gone->id);
    }
}

/* -- the lead -- */

/* A lease that ends, the next question after it, and its answer. */
#define LEAD_US ((SIM_LEAD_MS + SIM_LEAD_MS / 3) * SIM_MS + SIM_S)

static bool leads(const struct sim_world *w, const struct sim_client *c)
{
    return c->up && weir_coordinator_agent_look(c->coordinator, sim_local_us(c, w->now_us) / 1000).leads;
}

void sim_check_write(struct sim_world *w, uint32_t client, enum weir_coord_op op, uint64_t token)
{
    if (token < w->store.token)
        sim_break(w, "stale-write", "%s of %s is taken under token %llu after one under %llu", weir_coord_op_text(op),
                  w->clients[client].id, (unsigned long long)token, (unsigned long long)w->store.token);
    w->store.token = token;
}

/* While there is one that could lead, one does within the lease, whatever has become of the one before it. */
static void check_led(struct sim_world *w)
{
    bool could = false, led = false;
    for (uint32_t i = w->node_count; i < w->client_count; i++) {
        const struct sim_client *c = &w->clients[i];
        bool well = c->up && c->paused_until_us <= w->now_us && !c->cut;
        could = could || (well && later(c->disturbed_us, w->store.disturbed_us) + LEAD_US < w->now_us);
        led = led || (well && leads(w, c));
    }
    if (led)
        w->led_us = w->now_us;
    if (could && w->led_us + LEAD_US < w->now_us)
        sim_break(w, "led", "nobody leads, though there is a coordinator that could");
}

static void look(struct sim_world *w, uint32_t who, uint64_t mark, void *data)
{
    (void)data;
    for (uint32_t i = 0; i < w->node_count && store_is_well(w); i++) {
        const struct sim_client *c = &w->clients[i];
        bool judges = c->up && c->paused_until_us <= w->now_us && !c->cut && c->node.joined && !c->node.left;
        if (!judges || !weir_cluster_agent_sight(c->node.agent)->contact)
            continue;
        if (w->failover)
            check_owners(w, i);
        else
            check_kept(w, i);
    }
    if (store_is_well(w))
        check_led(w);
    sim_at(w, w->now_us + LOOK_EACH_US, look, who, mark, NULL);
}

void sim_check_start(struct sim_world *w)
{
    w->requests = sim_alloc(SIM_REQUESTS * sizeof *w->requests);
    if (!w->options.quiet)
        sim_at(w, w->now_us + LOOK_EACH_US, look, 0, 0, NULL);
}

/* -- requests -- */

static void check_had_one(struct sim_world *w, uint64_t number)
{
    const struct sim_request *r = &w->requests[number % SIM_REQUESTS];
    if (r->outcomes != 1)
        sim_break(w, "no-request-lost", "request %llu for shard %u, entered at %s, has ended %u times",
                  (unsigned long long)number, r->shard, w->clients[r->entered].id, r->outcomes);
}

uint64_t sim_check_request(struct sim_world *w, uint32_t entered, uint32_t shard)
{
    uint64_t number = ++w->request_last;
    if (number > SIM_REQUESTS)
        check_had_one(w, number - SIM_REQUESTS);
    w->requests[number % SIM_REQUESTS] = (struct sim_request){w->now_us, shard, entered, 0};
    return number;
}

void sim_check_outcome(struct sim_world *w, uint64_t request)
{
    if (request + SIM_REQUESTS <= w->request_last)
        return;
    if (++w->requests[request % SIM_REQUESTS].outcomes > 1)
        check_had_one(w, request);
}

static void check_requests(struct sim_world *w)
{
    uint64_t first = w->request_last > SIM_REQUESTS ? w->request_last - SIM_REQUESTS : 0;
    for (uint64_t n = first + 1; n <= w->request_last; n++)
        if (w->requests[n % SIM_REQUESTS].at_us + REQUEST_US < w->now_us)
            check_had_one(w, n);
}

/* -- limits -- */

void sim_check_extra(struct sim_world *w, uint64_t tokens)
{
    if (w->extra_count == SIM_EXTRAS_MAX)
        abort();
    w->extras[w->extra_count++] = (struct sim_extra){w->now_us, tokens};
}

/* burst + rate x (window + lease), or burst + rate x window when strict, and what befell the store meanwhile. */
static uint64_t leased_bound(const struct sim_world *w)
{
    uint64_t window = MINUTE_US + (w->strict ? 0 : LEASE_US);
    uint64_t bound = w->burst + w->limit * window / MINUTE_US;
    bound += RATE_SLACK(bound);
    for (uint32_t i = 0; i < w->extra_count; i++)
        if (w->extras[i].at_us + MINUTE_US + LEASE_US >= w->now_us)
            bound += w->extras[i].tokens;
    return bound;
}

static void check_leased(struct sim_world *w)
{
    struct sim_admitted *a = &w->leased;
    a->at_us[a->count++ % SIM_ADMITTED_MAX] = w->now_us;
    while (a->at_us[a->first % SIM_ADMITTED_MAX] + MINUTE_US < w->now_us)
        a->first++;
    uint64_t bound = leased_bound(w);
    if (a->count - a->first > bound)
        sim_break(w, "limit", "%u admitted by leases within a minute, the bound is %llu", a->count - a->first,
                  (unsigned long long)bound);
}

/* Cut off, a node has its share of the limit and of the burst. */
static void check_alone(struct sim_world *w, uint32_t node)
{
    struct sim_node *n = &w->clients[node].node;
    const struct weir_limiter *share = &n->limit.alone;
    uint64_t bound = share->burst + share->limit * (w->now_us - n->alone_from_us) / MINUTE_US;
    bound += RATE_SLACK(bound);
    if (w->strict || w->fail_closed)
        sim_break(w, "limit", "%s admits without a lease, though the limit is %s", w->clients[node].id,
                  w->strict ? "strict" : "closed");
    else if (++n->alone_count > bound)
        sim_break(w, "limit", "%s admitted %llu alone, its share is %llu", w->clients[node].id,
                  (unsigned long long)n->alone_count, (unsigned long long)bound);
}

void sim_check_admitted(struct sim_world *w, uint32_t node, bool leased)
{
    if (leased)
        check_leased(w);
    else
        check_alone(w, node);
}

/* -- permits -- */

void sim_check_probe(struct sim_world *w, uint32_t node, uint32_t endpoint)
{
    /* A store that lost what it granted, or whose clock jumped, may grant it again. */
    bool sure = w->now_us > w->store.permits_void_us + (2 * sim_policy()->permit_ms) * SIM_MS;
    if (sure && w->probes[endpoint] > SIM_PERMITS)
        sim_break(w, "permits", "%u probes of endpoint %u at once, the last by %s", w->probes[endpoint], endpoint,
                  w->clients[node].id);
}

/* -- cooldowns -- */

/* A cooldown has come to all nodes by then, and ends early by no more than that. */
#define TOLD_US  (3 * SIM_S / 2)
#define EARLY_US (100 * SIM_MS)
/* Before it nothing had disturbed whoever told of it, and whoever heard, for so long. */
#define CALM_US (DEATH_US + ROUND_US)

void sim_check_cooldown(struct sim_world *w, uint32_t node, uint32_t endpoint, uint64_t for_us)
{
    const struct sim_client *c = &w->clients[node];
    struct sim_cooldown *k = &w->cooldowns[endpoint];
    bool tells = !c->cut && weir_cluster_agent_sight(c->node.agent)->contact;
    if (tells && w->now_us + for_us > k->until_us)
        *k = (struct sim_cooldown){w->now_us, w->now_us + for_us, node, c->process};
}

void sim_check_tried(struct sim_world *w, uint32_t node, uint32_t endpoint)
{
    const struct sim_cooldown *k = &w->cooldowns[endpoint];
    const struct sim_client *c = &w->clients[node], *by = &w->clients[k->by];
    uint64_t disturbed_us = later(w->store.disturbed_us, later(c->disturbed_us, by->disturbed_us));
    if (w->now_us <= k->at_us + TOLD_US || w->now_us + EARLY_US >= k->until_us)
        return;
    bool told = by->process == k->process && by->node.joined && !by->node.left;
    bool heard = c->node.joined && weir_cluster_agent_sight(c->node.agent)->contact && c->node.views[endpoint].sharing;
    if (told && heard && store_is_well(w) && disturbed_us + CALM_US < k->at_us)
        sim_break(w, "cooldown", "%s asks endpoint %u, which told %s %llu ms ago to be left alone for %llu", c->id,
                  endpoint, by->id, (unsigned long long)((w->now_us - k->at_us) / SIM_MS),
                  (unsigned long long)((k->until_us - k->at_us) / SIM_MS));
}

/* -- after the faults -- */

static void compare_peers(struct sim_world *w, uint32_t i)
{
    const struct sim_client *c = &w->clients[i];
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->node.agent);
    for (uint32_t k = 0; k < w->node_count; k++) {
        int at = weir_cluster_sight_find(s, w->clients[k].id);
        bool seen = at >= 0 && s->peers[at].alive;
        if (seen != w->clients[k].up)
            sim_break(w, "converges", "%s takes %s for %s", c->id, w->clients[k].id, seen ? "alive" : "gone");
        else if (seen && s->peers[at].suspect)
            sim_break(w, "converges", "%s still suspects %s", c->id, w->clients[k].id);
    }
}

static void compare_maps(struct sim_world *w, uint32_t i, uint32_t first)
{
    const struct sim_client *c = &w->clients[i];
    const struct weir_cluster_sight *a = weir_cluster_agent_sight(w->clients[first].node.agent);
    const struct weir_cluster_sight *b = weir_cluster_agent_sight(c->node.agent);
    if (a->epoch != b->epoch || strcmp(a->leader, b->leader) != 0 || a->shard_count != b->shard_count) {
        sim_break(w, "converges", "%s has epoch %llu of %s, %s has %llu of %s", w->clients[first].id,
                  (unsigned long long)a->epoch, a->leader, c->id, (unsigned long long)b->epoch, b->leader);
        return;
    }
    for (uint32_t shard = 0; shard < a->shard_count; shard++)
        if (strcmp(a->peers[a->owner[shard]].id, b->peers[b->owner[shard]].id) != 0)
            sim_break(w, "converges", "shard %u belongs to %s for %s and to %s for %s", shard,
                      a->peers[a->owner[shard]].id, w->clients[first].id, b->peers[b->owner[shard]].id, c->id);
}

static void compare_circuits(struct sim_world *w, uint32_t i, uint32_t first)
{
    struct sim_client *c = &w->clients[i];
    for (uint32_t e = 0; e < SIM_ENDPOINTS; e++) {
        const struct weir_breaker_view *a = &w->clients[first].node.views[e], *b = &c->node.views[e];
        struct weir_breaker_sight look = weir_breaker_view_look(b, sim_local_us(c, w->now_us) / 1000);
        if (!b->sharing || a->shared.gen != b->shared.gen)
            sim_break(w, "converges", "circuit %u: %s is in generation %llu, %s in %llu%s", e, w->clients[first].id,
                      (unsigned long long)a->shared.gen, c->id, (unsigned long long)b->shared.gen,
                      b->sharing ? "" : " and shares nothing");
        else if (look.phase != WEIR_BREAKER_CLOSED && look.cooldown_until_ms == 0 &&
                 c->node.tried_late[e] >= CLOSES_AFTER)
            sim_break(w, "converges", "circuit %u is still %s on %s", e, weir_breaker_phase_text(look.phase), c->id);
    }
}

static bool anybody_leads(const struct sim_world *w)
{
    for (uint32_t i = w->node_count; i < w->client_count; i++)
        if (w->clients[i].up)
            return true;
    return false;
}

/* Whoever leads knows the load, and has said what follows from it. */
static void check_history(struct sim_world *w)
{
    for (uint32_t i = w->node_count; i < w->client_count; i++) {
        const struct sim_client *c = &w->clients[i];
        if (!leads(w, c))
            continue;
        uint64_t now_ms = sim_local_us(c, w->now_us) / 1000;
        struct weir_coordinator_history_look look = weir_coordinator_agent_look(c->coordinator, now_ms).history;
        if (!look.on || look.hints == NULL || look.seen == 0 || look.unreadable > 0)
            sim_break(w, "converges", "%s leads and has no hints: %llu steps seen", c->id,
                      (unsigned long long)look.seen);
    }
}

void sim_check_end(struct sim_world *w)
{
    uint32_t first = UINT32_MAX;
    if (w->options.quiet)
        return;
    check_requests(w);
    check_history(w);
    for (uint32_t i = 0; i < w->node_count && !w->broken; i++) {
        const struct sim_client *c = &w->clients[i];
        if (!c->up)
            continue;
        first = first == UINT32_MAX ? i : first;
        const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->node.agent);
        if (!s->contact || !c->node.joined)
            sim_break(w, "converges", "%s is not back in the cluster", c->id);
        else if (anybody_leads(w) && s->epoch == 0)
            sim_break(w, "converges", "%s has no map, though there is a coordinator", c->id);
        compare_peers(w, i);
        compare_maps(w, i, first);
        compare_circuits(w, i, first);
    }
}
