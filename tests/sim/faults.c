/* What goes wrong in a history: drawn from the seed before it begins, and all of it over in time. */
#include "sim.h"

#define FAULTS_FROM_US (6 * SIM_S)
#define FAULTS_MAX     9u
/* Of those that crash, so many in a hundred stay away. */
#define GONE_FOR_GOOD 20u

enum fault {
    CRASH,
    DRAIN,
    PAUSE,
    CUT_NOTICED,
    CUT_SILENT,
    CUT_PEERS,
    CUT_PEERS_ALL,
    STORE_DOWN,
    STORE_EMPTY,
    STORE_FLUSHED,
    STORE_RESTARTS,
    STORE_FROZEN,
    STORE_SLOW,
    STORE_REFUSES,
    STORE_CLOCK,
    STORE_FAILOVER,
    LOSS,
    LAG,
    ENDPOINT_FAILS,
    ENDPOINT_FAILS_FOR_ONE,
    ENDPOINT_COOLS,
    FAULTS,
};
static const char *const names[FAULTS] = {
    "crash",
    "drain",
    "pause",
    "cut off",
    "cut off silently",
    "two nodes cut",
    "a node cut from all",
    "store down",
    "store empty",
    "store flushed",
    "store restarts",
    "store frozen",
    "store slow",
    "store refuses",
    "store's clock",
    "failover",
    "loss",
    "lag",
    "endpoint fails",
    "endpoint fails for one",
    "endpoint wants a rest",
};

struct planned {
    enum fault kind;
    uint32_t who, other;
    uint64_t lasts_us;
    bool heals;
};

static void disturb_store(struct sim_world *w)
{
    w->store.disturbed_us = w->now_us;
}

static void cut_peers(struct sim_world *w, uint32_t a, uint32_t b, bool cut)
{
    w->peers_cut[a * w->node_count + b] = w->peers_cut[b * w->node_count + a] = cut;
}

static void set_cut(struct sim_world *w, uint32_t i, bool cut, bool silent)
{
    struct sim_client *c = &w->clients[i];
    c->cut = cut;
    c->silent = silent;
    c->disturbed_us = w->now_us;
    if (!silent)
        sim_client_link(w, i, !cut);
}

/* Forward it fills the limits' buckets; whatever had a deadline in the store is over. */
static void jump_clock(struct sim_world *w)
{
    int64_t by = (int64_t)sim_between(w, 1, sim_one_in(w, 2) ? 3 * SIM_S : 3600 * SIM_S);
    w->store.jump_us += sim_one_in(w, 2) ? by : -by;
    w->store.disturbed_us = w->store.permits_void_us = w->now_us;
    sim_check_extra(w, w->burst);
}

static void on_client(struct sim_world *w, const struct planned *p, bool begins)
{
    struct sim_client *c = &w->clients[p->who];
    switch (p->kind) {
    case CRASH:
    case DRAIN:
        if (begins && p->kind == CRASH)
            sim_client_end(w, p->who);
        else if (begins)
            sim_node_drain(w, p->who);
        else if (!c->up)
            sim_client_start(w, p->who);
        break;
    case PAUSE:
        if (begins) {
            c->paused_from_us = w->now_us;
            c->paused_until_us = w->now_us + p->lasts_us;
        }
        c->disturbed_us = w->now_us;
        break;
    case CUT_NOTICED:
    case CUT_SILENT:
        set_cut(w, p->who, begins, p->kind == CUT_SILENT);
        break;
    case CUT_PEERS:
        cut_peers(w, p->who, p->other, begins);
        break;
    case CUT_PEERS_ALL:
        for (uint32_t i = 0; i < w->node_count; i++)
            cut_peers(w, p->who, i, begins);
        break;
    default:
        break;
    }
}

