#include "node/hop.h"

#include <stdlib.h>

#include "core/saturate.h"
#include "core/shard_map.h"
#include "node/node.h"
#include "node/place.h"
#include "node/request.h"

static const struct {
    const char *label;
    bool suspect;
} fails[] = {
#define WEIR_HOP_FAIL_ROW(id, label, suspect) {label, suspect},
    WEIR_HOP_FAIL_MAP(WEIR_HOP_FAIL_ROW)
#undef WEIR_HOP_FAIL_ROW
};

static const struct weir_str field_peer = {"x-weir-peer", 11}, field_load = {"x-weir-load", 11},
                             field_epoch = {"x-weir-epoch", 12};

/* p: NULL is legal. */
static void heed_epoch(const struct weir_request *r, const struct weir_peer *p, uint64_t epoch)
{
    if (epoch > r->hold->view->cluster->epoch && p != NULL && p->rt != NULL)
        weir_peer_told_epoch(p->rt, epoch);
}

static struct weir_node_counters *counters_of(const struct weir_request *r)
{
    return r->worker->counters;
}

static uint64_t now_ms_of(const struct weir_request *r)
{
    return r->worker->reactor.now_ms;
}

/* In decimal, for a field of each request: printf costs as much as finding its key. */
static struct weir_str number(struct weir_request *r, uint64_t n)
{
    char text[20], *at = text + sizeof text;
    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return weir_arena_dup(&r->arena, (struct weir_str){at, (size_t)(text + sizeof text - at)});
}

/* The store's time, as far as this node knows it. */
static uint64_t store_ms(const struct weir_cluster_view *v, uint64_t now_ms)
{
    return weir_shift_ms(now_ms, v->store_offset_ms);
}

/* -- what is found out about a peer -- */

static void tell(const struct weir_request *r, const struct weir_peer *p, enum weir_peer_news news, const char *why)
{
    struct weir_log_line l;
    if (news == WEIR_PEER_NEWS_UNREACHABLE)
        weir_log_begin(&l, r->worker->log, WEIR_LOG_WARN, "peer_suspect",
                       "a peer did not take a request; its requests are served here for a while");
    else
        weir_log_begin(&l, r->worker->log, WEIR_LOG_INFO, "peer_back", "a peer takes requests again");
    weir_log_text(&l, "peer", p->id);
    weir_log_text(&l, "address", p->link.endpoints[0].config->authority);
    if (why != NULL)
        weir_log_text(&l, "reason", why);
    weir_log_end(&l);
}

static void suspect(const struct weir_request *r, const struct weir_peer *p, const char *why)
{
    if (weir_peer_suspect(p->rt, now_ms_of(r), r->hold->view->cluster->config->failover_timeout_ms))
        tell(r, p, WEIR_PEER_NEWS_UNREACHABLE, why);
}

/* -- going there -- */

static void serve_here(struct weir_request *r)
{
    r->provider = &r->hold->view->providers[r->route->provider];
    weir_request_serve_here(r);
}

static void go(struct weir_request *r, const struct weir_peer *p)
{
    r->hop.peer = p;
    r->provider = &p->link;
    weir_node_add(counters_of(r), WEIR_NC_PEER_FORWARDED, 1);
    weir_node_add(counters_of(r), WEIR_NC_PEER_ACTIVE, 1);
    weir_request_begin_tries(r);
}

bool weir_hop_head(struct weir_request *r, struct weir_head *out)
{
    const struct weir_cluster_view *v = r->hold->view->cluster;
    char text[WEIR_PEER_PASS_TEXT_MAX];
    const struct weir_peer_pass pass = {
        .node = weir_str_of(v->peers[v->self].id),
        .store_ms = store_ms(v, now_ms_of(r)),
        .client = r->client->peer,
        .http_version = r->head->version,
        .secure = r->client->secure,
        .shard = r->hop.sharded ? r->hop.shard : WEIR_PEER_NO_SHARD,
        .epoch = v->epoch,
    };
    const struct weir_peer_request what = {weir_request_id(r), r->head->method, r->head->authority, r->head->target};
    size_t len = weir_peer_pass_write(text, &v->key, &pass, &what);
    struct weir_str value = weir_arena_dup(&r->arena, (struct weir_str){text, len});
    *out = (struct weir_head){
        .method = r->head->method,
        .target = r->head->target,
        .authority = r->head->authority,
        .content_length = r->head->content_length,
        .has_body = r->head->has_body,
        .te_trailers = r->head->te_trailers,
        .fields = r->head->fields,
    };
    return len > 0 && value.ptr != NULL && weir_fields_add(&out->fields, &r->arena, field_peer, value);
}

