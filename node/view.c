#include "node/view.h"

#include <assert.h>
#include <stdlib.h>

#include "core/hash.h"
#include "node/cluster_view.h"

struct weir_shared_config *weir_shared_config_new(struct weir_config *config)
{
    struct weir_shared_config *s = malloc(sizeof *s);
    if (s != NULL)
        *s = (struct weir_shared_config){.refs = 1, .config = config};
    return s;
}

void weir_shared_config_ref(struct weir_shared_config *s)
{
    atomic_fetch_add(&s->refs, 1);
}

void weir_shared_config_unref(struct weir_shared_config *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    weir_tls_setup_free(&s->tls);
    weir_config_free(&s->config);
    free(s);
}

static const struct weir_view_provider *provider_named(const struct weir_view *v, const char *name)
{
    for (unsigned i = 0; v != NULL && i < v->provider_count; i++)
        if (strcmp(v->providers[i].config->name, name) == 0)
            return &v->providers[i];
    return NULL;
}

static const struct weir_view_endpoint *endpoint_named(const struct weir_view_provider *p, const char *id)
{
    for (unsigned i = 0; p != NULL && i < p->endpoint_count; i++)
        if (strcmp(p->endpoints[i].config->id, id) == 0)
            return &p->endpoints[i];
    return NULL;
}

struct weir_endpoint *weir_view_endpoint_named(const struct weir_view_provider *p, const char *id)
{
    const struct weir_view_endpoint *e = endpoint_named(p, id);
    return e != NULL ? e->rt : NULL;
}

static void drop_records(struct weir_address_list list)
{
    for (unsigned i = 0; i < list.count; i++)
        weir_address_unref(list.at[i]);
}

void weir_view_endpoint_end(struct weir_view_endpoint *e)
{
    drop_records(weir_view_records(e));
    weir_endpoint_unref(e->rt);
}

int weir_view_endpoint_set_addresses(struct weir_view_endpoint *e, struct weir_arena *a,
                                     const struct weir_addr *addresses, unsigned count,
                                     const struct weir_view_endpoint *old)
{
    assert(count <= WEIR_ADDRESSES_MAX);
    struct weir_addr *copy = weir_arena_alloc(a, (count + 1) * sizeof *copy);
    struct weir_address **records = weir_arena_alloc(a, (count + 1) * sizeof(void *));
    if (copy == NULL || records == NULL)
        return WEIR_ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        copy[i] = addresses[i];
        records[i] = weir_addresses_find(weir_view_records(old), &addresses[i]);
        if (records[i] != NULL)
            weir_address_ref(records[i]);
        else
            records[i] = weir_address_new(&e->rt->addresses, &addresses[i]);
        if (records[i] == NULL) {
            drop_records((struct weir_address_list){records, i});
            return WEIR_ENOMEM;
        }
    }
    drop_records(weir_view_records(e));
    e->addresses = count > 0 ? copy : NULL;
    e->records = records;
    e->address_count = count;
    return 0;
}

struct weir_tls_opts weir_view_tls(const struct weir_view_endpoint *e)
{
    const char *name = e->provider->config->http.tls.server_name;
    bool foreign = weir_endpoint_is_foreign(e->rt);
    return (struct weir_tls_opts){.config = foreign ? e->provider->tls.foreign : e->provider->tls.own,
                                  .host = name != NULL && !foreign ? name : e->config->host,
                                  .sessions = e->rt->tls_sessions};
}

