#include "node/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/redis_url.h"
#include "node/cluster_inner.h"
#include "node/peer_address.h"
#include "node/resolve.h"

static uint64_t now_ms(const struct weir_cluster *c)
{
    return c->reactor->now_ms;
}

/* -- what the agent wants -- */

static void send_request(struct weir_cluster *c, const struct weir_coord_request *r)
{
    c->sent_us[r->id % WEIR_STORE_CALLS_MAX] = weir_clock_us();
    weir_store_submit(c->store, r);
}

/* Not from inside the agent: what follows may ask it again. */
static void soon(struct weir_cluster *c, bool *what)
{
    *what = true;
    weir_reactor_deadline(c->reactor, &c->later, now_ms(c));
}

static void contact_is(struct weir_cluster *c, bool contact)
{
    c->contact = contact;
    c->contact_since_unix_ms = weir_clock_unix_ms();
}

static void note_away(struct weir_cluster *c, const char *why)
{
    snprintf(c->away, sizeof c->away, "%s", why);
}

static void join_contact(struct weir_cluster *c)
{
    if (c->contact)
        return;
    contact_is(c, true);
    c->away[0] = '\0';
    c->told_away = true; /* from now on the agent says so */
    weir_cluster_together(c);
}

static void note(struct weir_cluster *c, const struct weir_cluster_action *a)
{
    weir_cluster_tell_note(c, a);
    switch (a->note.kind) {
    case WEIR_CLUSTER_JOINED:
        c->member = true;
        c->refused[0] = '\0';
        join_contact(c);
        break;
    case WEIR_CLUSTER_REFUSED:
        c->member = false;
        snprintf(c->refused, sizeof c->refused, "%s", a->note.why);
        break;
    case WEIR_CLUSTER_CONTACT_LOST:
        contact_is(c, false);
        note_away(c, a->note.why);
        break;
    case WEIR_CLUSTER_CONTACT_BACK:
        join_contact(c);
        break;
    case WEIR_CLUSTER_DRAINED:
        soon(c, &c->has_drained);
        break;
    case WEIR_CLUSTER_LEFT:
        soon(c, &c->has_left);
        break;
    default:
        break;
    }
}

static void act(void *cluster, const struct weir_cluster_action *a)
{
    struct weir_cluster *c = cluster;
    switch (a->what) {
    case WEIR_CLUSTER_SEND:
        send_request(c, a->request);
        break;
    case WEIR_CLUSTER_SIGHT:
        soon(c, &c->sight_changed);
        break;
    case WEIR_CLUSTER_LEARN:
        weir_cluster_learn(c, a);
        break;
    case WEIR_CLUSTER_GRANTED:
        weir_cluster_granted(c, a);
        break;
    case WEIR_CLUSTER_ALONE:
        weir_cluster_alone(c);
        break;
    case WEIR_CLUSTER_TOKENS:
        weir_cluster_tokens(c, a);
        break;
    case WEIR_CLUSTER_CHECKED:
        weir_cluster_heard_check(c, &a->checked);
        break;
    case WEIR_CLUSTER_HEARD:
        c->events->heard(c->owner, a->event, a->pushed);
        break;
    case WEIR_CLUSTER_ADVICE:
        weir_cluster_take_advice(c, a->advice);
        soon(c, &c->has_advice);
        break;
    case WEIR_CLUSTER_NOTE:
        note(c, a);
        break;
    }
}

void weir_cluster_settle(struct weir_cluster *c)
{
    uint64_t due = weir_cluster_agent_deadline_ms(c->agent);
    if (due < WEIR_NEVER)
        weir_reactor_deadline(c->reactor, &c->tick, due > now_ms(c) ? due : now_ms(c));
    else
        weir_deadline_drop(&c->reactor->wheel, &c->tick);
}

static void later(struct weir_deadline *d, uint64_t ms)
{
    struct weir_cluster *c = WEIR_CONTAINER(d, struct weir_cluster, later);
    bool changed = c->sight_changed, looked = c->has_looked, drained = c->has_drained, left = c->has_left;
    bool advised = c->has_advice;
    (void)ms;
    c->sight_changed = c->has_looked = c->has_drained = c->has_left = c->has_advice = false;
    if (changed) {
        weir_cluster_tell_few_shards(c);
        c->events->changed(c->owner);
    }
    if (advised)
        weir_cluster_follow_advice(c);
    if (looked)
        c->events->looked(c->owner);
    if (drained)
        c->events->drained(c->owner);
    if (left)
        c->events->left(c->owner);
}

