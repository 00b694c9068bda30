/* How a check of one address ends:
 *   it connects (https: shakes hands), and no path
 *   is configured                                -> passed
 *   it answers with an expected status           -> passed
 *   it refuses, breaks off, answers otherwise,
 *   or its share of the time runs out            -> the next address; after the last one failed
 *   nothing could be opened for want of memory
 *   or descriptors                               -> not made */
#include "node/probe.h"

#include <assert.h>
#include <stdio.h>

static void ask_next(struct weir_probe *p);

/* -- the end -- */

static void let_go(struct weir_probe *p)
{
    weir_call_end(&p->call);
    weir_deadline_drop(&p->set->reactor->wheel, &p->address);
    weir_view_unref(p->view);
    p->view = NULL;
    p->set->running--;
}

static void end(struct weir_probe *p, enum weir_probe_result result, const char *why)
{
    weir_call_end(&p->call);
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
    weir_err_tell(&p->failure, why);
    weir_call_end(&p->call);
    ask_next(p);
}

static void time_over(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_probe *p = WEIR_CONTAINER(d, struct weir_probe, address);
    struct weir_err err;
    (void)now_ms;
    weir_err_set(&err, WEIR_ETIMEOUT, "%s timed out", weir_call_step(&p->call));
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

static void answered(struct weir_call *c, unsigned status, const struct weir_err *err)
{
    struct weir_probe *p = WEIR_CONTAINER(c, struct weir_probe, call);
    struct weir_err why;
    if (err != NULL)
        why = *err;
    else if (c->opts.connect_only || is_expected(&p->endpoint->provider->config->http.health.expected_status, status)) {
        end(p, WEIR_PROBE_PASSED, NULL);
        return;
    } else
        weir_err_set(&why, WEIR_EINVAL, "status %u", status);
    address_failed(p, &why);
}

static bool make_fields(struct weir_probe *p, struct weir_fields *f)
{
    const struct weir_view_provider *provider = p->endpoint->provider;
    const struct weir_config_pairs *set = &provider->config->headers;
    bool ok = weir_fields_add(f, &p->call.arena, WEIR_STR("user-agent"), WEIR_STR("weir/" WEIR_VERSION));
    if (ok && provider->credential.len > 0)
        ok = weir_fields_add(f, &p->call.arena, provider->credential_name, provider->credential);
    for (size_t i = 0; ok && i < set->count; i++) {
        struct weir_str name = weir_str_of(set->at[i].name);
        weir_fields_drop_name(f, name);
        ok = weir_fields_add(f, &p->call.arena, name, weir_str_of(set->at[i].value));
    }
    return ok;
}

static bool fill(struct weir_call *c, struct weir_head *head, struct weir_str *body)
{
    struct weir_probe *p = WEIR_CONTAINER(c, struct weir_probe, call);
    const struct weir_config_health *config = &p->endpoint->provider->config->http.health;
    (void)body;
    head->method = weir_str_of(config->method);
    head->scheme = p->endpoint->config->tls ? WEIR_STR("https") : WEIR_STR("http");
    head->authority = weir_str_of(p->endpoint->config->authority);
    head->target = weir_str_of(config->path);
    return make_fields(p, &head->fields);
}

/* -- one address after the other -- */

static bool ask(struct weir_probe *p, const struct weir_addr *a, struct weir_err *err)
{
    struct weir_reactor *r = p->set->reactor;
    const struct weir_view_endpoint *e = p->endpoint;
    struct weir_call_opts opts = {.addr = a,
                                  .tcp = e->provider->tcp,
                                  .connect_only = e->provider->config->http.health.path == NULL,
                                  .http2 = e->provider->config->http2 == WEIR_CONFIG_ON,
                                  .fill = fill,
                                  .done = answered};
    if (e->config->tls) {
        opts.tls = weir_view_tls(e);
        opts.tls.pool = p->set->crypto;
        opts.tls.stats = p->set->tls;
    }
    if (weir_call_begin(&p->call, r, &opts, err) != 0)
        return false;
    unsigned left = e->address_count - p->next_address + 1;
    uint64_t left_ms = p->ends_ms > r->now_ms ? p->ends_ms - r->now_ms : 1;
    weir_reactor_deadline(r, &p->address, r->now_ms + (left_ms + left - 1) / left);
    return true;
}

static void ask_next(struct weir_probe *p)
{
    struct weir_err err;
    while (p->next_address < p->endpoint->address_count) {
        if (ask(p, &p->endpoint->addresses[p->next_address++], &err))
            return;
        weir_err_tell(&p->failure, &err);
    }
    fail(p, &p->failure);
}

/* The first address is asked in a callback, so that nothing ends inside begin. */
static void begin(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_probe *p = WEIR_CONTAINER(d, struct weir_probe, address);
    (void)now_ms;
    weir_deadline_init(&p->address, time_over);
    weir_err_set(&p->failure, WEIR_ENOTFOUND, "the name %s does not resolve", p->endpoint->config->host);
    ask_next(p);
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
    weir_deadline_init(&p->address, begin);
    s->running++;
    weir_reactor_deadline(s->reactor, &p->address, s->reactor->now_ms);
}

void weir_probes_init(struct weir_probes *s, struct weir_reactor *reactor, void *arg, weir_probe_done_fn *done)
{
    *s = (struct weir_probes){.reactor = reactor, .done = done, .arg = arg};
}

void weir_probes_close(struct weir_probes *s)
{
    for (unsigned i = 0; i < WEIR_PROBES_MAX; i++)
        if (s->at[i].view != NULL)
            let_go(&s->at[i]);
}
