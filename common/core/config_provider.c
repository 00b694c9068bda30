#include <stdio.h>
#include <string.h>

#include "core/config_check.h"
#include "core/config_finish.h"

/* -- reading -- */

static struct weir_config_provider *provider_find(struct weir_config_list *list, const char *name)
{
    struct weir_config_provider *providers = list->at;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(providers[i].name, name) == 0)
            return &providers[i];
    return NULL;
}

/* A fresh one: its own keys' defaults, and http_client for the rest. */
static bool provider_init(struct weir_config_reader *r, struct weir_config_provider *p, const char *name)
{
    *p = (struct weir_config_provider){0};
    if (!weir_config_defaults(r->c, &weir_config_section_provider, p)) {
        weir_config_no_memory(r);
        return false;
    }
    p->http = r->c->http_client;
    p->name = weir_arena_dup(&r->c->arena, weir_str_of(name)).ptr;
    if (p->name == NULL)
        weir_config_no_memory(r);
    return p->name != NULL;
}

static bool is_null(struct weir_config_reader *r, const json_t *node)
{
    return json_is_string(node) && weir_config_tree_mark(r->tree, node).null;
}

static void provider_read(struct weir_config_reader *r, struct weir_config_provider *p, json_t *node)
{
    if (p->line == 0)
        p->line = weir_config_tree_mark(r->tree, node).line;
    const char *wrong = weir_config_check_name(p->name);
    if (wrong != NULL)
        weir_config_fail(r, node, "the name %s", wrong);
    if (!is_null(r, node))
        weir_config_read_section(r, &weir_config_section_provider, p, node);
}

static bool providers_ok(struct weir_config_reader *r, json_t *node)
{
    if (node == NULL || is_null(r, node))
        return false;
    if (!json_is_object(node))
        weir_config_fail(r, node, "a mapping of names to providers is wanted");
    return json_is_object(node);
}

static void layer_read(struct weir_config_reader *r, const struct weir_config_provider_layer *layer,
                       struct weir_config_list *list)
{
    const char *name;
    json_t *member;
    json_object_foreach(layer->node, name, member)
    {
        size_t len = weir_config_path_key(&r->path, name);
        struct weir_config_provider *p = provider_find(list, name);
        if (p == NULL) {
            p = (struct weir_config_provider *)list->at + list->count;
            if (!provider_init(r, p, name))
                return;
            list->count++;
        }
        provider_read(r, p, member);
        weir_config_path_pop(&r->path, len);
    }
}

void weir_config_providers_read(struct weir_config_reader *r, const struct weir_config_provider_layer *layers,
                                size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++)
        most += json_object_size(layers[i].node);
    struct weir_config_list list = {.at = weir_arena_alloc(&r->c->arena, most * sizeof(struct weir_config_provider))};
    if (list.at == NULL) {
        weir_config_no_memory(r);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = r->path.len;
        if (layers[i].prefix[0] != '\0')
            weir_config_path_key(&r->path, layers[i].prefix);
        weir_config_path_key(&r->path, "providers");
        r->layer = layers[i].layer;
        if (providers_ok(r, layers[i].node))
            layer_read(r, &layers[i], &list);
        weir_config_path_pop(&r->path, len);
    }
    r->c->providers = list.at;
    r->c->provider_count = list.count;
}

void weir_config_providers_rehearse(struct weir_config_reader *r, json_t *node)
{
    const char *name;
    json_t *member;
    size_t outer = weir_config_path_key(&r->path, "providers");
    if (providers_ok(r, node)) {
        json_object_foreach(node, name, member)
        {
            size_t len = weir_config_path_key(&r->path, name);
            struct weir_config_provider *p = weir_arena_alloc(&r->c->arena, sizeof *p);
            if (p == NULL)
                weir_config_no_memory(r);
            else if (provider_init(r, p, name))
                provider_read(r, p, member);
            weir_config_path_pop(&r->path, len);
        }
    }
    weir_config_path_pop(&r->path, outer);
}

