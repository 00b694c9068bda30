/* How a check of one address ends:
 *   it connects, and no path is configured       -> passed
 *   it answers with an expected status           -> passed
 *   it refuses, breaks off, answers otherwise,
 *   or its share of the time runs out            -> the next address; after the last one failed
 *   nothing could be opened for want of memory
 *   or descriptors                               -> not made */
#include "node/probe.h"

#include <assert.h>
#include <stdio.h>

/* Heads of health checks are small; a larger one is refused, and fails. */
#define HEAD_BYTES_MAX 65536u
#define FIELDS_MAX     256u

static void ask_next(struct weir_probe *p, const struct weir_err *before);

/* -- the end -- */

static void hang_up(struct weir_probe *p)
{
    if (p->connecting != NULL)
        weir_stream_close(&p->connecting, true);
    if (p->conn.codec != NULL) {
        weir_http_conn_close(&p->conn, false);
        p->conn = (struct weir_http_conn){0};
    }
    weir_arena_reset(&p->arena);
}

static void let_go(struct weir_probe *p)
{
    hang_up(p);
    weir_deadline_drop(&p->set->reactor->wheel, &p->address);
    weir_view_unref(p->view);
    p->view = NULL;
    p->set->running--;
}

static void end(struct weir_probe *p, enum weir_probe_result result, const char *why)
{
    hang_up(p);
    p->set->done(p->set->arg, p->endpoint, result, why);
    let_go(p);
}

static void fail(struct weir_probe *p, const struct weir_err *why)
{
    bool ours = why->code == WEIR_ENOMEM || why->code == WEIR_ELIMIT;
    end(p, ours ? WEIR_PROBE_NOT_MADE : WEIR_PROBE_FAILED, why->msg);
}

static void address_failed(struct weir_probe *p, const struct weir_err *why)
{
    struct weir_err err = *why;
    hang_up(p);
    ask_next(p, &err);
}

static void time_over(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_probe *p = WEIR_CONTAINER(d, struct weir_probe, address);
    struct weir_err err;
    (void)now_ms;
    weir_err_set(&err, WEIR_ETIMEOUT, p->connecting != NULL ? "the connect timed out" : "the answer timed out");
    address_failed(p, &err);
}

/* -- asking over HTTP -- */

static bool is_expected(const struct weir_config_numbers *expected, unsigned status)
{
    for (size_t i = 0; i < expected->count; i++)
        if (expected->at[i] == status)
            return true;
    return false;
}

static void got_head(struct weir_exchange *x, struct weir_head *head)
{
    struct weir_probe *p = x->user;
    if (head->status < 200)
        return;
    if (is_expected(&p->endpoint->provider->config->http.health.expected_status, head->status)) {
        end(p, WEIR_PROBE_PASSED, NULL);
        return;
    }
    struct weir_err err;
    weir_err_set(&err, WEIR_EINVAL, "status %u", head->status);
    address_failed(p, &err);
}

static void got_body(struct weir_exchange *x, const uint8_t *bytes, size_t n)
{
    (void)x, (void)bytes, (void)n;
}

static void got_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    (void)x, (void)trailers;
}

static void got_room(struct weir_exchange *x, size_t room)
{
    (void)x, (void)room;
}

static void got_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct weir_err err;
    weir_err_set(&err, WEIR_ECLOSED, "%s", weir_reset_text(why->reason));
    address_failed(x->user, &err);
}

static const struct weir_exchange_events exchange_events = {
    .head = got_head, .body = got_body, .end = got_end, .reset = got_reset, .room = got_room};

static void codec_idle(struct weir_codec *c, bool reusable)
{
    (void)c, (void)reusable;
}

static void codec_closed(struct weir_codec *c, const struct weir_reset *why)
{
    struct weir_err err;
    weir_err_set(&err, WEIR_ECLOSED, "%s", weir_reset_text(why->reason));
    address_failed(c->owner, &err);
}

static const struct weir_codec_events codec_events = {.idle = codec_idle, .closed = codec_closed};

static bool make_fields(struct weir_probe *p, struct weir_fields *f)
{
    const struct weir_view_provider *provider = p->endpoint->provider;
    const struct weir_config_pairs *set = &provider->config->headers;
    bool ok = weir_fields_add(f, &p->arena, WEIR_STR("user-agent"), WEIR_STR("weir/" WEIR_VERSION));
    if (ok && provider->credential.len > 0)
        ok = weir_fields_add(f, &p->arena, provider->credential_name, provider->credential);
    for (size_t i = 0; ok && i < set->count; i++) {
        struct weir_str name = weir_str_of(set->at[i].name);
        weir_fields_drop_name(f, name);
        ok = weir_fields_add(f, &p->arena, name, weir_str_of(set->at[i].value));
    }
    return ok;
}