/* -- what the agent is told -- */

static void tick(struct weir_deadline *d, uint64_t ms)
{
    struct weir_cluster *c = WEIR_CONTAINER(d, struct weir_cluster, tick);
    weir_cluster_agent_tick(c->agent, ms);
    weir_cluster_settle(c);
}

static void count_answer(struct weir_cluster *c, const struct weir_coord_reply *r)
{
    uint64_t took = weir_clock_us() - c->sent_us[r->id % WEIR_STORE_CALLS_MAX];
    c->answers[r->word == WEIR_COORD_OK        ? WEIR_CLUSTER_ANSWER_OK
               : r->word == WEIR_COORD_AWAY    ? WEIR_CLUSTER_ANSWER_AWAY
               : r->word == WEIR_COORD_REFUSED ? WEIR_CLUSTER_ANSWER_REFUSED
                                               : WEIR_CLUSTER_ANSWER_OTHER]++;
    if (r->word == WEIR_COORD_AWAY)
        return;
    c->answer_us += took;
    c->answer_us_max = took > c->answer_us_max ? took : c->answer_us_max;
}

static void store_replied(void *cluster, const struct weir_coord_reply *r)
{
    struct weir_cluster *c = cluster;
    count_answer(c, r);
    weir_cluster_agent_reply(c->agent, now_ms(c), r);
    weir_cluster_settle(c);
    if (r->op == WEIR_COORD_MEMBERS || r->op == WEIR_COORD_ADVICE)
        soon(c, &c->has_looked);
}

static void store_pushed(void *cluster, const struct weir_coord_push *p)
{
    struct weir_cluster *c = cluster;
    weir_cluster_agent_push(c->agent, now_ms(c), p);
    weir_cluster_settle(c);
}

static void store_contact(void *cluster, bool up, const char *why)
{
    struct weir_cluster *c = cluster;
    if (!up && !c->contact) {
        note_away(c, why);
        weir_cluster_tell_away(c, why);
    }
    weir_cluster_agent_contact(c->agent, now_ms(c), up, why);
    weir_cluster_settle(c);
}

static const struct weir_store_events store_events = {store_replied, store_pushed, store_contact};

static void circuits_rang(struct weir_bell *b)
{
    struct weir_cluster *c = WEIR_CONTAINER(b, struct weir_cluster, owes);
    weir_cluster_agent_owes(c->agent, now_ms(c), WEIR_CLUSTER_URGENT);
    weir_cluster_settle(c);
}

static void limits_rang(struct weir_bell *b)
{
    struct weir_cluster *c = WEIR_CONTAINER(b, struct weir_cluster, thirsty);
    weir_cluster_agent_thirsty(c->agent, now_ms(c));
    weir_cluster_settle(c);
}

static void hear_of_peers(struct weir_cluster *c)
{
    const struct weir_cluster_view *v = c->view != NULL ? c->view->cluster : NULL;
    uint64_t epoch = 0;
    for (uint32_t i = 0; v != NULL && i < v->peer_count; i++) {
        enum weir_peer_news news = v->peers[i].rt != NULL ? weir_peer_take_news(v->peers[i].rt) : WEIR_PEER_NEWS_NONE;
        if (news != WEIR_PEER_NEWS_NONE)
            weir_cluster_agent_peer(c->agent, now_ms(c), v->peers[i].id, news == WEIR_PEER_NEWS_REACHABLE);
        uint64_t told = v->peers[i].rt != NULL ? atomic_load(&v->peers[i].rt->epoch_told) : 0;
        epoch = told > epoch ? told : epoch;
    }
    weir_cluster_agent_epoch(c->agent, now_ms(c), epoch);
}

static void look(struct weir_deadline *d, uint64_t ms)
{
    struct weir_cluster *c = WEIR_CONTAINER(d, struct weir_cluster, look);
    enum weir_cluster_haste haste;
    if (ms >= c->load_due_ms) {
        struct weir_coord_load load;
        weir_cluster_measure(c, &load, ms);
        weir_cluster_agent_load(c->agent, &load);
        c->load_due_ms = ms + WEIR_CLUSTER_LOAD_MS;
        weir_cluster_follow_advice(c);
    }
    if (c->view != NULL && c->view->config->analytics.enabled)
        weir_cluster_meter_look(c);
    weir_cluster_probe_peers(c, ms);
    hear_of_peers(c);
    if (weir_cluster_owes(c, &haste))
        weir_cluster_agent_owes(c->agent, ms, haste);
    if (weir_cluster_is_thirsty(c))
        weir_cluster_agent_thirsty(c->agent, ms);
    weir_cluster_settle(c);
    weir_reactor_deadline(c->reactor, d, ms + WEIR_CLUSTER_LOOK_MS);
}