static uint64_t told(const struct weir_head *head, struct weir_str name)
{
    const struct weir_field *f = weir_fields_find(&head->fields, name);
    uint64_t n = 0;
    return f != NULL && weir_str_to_u64(f->value, &n) ? n : 0;
}

bool weir_hop_acknowledged(struct weir_request *r, const struct weir_head *head)
{
    const struct weir_peer *p = r->hop.peer;
    if (p == NULL)
        return false;
    if (head->status != 102 || r->hop.acked) {
        r->hop.answered = true;
        return false;
    }
    uint64_t load = told(head, field_load);
    r->hop.acked = true;
    r->pool_due_ms = WEIR_NEVER;
    weir_peer_told(p->rt, p->link.endpoints[0].rt, now_ms_of(r), load < UINT32_MAX ? (uint32_t)load : UINT32_MAX);
    heed_epoch(r, p, told(head, field_epoch));
    if (weir_peer_answered(p->rt))
        tell(r, p, WEIR_PEER_NEWS_REACHABLE, NULL);
    weir_request_push_end(r); /* what of the body has waited for this */
    return true;
}

/* -- not there -- */

static enum weir_node_counter fallback_counter(enum weir_hop_fail why)
{
    return (enum weir_node_counter)(WEIR_NC_PEER_FALLBACK_CONNECT + why);
}

bool weir_hop_failed(struct weir_request *r, enum weir_hop_fail why)
{
    const struct weir_peer *p = r->hop.peer;
    if (p == NULL)
        return false;
    weir_request_pin(r);
    weir_request_let_go(r, WEIR_EC_CLOSED_FAILED);
    if (fails[why].suspect)
        suspect(r, p, fails[why].label);
    weir_node_add(counters_of(r), fallback_counter(why), 1);
    weir_node_sub(counters_of(r), WEIR_NC_PEER_ACTIVE, 1);
    r->hop.peer = NULL;
    r->hop.left = p;
    r->hop.why_left = fails[why].label;
    r->endpoint = NULL;
    r->attempts = 0;
    serve_here(r);
    weir_request_unpin(r);
    return true;
}

bool weir_hop_refused(struct weir_request *r, const struct weir_head *head)
{
    if (r->hop.peer == NULL || r->hop.acked)
        return false;
    return weir_hop_failed(r, head->status == 403 ? WEIR_HOP_REFUSED : WEIR_HOP_ANSWERED);
}

/* The rule of core/retry for a connection that was lost with a request on its way, by the provider's policy. */
static bool may_replay(struct weir_request *r, const struct weir_outcome *o)
{
    const struct weir_view_provider *provider = &r->hold->view->providers[r->route->provider];
    struct weir_retry_sight s = {
        .outcome = *o,
        .method = r->head != NULL ? r->head->method : (struct weir_str){"", 0},
        .replacements = r->replacements,
        .answer_begun = r->hop.answered || r->answer_begun,
        .replayable = !r->replay.broken,
    };
    s.outcome.reused = true; /* the acknowledgement came by it, whether it had been used before that or not */
    return r->head != NULL && weir_retry_decide(&provider->config->http.retry, &s).word == WEIR_RETRY_REPLACE;
}

void weir_hop_lost(struct weir_request *r, const struct weir_try_failure *f)
{
    const struct weir_outcome *o = &f->outcome;
    if (!r->hop.acked) {
        weir_hop_failed(r, o->kind != WEIR_OUTCOME_LOST  ? WEIR_HOP_CONNECT
                           : f->silent                   ? WEIR_HOP_ACK
                           : o->reused || o->unprocessed ? WEIR_HOP_STALE
                                                         : WEIR_HOP_LOST);
        return;
    }
    if (may_replay(r, o)) {
        r->replacements++;
        weir_hop_failed(r, WEIR_HOP_REPLAYED);
        return;
    }
    weir_request_fail(r, 502, "peer_lost", "The node %s, which was serving this request, was lost.", r->hop.peer->id);
}

void weir_hop_clock(struct weir_request *r)
{
    weir_hop_failed(r, r->step == WEIR_STEP_SEND ? WEIR_HOP_ACK : WEIR_HOP_CONNECT);
}

