#include "store/redis_ask.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/limiter.h"
#include "store/pairs.h"
#include "weir_lua.h"

/* A number in decimal, and more than the longest record of a member. */
#define NUMBER_MAX 24u
#define RECORD_MAX 512u

bool weir_redis_names_set(struct weir_redis_names *n, const char *prefix, const char *cluster)
{
    /* The longest name of a key is that of a limit. */
    int len = snprintf(n->base, sizeof n->base, "%s:{%s}", prefix, cluster);
    if (len < 0 || (size_t)len + sizeof ":limit:" + WEIR_PROVIDER_NAME_MAX > sizeof n->base)
        return false;
    snprintf(n->channel, sizeof n->channel, "%s", n->base);
    memcpy(n->channel + len, ":pushes", sizeof ":pushes");
    return true;
}

/* One request being written down. */
struct writer {
    struct weir_redis_ask *ask;
    struct weir_arena *arena;
    const struct weir_redis_names *names;
    bool failed; /* out of memory */
};

static void add(struct writer *w, struct weir_str text)
{
    assert(w->ask->arg_count < WEIR_REDIS_SCRIPT_ARGS_MAX);
    w->failed = w->failed || text.ptr == NULL;
    w->ask->args[w->ask->arg_count++] = text;
}

static void add_text(struct writer *w, const char *text)
{
    add(w, weir_str_of(text));
}

/* Above what a script can count to, there is no difference that matters. */
static uint64_t countable(uint64_t v)
{
    return v < WEIR_STORE_NUMBER_MAX ? v : WEIR_STORE_NUMBER_MAX;
}

static void add_number(struct writer *w, uint64_t v)
{
    char text[NUMBER_MAX];
    int n = snprintf(text, sizeof text, "%" PRIu64, countable(v));
    add(w, weir_arena_dup(w->arena, (struct weir_str){text, (size_t)n}));
}

static void add_key(struct writer *w, const char *name, const char *more)
{
    const struct weir_str parts[] = {weir_str_of(w->names->base), WEIR_STR(":"), weir_str_of(name), weir_str_of(more)};
    assert(w->ask->key_count < WEIR_REDIS_KEYS_MAX);
    struct weir_str key = weir_arena_join(w->arena, parts, 4);
    w->failed = w->failed || key.ptr == NULL;
    w->ask->keys[w->ask->key_count++] = key;
}

/* The script, its keys (names separated by NUL, an empty one at the end; meta comes first anyway), and the arguments
 * that all of them begin with. */
static void begin(struct writer *w, const struct weir_redis_script *script, const char *keys, uint64_t now_us)
{
    w->ask->script = script;
    add_key(w, "meta", "");
    for (; *keys != '\0'; keys += strlen(keys) + 1)
        add_key(w, keys, "");
    add_number(w, WEIR_COORD_SCHEMA);
    if (now_us != 0)
        add_number(w, now_us);
    else
        add_text(w, "");
}

/* -- members -- */

static void add_beat(struct writer *w, const struct weir_coord_beat *b)
{
    const struct weir_coord_member *m = b->self;
    char text[RECORD_MAX];
    uint64_t forget_ms = b->lease_ms * WEIR_COORD_FORGET_LEASES;
    add_text(w, w->names->channel);
    add_text(w, m->id);
    add_number(w, m->instance);
    int n = snprintf(text, sizeof text, "instance=%" PRIu64 " state=%s weight=%u advertise=%s version=%s",
                     countable(m->instance), weir_coord_node_state_text(m->state), m->weight, m->advertise, m->version);
    add(w, weir_arena_dup(w->arena, (struct weir_str){text, (size_t)n}));
    n = snprintf(text, sizeof text,
                 "in_flight=%u connections=%u utilization_pct=%u loop_lag_us=%u requests_per_s=%u errors_per_s=%u "
                 "epoch_seen=%" PRIu64,
                 m->load.in_flight, m->load.connections, m->load.utilization_pct, m->load.loop_lag_us,
                 m->load.requests_per_s, m->load.errors_per_s, countable(m->epoch_seen));
    add(w, weir_arena_dup(w->arena, (struct weir_str){text, (size_t)n}));
    add_number(w, b->lease_ms);
    add_number(w, forget_ms > WEIR_COORD_FORGET_MS_MIN ? forget_ms : WEIR_COORD_FORGET_MS_MIN);
    add_number(w, WEIR_CLUSTER_NODES_MAX);
    add_text(w, b->secret != NULL ? b->secret : "");
}

static void add_leave(struct writer *w, const struct weir_coord_member *m)
{
    add_text(w, w->names->channel);
    add_text(w, m->id);
    add_number(w, m->instance);
}

/* -- the lead -- */

static void add_publish(struct writer *w, const struct weir_coord_publish *p)
{
    add_text(w, w->names->channel);
    add_text(w, p->id);
    add_number(w, p->token);
    add_number(w, p->epoch);
    add(w, p->map.len > 0 ? p->map : WEIR_STR(""));
}