static bool same_name(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool weir_view_connects_alike(const struct weir_view_provider *p, const struct weir_view_provider *old)
{
    assert(old != NULL);
    return p->config->http2 == old->config->http2 &&
           same_name(p->config->http.tls.server_name, old->config->http.tls.server_name) &&
           weir_tls_config_alike(p->tls.own, old->tls.own);
}

int weir_view_set_addresses(struct weir_view *v, struct weir_view_endpoint *e, const struct weir_addr *addresses,
                            unsigned count)
{
    return weir_view_endpoint_set_addresses(e, &v->arena, addresses, count, e);
}

static int build_endpoint(struct weir_view *v, struct weir_view_provider *p, const struct weir_config_endpoint *config,
                          const struct weir_view_provider *before, struct weir_err *err)
{
    const struct weir_view_endpoint *old = endpoint_named(before, config->id);
    struct weir_view_endpoint *e = &p->endpoints[p->endpoint_count];
    *e = (struct weir_view_endpoint){
        .config = config, .provider = p, .hash = weir_hash64_str(weir_str_of(config->id), 0)};
    if (old != NULL) {
        e->rt = old->rt;
        e->settings = old->settings + !weir_view_connects_alike(p, before);
        weir_endpoint_ref(e->rt);
    } else {
        e->rt = weir_endpoint_new(p->rt, config->id);
        if (e->rt == NULL)
            return weir_err_set(err, WEIR_ELIMIT, "provider %s: no room for endpoint %s (at most %u)", p->config->name,
                                config->id, WEIR_POOL_ENDPOINTS_MAX);
    }
    p->endpoint_count++;
    p->slots |= UINT64_C(1) << e->rt->slot;
    struct weir_addr literal;
    int rv = 0;
    if (weir_addr_literal(&literal, weir_str_of(config->host), config->port))
        rv = weir_view_endpoint_set_addresses(e, &v->arena, &literal, 1, old != NULL ? old : e);
    else if (old != NULL)
        rv = weir_view_endpoint_set_addresses(e, &v->arena, old->addresses, old->address_count, old);
    return rv == 0 ? 0 : weir_err_set(err, WEIR_ENOMEM, "provider %s: out of memory", p->config->name);
}

static int build_credential(struct weir_view *v, struct weir_view_provider *p)
{
    const struct weir_config_provider *config = p->config;
    if (config->api_key == NULL)
        return 0;
    bool bearer = config->api_key_header == NULL;
    struct weir_str parts[2] = {bearer ? WEIR_STR("Bearer ") : (struct weir_str){"", 0}, weir_str_of(config->api_key)};
    p->credential = weir_arena_join(&v->arena, parts, 2);
    p->credential_name =
        bearer ? WEIR_STR("authorization") : weir_arena_dup(&v->arena, weir_str_of(config->api_key_header));
    if (p->credential.ptr == NULL || p->credential_name.ptr == NULL)
        return WEIR_ENOMEM;
    if (!bearer)
        for (size_t i = 0; i < p->credential_name.len; i++)
            ((char *)(uintptr_t)p->credential_name.ptr)[i] = weir_lower(p->credential_name.ptr[i]);
    return 0;
}

static int build_provider(struct weir_view *v, const struct weir_config_provider *config,
                          const struct weir_view *before, unsigned worker_count, struct weir_err *err)
{
    const struct weir_view_provider *old = provider_named(before, config->name);
    assert(v->providers != NULL);
    struct weir_view_provider *p = &v->providers[v->provider_count];
    *p = (struct weir_view_provider){.config = config};
    if (v->shared->tls != NULL)
        p->tls = v->shared->tls->providers[v->provider_count];
    if (old != NULL) {
        p->rt = old->rt;
        weir_provider_ref(p->rt);
    } else {
        p->rt = weir_provider_new(config->name, worker_count);
        if (p->rt == NULL)
            return weir_err_set(err, WEIR_ENOMEM, "provider %s: out of memory", config->name);
    }
    v->provider_count++;
    p->endpoints = weir_arena_alloc(&v->arena, config->endpoint_count * sizeof *p->endpoints);
    p->tcp = weir_arena_alloc(&v->arena, sizeof *p->tcp);
    if (p->endpoints == NULL || p->tcp == NULL || build_credential(v, p) != 0)
        return weir_err_set(err, WEIR_ENOMEM, "provider %s: out of memory", config->name);
    *p->tcp = (struct weir_tcp_opts){.keepalive = config->http.features.tcp_keepalive,
                                     .send_buffer = (int)config->http.socket.send_buffer_bytes,
                                     .recv_buffer = (int)config->http.socket.recv_buffer_bytes};
    for (size_t i = 0; i < config->endpoint_count; i++) {
        int rv = build_endpoint(v, p, &config->endpoints[i], old, err);
        if (rv != 0)
            return rv;
    }
    return 0;
}

int weir_view_new(struct weir_view **out, struct weir_shared_config *shared, const struct weir_view *before,
                  unsigned worker_count, struct weir_err *err)
{
    struct weir_view *v = calloc(1, sizeof *v);
    *out = NULL;
    if (v == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "view: out of memory");
    v->refs = 1;
    v->shared = shared;
    v->config = shared->config;
    v->routes = (struct weir_routes){v->config->routes, v->config->route_count};
    weir_shared_config_ref(shared);
    v->providers = weir_arena_alloc(&v->arena, (v->config->provider_count + 1) * sizeof *v->providers);
    int rv = v->providers == NULL ? weir_err_set(err, WEIR_ENOMEM, "view: out of memory") : 0;
    for (size_t i = 0; rv == 0 && i < v->config->provider_count; i++)
        rv = build_provider(v, &v->config->providers[i], before, worker_count, err);
    if (rv != 0) {
        weir_view_unref(v);
        return rv;
    }
    *out = v;
    return 0;
}

/* `old` is the same endpoint in the view before, old_provider its provider; NULL: there was none. */
static void endpoint_takes_effect(const struct weir_view_endpoint *e, const struct weir_view_provider *old_provider,
                                  const struct weir_view_endpoint *old)
{
    const struct weir_config_breaker *b = &e->provider->config->http.circuit_breaker;
    weir_endpoint_configure(e->rt, e->provider->config);
    atomic_store_explicit(&e->rt->settings, e->settings, memory_order_relaxed);
    if (old_provider != NULL && old == NULL)
        atomic_store(&e->rt->up_since_ms, weir_clock_us() / 1000);
    weir_addresses_configure(&e->rt->addresses, b->failure_threshold, b->recovery_timeout_ms);
    weir_addresses_take_effect(&e->rt->addresses, weir_view_records(e),
                               old != NULL ? weir_view_records(old) : (struct weir_address_list){0});
}

void weir_view_take_effect(const struct weir_view *v, const struct weir_view *before)
{
    weir_cluster_view_take_effect(v->cluster, before != NULL ? before->cluster : NULL);
    for (unsigned i = 0; i < v->provider_count; i++) {
        const struct weir_view_provider *p = &v->providers[i];
        const struct weir_view_provider *old = provider_named(before, p->config->name);
        weir_provider_configure(p->rt, p->config);
        for (unsigned k = 0; k < p->endpoint_count; k++)
            endpoint_takes_effect(&p->endpoints[k], old, endpoint_named(old, p->endpoints[k].config->id));
    }
    for (unsigned i = 0; before != NULL && i < before->provider_count; i++) {
        const struct weir_view_provider *old = &before->providers[i];
        const struct weir_view_provider *now = provider_named(v, old->config->name);
        if (now == NULL)
            atomic_store(&old->rt->retired, true);
        for (unsigned k = 0; k < old->endpoint_count; k++)
            if (endpoint_named(now, old->endpoints[k].config->id) == NULL)
                atomic_store(&old->endpoints[k].rt->retired, true);
    }
}

bool weir_view_has_address(const struct weir_view_endpoint *e, const struct weir_address *a)
{
    for (unsigned i = 0; a != NULL && i < e->address_count; i++)
        if (e->records[i] == a)
            return true;
    return false;
}

void weir_view_ref(struct weir_view *v)
{
    atomic_fetch_add(&v->refs, 1);
}

void weir_view_unref(struct weir_view *v)
{
    if (atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    for (unsigned i = 0; i < v->provider_count; i++) {
        struct weir_view_provider *p = &v->providers[i];
        for (unsigned k = 0; k < p->endpoint_count; k++)
            weir_view_endpoint_end(&p->endpoints[k]);
        weir_provider_unref(p->rt);
    }
    weir_cluster_view_unref(v->cluster);
    weir_shared_config_unref(v->shared);
    weir_arena_reset(&v->arena);
    free(v);
}

struct weir_hold *weir_hold_new(struct weir_view *v)
{
    struct weir_hold *h = malloc(sizeof *h);
    if (h != NULL)
        *h = (struct weir_hold){.view = v, .current = true};
    return h;
}

static void end_if_unused(struct weir_hold *h)
{
    if (h->users > 0 || h->current)
        return;
    weir_view_unref(h->view);
    free(h);
}

void weir_hold_drop(struct weir_hold *h)
{
    assert(h->users > 0);
    h->users--;
    end_if_unused(h);
}

void weir_hold_supersede(struct weir_hold *h)
{
    h->current = false;
    end_if_unused(h);
}