/* -- derived values of http_client's keys -- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Warns where one wait can never end before another that it is part of; only for keys that somebody wrote here. */
static void check_order(struct weir_config_reader *r, const char *path, const char *inner, const uint64_t *inner_ms,
                        const char *outer, const uint64_t *outer_ms)
{
    const struct weir_config_origin *a = weir_config_origin_of(r->c, inner_ms);
    const struct weir_config_origin *b = weir_config_origin_of(r->c, outer_ms);
    if (*inner_ms <= *outer_ms || (a == NULL && b == NULL))
        return;
    char key[300];
    snprintf(key, sizeof key, "%s.timeout.%s", path, inner);
    weir_config_report(r, WEIR_CONFIG_WARNING, a != NULL ? a->line : b->line, key,
                       "%.15g s is longer than %s's %.15g s", (double)*inner_ms / 1000, outer,
                       (double)*outer_ms / 1000);
}

static void retry_finish(struct weir_config_http *http)
{
    struct weir_config_retry *retry = &http->retry;
    if (retry->deadline_ms == 0)
        retry->deadline_ms = (retry->attempts + 1) * http->timeout.total_ms;
    retry->retry_on = 0;
    for (size_t i = 0; i < retry->exceptions.count; i++) {
        const char *name = retry->exceptions.at[i];
        if (name != NULL)
            retry->retry_on |= name[0] == 'C' ? WEIR_CONFIG_RETRY_CONNECT_ERROR : WEIR_CONFIG_RETRY_TIMEOUT;
    }
}

/* A default gives way to what is written. */
static void concurrency_finish(struct weir_config_reader *r, struct weir_config_http *http, const char *path)
{
    uint32_t *min = &http->adaptive_concurrency.min, *max = &http->adaptive_concurrency.max;
    const struct weir_config_origin *low = weir_config_origin_of(r->c, min), *high = weir_config_origin_of(r->c, max);
    char key[300];
    if (*min <= *max)
        return;
    if (low == NULL && high == NULL) {
        http->adaptive_concurrency = r->c->http_client.adaptive_concurrency; /* judged before */
    } else if (low == NULL) {
        *min = *max;
    } else if (high == NULL) {
        *max = *min;
    } else {
        snprintf(key, sizeof key, "%s.adaptive_concurrency.min", path);
        weir_config_report(r, WEIR_CONFIG_ERROR, low->line, key, "%u is above max, %u", *min, *max);
    }
}

void weir_config_http_finish(struct weir_config_reader *r, struct weir_config_http *http, const char *path)
{
    struct weir_config_timeouts *t = &http->timeout;
    check_order(r, path, "connect", &t->connect_ms, "read", &t->read_ms);
    check_order(r, path, "read", &t->read_ms, "total", &t->total_ms);
    check_order(r, path, "pool", &t->pool_ms, "total", &t->total_ms);
    http->pool.block_timeout_ms = min_u64(http->pool.pool_block_timeout_ms, t->pool_ms);
    if (http->pool.max_connections_cap == 0)
        http->pool.max_connections_cap = http->pool.max_connections + http->pool.max_connections / 2;
    if (http->circuit_breaker.recovery_timeout_max_ms == 0)
        http->circuit_breaker.recovery_timeout_max_ms = http->circuit_breaker.recovery_timeout_ms;
    concurrency_finish(r, http, path);
    retry_finish(http);
}

/* -- endpoints -- */

static void public_endpoint(struct weir_config_reader *r, struct weir_config_provider *p)
{
    const char *url = strcmp(p->name, "openai") == 0      ? "https://api.openai.com"
                      : strcmp(p->name, "anthropic") == 0 ? "https://api.anthropic.com"
                                                          : NULL;
    if (url == NULL) {
        char key[300];
        snprintf(key, sizeof key, "providers.%s", p->name);
        weir_config_report(r, WEIR_CONFIG_ERROR, p->line, key, "base_url is missing (or endpoints)");
        return;
    }
    struct weir_config_endpoint *e = weir_arena_alloc(&r->c->arena, sizeof *e);
    if (e != NULL)
        *e = (struct weir_config_endpoint){.weight = 1};
    if (e == NULL || weir_config_url_parse(e, &r->c->arena, url) != NULL) {
        weir_config_no_memory(r);
        return;
    }
    p->endpoints = e;
    p->endpoint_count = 1;
}