/* -- circuits -- */

static const char *verdict_text(enum weir_breaker_verdict v)
{
    return v == WEIR_BREAKER_SUCCESS ? "success" : v == WEIR_BREAKER_FAILURE ? "failure" : "neither";
}

static void add_probes(struct writer *w, const struct weir_breaker_report *r)
{
    char text[WEIR_BREAKER_BATCH * (NUMBER_MAX + sizeof "=success,")];
    size_t len = 0;
    for (uint32_t i = 0; i < r->probe_count && i < WEIR_BREAKER_BATCH; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%" PRIu64 "=%s", i > 0 ? "," : "",
                                countable(r->probes[i].permit), verdict_text(r->probes[i].verdict));
    add(w, weir_arena_dup(w->arena, (struct weir_str){text, len}));
}

static void add_report(struct writer *w, const struct weir_coord_report *q)
{
    add_text(w, w->names->channel);
    add_text(w, q->by);
    add_number(w, WEIR_COORD_CIRCUITS_MAX);
    add_number(w, q->grant_until_ms);
    for (uint32_t i = 0; i < q->count && i < WEIR_COORD_BATCH; i++) {
        const struct weir_breaker_policy *p = &q->items[i].policy;
        const struct weir_breaker_report *r = &q->items[i].report;
        const uint64_t numbers[] = {p->failure_threshold,
                                    p->recovery_ms,
                                    p->recovery_max_ms,
                                    p->permits,
                                    p->permit_ms,
                                    p->rate_ppm,
                                    p->window_ms,
                                    p->window_min,
                                    r->gen,
                                    r->node,
                                    r->ok,
                                    r->fail,
                                    r->run,
                                    r->recent_ok,
                                    r->recent_fail,
                                    r->cooldown_ms,
                                    r->want,
                                    r->order};
        add_text(w, q->items[i].endpoint);
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++)
            add_number(w, numbers[n]);
        add_probes(w, r);
    }
}

/* -- limits -- */

static void add_tokens(struct writer *w, const struct weir_coord_tokens *q)
{
    for (uint32_t i = 0; i < q->count && i < WEIR_COORD_BATCH; i++) {
        const struct weir_coord_tokens_item *t = &q->items[i];
        const uint64_t numbers[] = {t->limit < WEIR_COORD_LIMIT_MAX ? t->limit : WEIR_COORD_LIMIT_MAX,
                                    t->burst < WEIR_COORD_LIMIT_MAX ? t->burst : WEIR_COORD_LIMIT_MAX,
                                    WEIR_LIMITER_MINUTE_US + (t->strict ? WEIR_LEASE_LIFE_US : 0),
                                    t->strict,
                                    t->want,
                                    t->unused,
                                    t->unused_since_us,
                                    t->spent};
        add_key(w, "limit:", t->provider);
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++)
            add_number(w, numbers[n]);
    }
}

/* -- what is told to all -- */

static void add_checked(struct writer *w, const struct weir_coord_checked *c)
{
    add_text(w, w->names->channel);
    add_text(w, c->endpoint);
    add_text(w, c->node);
    add_text(w, c->passed ? "1" : "0");
    add_text(w, c->why != NULL ? c->why : "");
}

/* -- load and advice -- */

static void add_append(struct writer *w, struct weir_str record)
{
    add(w, record);
    add_number(w, WEIR_COORD_LOADS_MAX);
    add_number(w, WEIR_COORD_LOADS_KEPT_MS);
}

/* What the first half of an entry's id counts is the last: microseconds in loads, of which it has the milliseconds. */
static void add_entries(struct writer *w, uint64_t after, uint32_t count, uint32_t scale)
{
    add_number(w, after);
    add_number(w, count < WEIR_COORD_ENTRIES_MAX ? count : WEIR_COORD_ENTRIES_MAX);
    add_number(w, WEIR_COORD_ENTRIES_BYTES_MAX);
    add_number(w, scale);
}

static void add_series_key(struct writer *w, uint32_t step)
{
    const char digit[] = {(char)('0' + step), '\0'};
    add_key(w, "series:", digit);
}

static void add_fold(struct writer *w, const struct weir_coord_fold *f)
{
    add_series_key(w, f->step);
    add_text(w, f->id);
    add_number(w, f->token);
    add_number(w, f->step_ms);
    add_number(w, f->number);
    add_number(w, weir_coord_series_max(f->step));
    add(w, f->text);
}

static void add_advise(struct writer *w, const struct weir_coord_advise *q)
{
    add_text(w, w->names->channel);
    add_text(w, q->id);
    add_number(w, q->token);
    add(w, q->hints);
    add(w, q->analytics.len > 0 ? q->analytics : WEIR_STR(""));
}