/* -- life -- */

static const struct weir_config_distributed *config_of(const struct weir_cluster *c)
{
    return &c->began_with->config->distributed_pool;
}

static int open_store(struct weir_cluster *c, struct weir_err *err)
{
    const struct weir_config *config = c->began_with->config;
    int rv = weir_dns_new(&c->dns, c->reactor, err);
    if (rv != 0)
        return rv;
    if (!weir_resolve_use_servers(c->dns, &config->dns.servers))
        return weir_err_set(err, WEIR_ENOMEM, "dns.servers: out of memory");
    const struct weir_store_opts opts = {.config = config_of(c),
                                         .client_name = c->id,
                                         .dns = c->dns,
                                         .crypto = c->node->crypto,
                                         .tls = c->began_with->tls->store,
                                         .seed = c->instance,
                                         .events = &store_events,
                                         .owner = c};
    return weir_store_open(&c->store, c->reactor, &opts, err);
}

static int find_address(struct weir_cluster *c, struct weir_err *err)
{
    const struct weir_config *config = c->began_with->config;
    struct weir_arena arena = {0};
    struct weir_redis_url url;
    const char *wrong = weir_redis_url_parse(&url, &arena, config->distributed_pool.redis_url);
    if (wrong == NULL)
        weir_peer_address_tell(c->advertise, config, &c->node->peer_addr, url.host_count > 0 ? url.hosts[0].host : "");
    weir_arena_reset(&arena);
    return wrong == NULL ? 0 : weir_err_set(err, WEIR_EINVAL, "redis_url: %s", wrong);
}

static int begin(struct weir_cluster *c, struct weir_err *err)
{
    const struct weir_cluster_ports ports = {.arg = c,
                                             .act = act,
                                             .take_reports = weir_cluster_take_reports,
                                             .take_tokens = weir_cluster_take_tokens,
                                             .take_load = weir_cluster_take_load};
    c->meter = weir_cluster_meter_new();
    if (c->meter == NULL || weir_cluster_advised_new(&c->advised) != 0)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    int rv = weir_cluster_name_self(c, err);
    weir_cluster_probes_init(c);
    if (rv == 0)
        rv = find_address(c, err);
    if (rv != 0)
        return rv;
    struct weir_cluster_agent_config config = weir_cluster_agent_config_of(c, c->began_with->config);
    rv = weir_cluster_agent_new(&c->agent, &config, &ports, now_ms(c), err);
    return rv == 0 ? open_store(c, err) : rv;
}

int weir_cluster_open(struct weir_cluster **out, const struct weir_cluster_opts *opts, struct weir_err *err)
{
    struct weir_cluster *c = calloc(1, sizeof *c);
    *out = NULL;
    if (c == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "cluster: out of memory");
    c->reactor = opts->reactor;
    c->node = opts->node;
    c->log = opts->log;
    c->events = opts->events;
    c->owner = opts->owner;
    c->began_with = opts->shared;
    weir_shared_config_ref(opts->shared);
    weir_bell_init(&c->owes, &c->reactor->mailbox, circuits_rang);
    weir_bell_init(&c->thirsty, &c->reactor->mailbox, limits_rang);
    weir_deadline_init(&c->tick, tick);
    weir_deadline_init(&c->look, look);
    weir_deadline_init(&c->later, later);
    weir_reactor_clock(c->reactor);
    contact_is(c, false);
    int rv = begin(c, err);
    if (rv != 0) {
        weir_cluster_close(&c);
        return weir_err_wrap(err, "distributed_pool");
    }
    weir_reactor_deadline(c->reactor, &c->look, now_ms(c) + WEIR_CLUSTER_LOOK_MS);
    weir_cluster_settle(c);
    *out = c;
    return 0;
}