/* `endpoints: []`; a base_url that was written and wrong has been reported. */
static void endpoints_missing(struct weir_config_reader *r, const struct weir_config_provider *p)
{
    const struct weir_config_origin *origin = weir_config_origin_of(r->c, &p->endpoints);
    size_t n = strlen(origin->path);
    if (n >= 10 && strcmp(origin->path + n - 10, ".endpoints") == 0)
        weir_config_report(r, WEIR_CONFIG_ERROR, origin->line, origin->path, "is empty: a provider has at least one");
}

static void endpoint_key(const struct weir_config_provider *p, const struct weir_config_origin *origin, size_t i,
                         char *key, size_t len)
{
    static const char list[] = ".endpoints";
    size_t n = origin != NULL ? strlen(origin->path) : 0;
    if (origin == NULL)
        snprintf(key, len, "providers.%s.base_url", p->name);
    else if (n > sizeof list - 1 && strcmp(origin->path + n - (sizeof list - 1), list) == 0)
        snprintf(key, len, "%s[%zu].url", origin->path, i);
    else
        snprintf(key, len, "%s", origin->path);
}

static void endpoint_check(struct weir_config_reader *r, const struct weir_config_provider *p, size_t i)
{
    const struct weir_config_endpoint *e = &p->endpoints[i];
    if (e->id == NULL)
        return; /* already reported */
    char key[400];
    const struct weir_config_origin *origin = weir_config_origin_of(r->c, &p->endpoints);
    endpoint_key(p, origin, i, key, sizeof key);
    uint32_t line = origin != NULL ? e->line : p->line;
    for (size_t j = 0; j < i; j++)
        if (p->endpoints[j].id != NULL && strcmp(p->endpoints[j].id, e->id) == 0)
            weir_config_report(r, WEIR_CONFIG_ERROR, line, key, "%s is listed twice", e->id);
    if (e->tls && !p->http.tls.verify)
        weir_config_report(r, WEIR_CONFIG_WARNING, line, key,
                           "tls.verify is false: whoever answers for %s is believed, and gets its credentials", e->url);
    if (e->tls || weir_config_host_is_loopback(e->host))
        return;
    if (r->c->tls.required)
        weir_config_report(r, WEIR_CONFIG_ERROR, line, key,
                           "%s is plain http:// outside this machine, and tls.required is true", e->url);
    else
        weir_config_report(r, WEIR_CONFIG_WARNING, line, key, "%s is plain http:// outside this machine", e->url);
}

static void provider_finish(struct weir_config_reader *r, struct weir_config_provider *p)
{
    char path[300];
    snprintf(path, sizeof path, "providers.%s", p->name);
    weir_config_http_finish(r, &p->http, path);
    if (p->endpoint_count == 0 && weir_config_origin_of(r->c, &p->endpoints) == NULL)
        public_endpoint(r, p);
    else if (p->endpoint_count == 0)
        endpoints_missing(r, p);
    for (size_t i = 0; i < p->endpoint_count; i++)
        endpoint_check(r, p, i);
    p->connection_reuse = p->http.enabled && p->http.features.connection_reuse;
    if (weir_config_origin_of(r->c, &p->http2) == NULL)
        p->http2 = p->http.features.http2_enabled ? WEIR_CONFIG_AUTO : WEIR_CONFIG_OFF;
    struct weir_config_rate_limit *limit = &p->rate_limit;
    if (limit->burst == 0)
        limit->burst = limit->requests_per_minute >= 10 ? limit->requests_per_minute / 10 : 1;
    if (p->api_key_header != NULL && p->api_key == NULL && p->api_key_file == NULL)
        weir_config_report(r, WEIR_CONFIG_WARNING, p->line, path, "api_key_header without an api_key sends nothing");
}

void weir_config_providers_finish(struct weir_config_reader *r)
{
    struct weir_config_list *list = (struct weir_config_list *)(void *)&r->c->providers;
    struct weir_config_provider *providers = list->at;
    for (size_t i = 0; i < list->count; i++)
        provider_finish(r, &providers[i]);
    if (list->count == 0)
        weir_config_report(r, WEIR_CONFIG_WARNING, 0, "providers", "there are none: every request gets 503");
}