static void on_store(struct sim_world *w, const struct planned *p, bool begins)
{
    disturb_store(w);
    switch (p->kind) {
    case STORE_DOWN:
        w->store.down = begins;
        if (begins)
            sim_store_fail(w, true);
        break;
    case STORE_EMPTY:
        if (begins)
            sim_store_fail(w, false);
        break;
    case STORE_FLUSHED:
        if (begins)
            sim_store_flush(w);
        break;
    case STORE_RESTARTS:
        if (begins)
            sim_store_fail(w, true);
        break;
    case STORE_FROZEN:
        w->store.frozen_until_us = begins ? w->now_us + p->lasts_us : 0;
        break;
    case STORE_SLOW:
        w->store.slow_us = begins ? 2 * SIM_S : 0;
        break;
    case STORE_REFUSES:
        w->store.refuses = begins;
        break;
    case STORE_CLOCK:
        if (begins)
            jump_clock(w);
        break;
    case STORE_FAILOVER:
        if (begins)
            sim_store_failover(w);
        break;
    case LOSS:
        w->loss_ppm = begins ? sim_between(w, 10000, 300000) : 0;
        break;
    case LAG:
        w->delay_us = begins ? 300 * SIM_MS : SIM_DELAY_MAX_US;
        break;
    default:
        break;
    }
}

static void on_endpoint(struct sim_world *w, const struct planned *p, bool begins)
{
    uint32_t e = p->other % SIM_ENDPOINTS;
    if (p->kind == ENDPOINT_FAILS)
        w->endpoints[e].failing = begins;
    else if (p->kind == ENDPOINT_COOLS)
        w->endpoints[e].cools = begins;
    else
        w->endpoints[e].failing_for = begins ? p->who : UINT32_MAX;
}

static void carry_out(struct sim_world *w, const struct planned *p, bool begins)
{
    sim_trace(w, "FAULT", "%s %s%s%s", begins ? "begins:" : "ends:", names[p->kind],
              p->kind <= CUT_PEERS_ALL ? " " : "", p->kind <= CUT_PEERS_ALL ? w->clients[p->who].id : "");
    if (p->kind <= CUT_PEERS_ALL)
        on_client(w, p, begins);
    else if (p->kind <= LAG)
        on_store(w, p, begins);
    else
        on_endpoint(w, p, begins);
}

static void ends(struct sim_world *w, uint32_t who, uint64_t mark, void *data)
{
    (void)who;
    (void)mark;
    carry_out(w, data, false);
}

static void begins(struct sim_world *w, uint32_t who, uint64_t mark, void *data)
{
    const struct planned *p = data;
    (void)who;
    (void)mark;
    w->counts.faults++;
    carry_out(w, p, true);
    if (!p->heals)
        return;
    struct planned *copy = sim_alloc(sizeof *copy);
    *copy = *p;
    sim_at(w, w->now_us + p->lasts_us, ends, 0, 0, copy);
}

/* Two nodes at least, and a coordinator if there was one, are there in the end. */
static bool may_stay_away(const struct sim_world *w, uint32_t who, uint32_t gone)
{
    return who < w->node_count && gone + 2 < w->node_count;
}

void sim_faults_plan(struct sim_world *w)
{
    uint64_t count = sim_chance(w, FAULTS_MAX), gone = 0;
    for (uint64_t k = 0; k < count; k++) {
        struct planned *p = sim_alloc(sizeof *p);
        uint64_t at = sim_between(w, FAULTS_FROM_US, w->faults_end_us - SIM_S);
        uint64_t left = w->faults_end_us - at;
        p->kind =
            sim_one_in(w, 4) ? (enum fault)sim_between(w, ENDPOINT_FAILS, FAULTS) : (enum fault)sim_chance(w, FAULTS);
        bool nodes_only = p->kind == DRAIN || p->kind == CUT_PEERS || p->kind == CUT_PEERS_ALL || p->kind > LAG;
        p->who = (uint32_t)sim_chance(w, nodes_only ? w->node_count : w->client_count);
        p->other = (uint32_t)sim_chance(w, w->node_count);
        p->lasts_us = sim_between(w, 100 * SIM_MS, sim_one_in(w, 2) ? 2 * SIM_S : 12 * SIM_S);
        p->lasts_us = p->lasts_us < left ? p->lasts_us : left;
        p->heals = true;
        if (p->kind == CRASH && sim_chance(w, 100) < GONE_FOR_GOOD && may_stay_away(w, p->who, (uint32_t)gone)) {
            p->heals = false;
            gone++;
        }
        sim_at(w, at, begins, 0, 0, p);
    }
}