void weir_cluster_close(struct weir_cluster **cluster)
{
    struct weir_cluster *c = *cluster;
    if (c == NULL)
        return;
    if (c->probes.reactor != NULL)
        weir_probes_close(&c->probes);
    weir_store_close(&c->store);
    weir_dns_close(&c->dns);
    weir_deadline_drop(&c->reactor->wheel, &c->tick);
    weir_deadline_drop(&c->reactor->wheel, &c->look);
    weir_deadline_drop(&c->reactor->wheel, &c->later);
    weir_cluster_agent_free(&c->agent);
    weir_cluster_meter_free(&c->meter);
    weir_cluster_advised_free(&c->advised);
    weir_shared_config_unref(c->began_with);
    free(c);
    *cluster = NULL;
}

/* -- pictures -- */

struct weir_cluster_view *weir_cluster_picture(struct weir_cluster *c, struct weir_shared_config *shared,
                                               struct weir_cluster_view *before)
{
    struct weir_cluster_view *v;
    struct weir_err err;
    const struct weir_cluster_sight *sight = weir_cluster_agent_sight(c->agent);
    if (weir_cluster_view_new(&v, sight, shared, before, c->node->worker_count, &err) == 0)
        return v;
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_ERROR, "cluster_view_failed", "requests go on by the picture before");
    weir_log_text(&l, "reason", err.msg);
    weir_log_end(&l);
    return weir_cluster_view_ref(before);
}

void weir_cluster_follow(struct weir_cluster *c, struct weir_view *view)
{
    bool reloaded = c->view != NULL && c->view->config != view->config;
    c->view = view;
    weir_cluster_share(c);
    if (!reloaded)
        return;
    struct weir_cluster_agent_config config = weir_cluster_agent_config_of(c, view->config);
    struct weir_err err;
    if (weir_cluster_agent_set(c->agent, &config, now_ms(c), &err) != 0) {
        struct weir_log_line l;
        weir_log_begin(&l, c->log, WEIR_LOG_ERROR, "cluster_options_kept", "the cluster's options stay as they were");
        weir_log_text(&l, "reason", err.msg);
        weir_log_end(&l);
    }
    weir_cluster_settle(c);
}

bool weir_cluster_look(struct weir_cluster *c)
{
    bool asked = weir_cluster_agent_look(c->agent, now_ms(c));
    weir_cluster_settle(c);
    return asked;
}

bool weir_cluster_look_advice(struct weir_cluster *c)
{
    bool asked = c->view->config->analytics.enabled && weir_cluster_agent_look_advice(c->agent, now_ms(c));
    weir_cluster_settle(c);
    return asked;
}

/* -- leaving -- */

void weir_cluster_drain(struct weir_cluster *c)
{
    weir_cluster_agent_drain(c->agent, now_ms(c));
    weir_cluster_settle(c);
}

void weir_cluster_stay(struct weir_cluster *c)
{
    weir_cluster_agent_stay(c->agent, now_ms(c));
    weir_cluster_settle(c);
}

bool weir_cluster_tell(struct weir_cluster *c, struct weir_str event)
{
    if (!c->contact)
        return false;
    weir_cluster_agent_tell(c->agent, now_ms(c), event);
    weir_cluster_settle(c);
    return true;
}

bool weir_cluster_has(const struct weir_cluster *c, const char *id)
{
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->agent);
    int at = weir_cluster_sight_find(s, id);
    return at >= 0 && s->peers[at].alive;
}

void weir_cluster_leave(struct weir_cluster *c)
{
    c->leaving = true;
    weir_cluster_agent_leave(c->agent, now_ms(c));
    weir_cluster_settle(c);
}

/* -- checks -- */

bool weir_cluster_checks(const struct weir_cluster *c, const char *endpoint)
{
    const struct weir_cluster_sight *s = weir_cluster_agent_sight(c->agent);
    uint64_t hash = weir_hash64_str(weir_str_of(endpoint), 0), best = 0;
    uint32_t owner = s->self;
    for (uint32_t i = 0; s->contact && i < s->peer_count; i++) {
        uint64_t claim = weir_hash_pair(weir_hash64_str(weir_str_of(s->peers[i].id), 0), hash);
        if (!s->peers[i].alive || s->peers[i].state != WEIR_NODE_ACTIVE || (claim <= best && best != 0))
            continue;
        best = claim;
        owner = i;
    }
    return owner == s->self;
}

void weir_cluster_checked(struct weir_cluster *c, const char *endpoint, const char *why)
{
    weir_cluster_agent_checked(c->agent, now_ms(c), endpoint, why == NULL, why != NULL ? why : "");
    weir_cluster_settle(c);
}