/* Keys: see begin. */
static const struct {
    const struct weir_redis_script *script;
    const char *keys;
} scripts[WEIR_COORD_OPS] = {
    [WEIR_COORD_BEAT] = {&weir_lua_beat, "members\0load\0seen\0map\0advice\0lead\0"},
    [WEIR_COORD_LEAVE] = {&weir_lua_leave, "members\0load\0seen\0"},
    [WEIR_COORD_MEMBERS] = {&weir_lua_members, "members\0load\0seen\0"},
    [WEIR_COORD_MAP] = {&weir_lua_map, "map\0lead\0"},
    [WEIR_COORD_LEAD] = {&weir_lua_lead, "lead\0map\0load\0"},
    [WEIR_COORD_RESIGN] = {&weir_lua_resign, "lead\0"},
    [WEIR_COORD_PUBLISH] = {&weir_lua_publish, "lead\0map\0load\0"},
    [WEIR_COORD_REPORT] = {&weir_lua_report, "circuits\0circuits:state\0"},
    [WEIR_COORD_CIRCUITS] = {&weir_lua_circuits, "circuits\0"},
    [WEIR_COORD_TOKENS] = {&weir_lua_tokens, ""},
    [WEIR_COORD_CHECKED] = {&weir_lua_checked, ""},
    [WEIR_COORD_EVENT] = {&weir_lua_event, "events\0"},
    [WEIR_COORD_EVENTS] = {&weir_lua_events, "events\0"},
    [WEIR_COORD_APPEND] = {&weir_lua_append, "loads\0"},
    [WEIR_COORD_LOADS] = {&weir_lua_entries, "loads\0"},
    [WEIR_COORD_FOLD] = {&weir_lua_fold, "lead\0"},
    [WEIR_COORD_SERIES] = {&weir_lua_entries, ""},
    [WEIR_COORD_ADVISE] = {&weir_lua_advise, "lead\0advice\0"},
    [WEIR_COORD_ADVICE] = {&weir_lua_advice, "advice\0"},
};

static void add_arguments(struct writer *w, const struct weir_coord_request *q)
{
    switch (q->op) {
    case WEIR_COORD_BEAT:
        add_beat(w, &q->beat);
        break;
    case WEIR_COORD_LEAVE:
        add_leave(w, q->leave);
        break;
    case WEIR_COORD_LEAD:
        add_text(w, q->lead.id);
        add_number(w, q->lead.token);
        add_number(w, q->lead.lease_ms);
        break;
    case WEIR_COORD_RESIGN:
        add_text(w, q->resign.id);
        add_number(w, q->resign.token);
        break;
    case WEIR_COORD_PUBLISH:
        add_publish(w, &q->publish);
        break;
    case WEIR_COORD_REPORT:
        add_report(w, &q->report);
        break;
    case WEIR_COORD_CIRCUITS:
        add_number(w, q->circuits_since);
        break;
    case WEIR_COORD_TOKENS:
        add_tokens(w, &q->tokens);
        break;
    case WEIR_COORD_CHECKED:
        add_checked(w, &q->checked);
        break;
    case WEIR_COORD_EVENT:
        add_text(w, w->names->channel);
        add(w, q->event);
        add_number(w, WEIR_COORD_EVENTS_KEPT);
        break;
    case WEIR_COORD_EVENTS:
        add_number(w, q->events_count < WEIR_COORD_EVENTS_KEPT ? q->events_count : WEIR_COORD_EVENTS_KEPT);
        break;
    case WEIR_COORD_APPEND:
        add_append(w, q->append);
        break;
    case WEIR_COORD_LOADS:
        add_entries(w, q->loads.after, q->loads.count, 1000);
        break;
    case WEIR_COORD_FOLD:
        add_fold(w, &q->fold);
        break;
    case WEIR_COORD_SERIES:
        add_series_key(w, q->series.step);
        add_entries(w, q->series.after, q->series.count, 1);
        break;
    case WEIR_COORD_ADVISE:
        add_advise(w, &q->advise);
        break;
    case WEIR_COORD_ADVICE:
        add_text(w, q->advice_whole ? "1" : "0");
        break;
    case WEIR_COORD_MEMBERS:
    case WEIR_COORD_MAP:
    case WEIR_COORD_OPS:
        break;
    }
}

const char *weir_redis_ask_set(struct weir_redis_ask *ask, struct weir_arena *a, const struct weir_redis_names *n,
                               const struct weir_coord_request *q, uint64_t now_us)
{
    const char *refused = weir_coord_check(q);
    if (refused != NULL)
        return refused;
    struct writer w = {ask, a, n, false};
    assert(q->op < WEIR_COORD_OPS);
    ask->key_count = ask->arg_count = 0;
    begin(&w, scripts[q->op].script, scripts[q->op].keys, now_us);
    add_arguments(&w, q);
    return w.failed ? "out of memory" : NULL;
}