static void ask_over_http(struct weir_probe *p)
{
    const struct weir_config_health *config = &p->endpoint->provider->config->http.health;
    struct weir_head head = {.method = weir_str_of(config->method),
                             .scheme = WEIR_STR("http"),
                             .authority = weir_str_of(p->endpoint->config->authority),
                             .target = weir_str_of(config->path),
                             .content_length = WEIR_LENGTH_UNKNOWN,
                             .close = true};
    struct weir_err err;
    weir_err_set(&err, WEIR_ENOMEM, "out of memory");
    weir_http_conn_init(&p->conn, p->connecting, false);
    struct weir_codec *codec = weir_h1_client_new(&p->set->limits, &codec_events, p, &p->conn.out);
    if (codec == NULL) {
        weir_outbox_close(&p->conn.out);
        address_failed(p, &err);
        return;
    }
    p->connecting = NULL;
    weir_http_conn_run(&p->conn, codec, NULL, 0);
    struct weir_exchange *x = make_fields(p, &head.fields) ? codec->ops->open(codec) : NULL;
    if (x == NULL) {
        address_failed(p, &err);
        return;
    }
    x->events = &exchange_events;
    x->user = p;
    x->arena = &p->arena;
    x->ops->send_head(x, &head, true);
}

/* -- connecting -- */

static void connected(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_probe *p = s->owner;
    if (code != 0)
        address_failed(p, err);
    else if (p->endpoint->provider->config->http.health.path != NULL)
        ask_over_http(p);
    else
        end(p, WEIR_PROBE_PASSED, NULL);
}

static bool ask(struct weir_probe *p, const struct weir_addr *a, struct weir_err *err)
{
    struct weir_reactor *r = p->set->reactor;
    unsigned left = p->endpoint->address_count - p->next_address + 1;
    if (weir_tcp_connect(&p->connecting, r, &a->sa, weir_addr_len(a), p->endpoint->provider->tcp, err) != 0)
        return false;
    p->connecting->owner = p;
    uint64_t left_ms = p->ends_ms > r->now_ms ? p->ends_ms - r->now_ms : 1;
    weir_reactor_deadline(r, &p->address, r->now_ms + (left_ms + left - 1) / left);
    weir_stream_start(p->connecting, connected);
    return true;
}

static void ask_next(struct weir_probe *p, const struct weir_err *before)
{
    struct weir_err err = *before;
    while (p->next_address < p->endpoint->address_count)
        if (ask(p, &p->endpoint->addresses[p->next_address++], &err))
            return;
    fail(p, &err);
}

/* The first address is asked in a callback, so that nothing ends inside begin. */
static void begin(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_probe *p = WEIR_CONTAINER(d, struct weir_probe, address);
    struct weir_err err;
    (void)now_ms;
    weir_deadline_init(&p->address, time_over);
    weir_err_set(&err, WEIR_ENOTFOUND, "the name %s does not resolve", p->endpoint->config->host);
    ask_next(p, &err);
}

void weir_probe_begin(struct weir_probes *s, struct weir_view *view, const struct weir_view_endpoint *e)
{
    struct weir_probe *p = s->at;
    while (p->view != NULL)
        p++;
    assert(p < s->at + WEIR_PROBES_MAX);
    *p = (struct weir_probe){.set = s,
                             .view = view,
                             .endpoint = e,
                             .ends_ms = s->reactor->now_ms + e->provider->config->http.health.health_check_timeout_ms};
    weir_view_ref(view);
    weir_arena_init(&p->arena);
    weir_deadline_init(&p->address, begin);
    s->running++;
    weir_reactor_deadline(s->reactor, &p->address, s->reactor->now_ms);
}

void weir_probes_init(struct weir_probes *s, struct weir_reactor *reactor, void *arg, weir_probe_done_fn *done)
{
    *s = (struct weir_probes){.reactor = reactor,
                              .limits = {.head_bytes_max = HEAD_BYTES_MAX, .fields_max = FIELDS_MAX},
                              .done = done,
                              .arg = arg};
}

void weir_probes_close(struct weir_probes *s)
{
    for (unsigned i = 0; i < WEIR_PROBES_MAX; i++)
        if (s->at[i].view != NULL)
            let_go(&s->at[i]);
}