void weir_hop_end(struct weir_request *r)
{
    if (r->hop.peer != NULL)
        weir_node_sub(counters_of(r), WEIR_NC_PEER_ACTIVE, 1);
    if (r->hop.origin == NULL)
        return;
    weir_list_remove(&r->hop.origin->dispatch.queued);
    free(r->hop.origin);
}

/* -- being handed one -- */

static void dispatch(struct weir_source *src)
{
    struct weir_hop_origin *o = WEIR_CONTAINER(src, struct weir_hop_origin, dispatch);
    weir_request_dispatch(o->request);
}

static bool keep_origin(struct weir_request *r, const struct weir_peer_pass *pass)
{
    struct weir_hop_origin *o = malloc(sizeof *o);
    if (o == NULL)
        return false;
    *o = (struct weir_hop_origin){.request = r, .pass = *pass};
    memcpy(o->node, pass->node.ptr, pass->node.len);
    o->pass.node.ptr = o->node;
    o->client_text_len = (uint8_t)weir_ip_format(&pass->client, o->client_text);
    weir_source_init(&o->dispatch, -1, dispatch);
    r->hop.origin = o;
    r->hop.sharded = pass->shard != WEIR_PEER_NO_SHARD;
    r->hop.shard = pass->shard;
    return true;
}

static void acknowledge(struct weir_request *r)
{
    struct weir_head ack = {.status = 102, .content_length = WEIR_LENGTH_UNKNOWN};
    struct weir_str load = number(r, weir_node_load(r->worker->node));
    struct weir_str epoch = number(r, r->hold->view->cluster->epoch);
    /* Without memory for them it is an acknowledgement all the same. */
    if (load.ptr != NULL && epoch.ptr != NULL)
        (void)!(weir_fields_add(&ack.fields, &r->arena, field_load, load) &&
                weir_fields_add(&ack.fields, &r->arena, field_epoch, epoch));
    r->down->ops->send_head(r->down, &ack, false);
}

static enum weir_peer_pass_word verify(struct weir_request *r, struct weir_peer_pass *pass)
{
    const struct weir_cluster_view *v = r->hold->view->cluster;
    const struct weir_field *f = weir_fields_find(&r->head->fields, field_peer);
    const struct weir_field *id = weir_fields_get(&r->head->fields, WEIR_FIELD_X_REQUEST_ID);
    const struct weir_peer_request what = {id != NULL ? id->value : (struct weir_str){"", 0}, r->head->method,
                                           r->head->authority, r->head->target};
    if (f == NULL)
        return WEIR_PEER_PASS_MALFORMED;
    return weir_peer_pass_read(pass, &v->key, f->value, &what, store_ms(v, now_ms_of(r)),
                               v->contact ? WEIR_PEER_WINDOW_MS : WEIR_PEER_WINDOW_AWAY_MS);
}

bool weir_hop_receive(struct weir_request *r)
{
    struct weir_peer_pass pass;
    const struct weir_cluster_view *v = r->hold->view->cluster;
    if (v == NULL || v->secret.len == 0) {
        weir_request_fail(r, 503, "not_joined", "This node has not joined its cluster yet.");
        return false;
    }
    enum weir_peer_pass_word word = verify(r, &pass);
    if (word != WEIR_PEER_PASS_GOOD) {
        weir_node_add(counters_of(r), WEIR_NC_PEER_REFUSED, 1);
        weir_node_tell_peer_refused(r->worker->node, r->worker->log, now_ms_of(r), r->client->peer_text,
                                    weir_peer_pass_word_text(word));
        weir_request_fail(r, 403, "peer_refused", "This port is for the nodes of the cluster.");
        return false;
    }
    if (!keep_origin(r, &pass)) {
        weir_request_fail(r, 503, "out_of_memory", "The node is out of memory.");
        return false;
    }
    heed_epoch(r, weir_cluster_view_peer(v, pass.node), pass.epoch);
    weir_fields_drop_name(&r->head->fields, field_peer);
    weir_node_add(counters_of(r), WEIR_NC_PEER_RECEIVED, 1);
    r->step = WEIR_STEP_PLACE;
    acknowledge(r);
    weir_poller_again(&r->worker->reactor.poller, &r->hop.origin->dispatch);
    return true;
}

/* -- placing -- */

bool weir_hop_goes_by_load(const struct weir_request *r)
{
    const struct weir_cluster_view *v = r->hold->view->cluster;
    return v != NULL && v->config->connection_affinity == WEIR_CONFIG_LEAST_LOADED;
}

/* Whose it is is known: goes there. */
static void placed(struct weir_request *r, const struct weir_peer *p)
{
    r->hop.search = NULL;
    if (p != NULL && r->head->authority.len > 0) /* HTTP/2 has no requests without */
        go(r, p);
    else
        weir_request_serve_here(r);
}

static void place_by_key(struct weir_request *r, const struct weir_affinity_search *search)
{
    const struct weir_cluster_view *v = r->hold->view->cluster;
    struct weir_affinity_key key = weir_affinity_end(search);
    r->hop.sharded = key.there && v->shard_count > 0;
    if (r->hop.sharded)
        r->hop.shard = weir_shard_of(key.hash, v->shard_count);
    /* With pool_sharding off a shard has its endpoint, but no node. */
    bool hops = r->hop.sharded && v->config->pool_sharding;
    placed(r, hops ? weir_place_owner(v, r->hop.shard, now_ms_of(r)) : NULL);
}

/* Without, a client that asks first would send nothing to look at. */
static void let_body_come(struct weir_request *r)
{
    struct weir_head go_on = {.status = 100, .content_length = WEIR_LENGTH_UNKNOWN};
    r->step = WEIR_STEP_PLACE;
    if (!weir_request_waits_for_100(r))
        return;
    r->continued = true;
    r->down->ops->send_head(r->down, &go_on, false);
}

static void find_key(struct weir_request *r)
{
    const struct weir_cluster_view *v = r->hold->view->cluster;
    size_t peek_max = r->replay.max < WEIR_HOP_PEEK_BYTES_MAX ? r->replay.max : WEIR_HOP_PEEK_BYTES_MAX;
    struct weir_affinity_search search; /* most requests have their key in the head */
    struct weir_str address = {r->client->peer_text, r->client->peer_text_len};
    char text[WEIR_IP_TEXT_MAX];
    if (!weir_ip_eq(&r->address, &r->client->peer))
        address = (struct weir_str){text, weir_ip_format(&r->address, text)};
    if (weir_affinity_begin(&search, v->affinity, &r->head->fields, address, peek_max) || !r->head->has_body ||
        peek_max == 0) {
        place_by_key(r, &search);
        return;
    }
    r->hop.search = weir_arena_alloc(&r->arena, sizeof *r->hop.search);
    if (r->hop.search == NULL) {
        weir_request_serve_here(r);
        return;
    }
    (void)weir_affinity_begin(r->hop.search, v->affinity, &r->head->fields, address, peek_max);
    let_body_come(r);
}

void weir_hop_place(struct weir_request *r)
{
    const struct weir_cluster_view *v = r->hold->view->cluster;
    if (r->hop.origin != NULL) {
        weir_request_serve_here(r);
        return;
    }
    weir_fields_drop_name(&r->head->fields, field_peer);
    switch (v->config->connection_affinity) {
    case WEIR_CONFIG_STICKY:
        find_key(r);
        return;
    case WEIR_CONFIG_LEAST_LOADED:
        placed(r, weir_place_less_loaded(v, weir_node_load(r->worker->node), now_ms_of(r),
                                         weir_rng_next(&r->worker->rng)));
        return;
    case WEIR_CONFIG_ROUND_ROBIN:
        break;
    }
    weir_request_serve_here(r);
}

void weir_hop_body_came(struct weir_request *r, const uint8_t *p, size_t n)
{
    if (r->hop.search == NULL) /* a peer's: it is dispatched at the end of this turn */
        return;
    if (n == 0 || weir_affinity_body(r->hop.search, (struct weir_str){(const char *)p, n}))
        place_by_key(r, r->hop.search);
}

/* -- saying who served it -- */

bool weir_hop_mark(struct weir_request *r, struct weir_fields *fields)
{
    const struct weir_cluster_view *v = r->hold->view->cluster;
    const struct weir_str node = WEIR_STR("x-weir-node"), shard = WEIR_STR("x-weir-shard");
    if (v == NULL || !v->config->response_headers)
        return true;
    weir_fields_drop_name(fields, node);
    weir_fields_drop_name(fields, shard);
    if (!weir_fields_add(fields, &r->arena, node, weir_str_of(v->peers[v->self].id)))
        return false;
    if (!r->hop.sharded)
        return true;
    struct weir_str text = number(r, r->hop.shard);
    return text.ptr != NULL && weir_fields_add(fields, &r->arena, shard, text);
}
