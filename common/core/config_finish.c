#include "core/config_finish.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/affinity.h"
#include "core/config_check.h"

void weir_config_report(struct weir_config_reader *r, enum weir_config_level level, uint32_t line, const char *key,
                        const char *fmt, ...)
{
    char sentence[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, ap);
    va_end(ap);
    weir_config_problems_add(r->problems, level, r->in->file, line, key, "%s", sentence);
}

/* -- listeners -- */

static void listens_check(struct weir_config_reader *r, const struct weir_config_listens *a,
                          const struct weir_config_listens *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = a == b ? i + 1 : 0; j < b->count; j++) {
            const struct weir_config_listen *x = &a->at[i], *y = &b->at[j];
            if (x->host != NULL && y->host != NULL && x->port != 0 && x->port == y->port &&
                strcmp(x->host, y->host) == 0)
                weir_config_report(r, WEIR_CONFIG_ERROR, y->line, "server", "%s is listened on twice", y->text);
        }
}

static void server_finish(struct weir_config_reader *r)
{
    struct weir_config_server *server = &r->c->server;
    struct weir_config_listen *listens = ((struct weir_config_list *)(void *)&server->listen)->at;
    for (size_t i = 0; i < server->listen.count; i++)
        if (weir_config_origin_of(r->c, &listens[i].proxy_protocol) == NULL)
            listens[i].proxy_protocol = server->proxy_protocol;
    if (server->listen.count == 0)
        weir_config_report(r, WEIR_CONFIG_ERROR, 0, "server.listen", "is empty: a node listens somewhere");
    if (server->tls.client_certificates != WEIR_CONFIG_CERTS_OFF && server->tls.client_ca_file == NULL)
        weir_config_report(r, WEIR_CONFIG_ERROR, 0, "server.tls.client_certificates",
                           "needs client_ca_file: who signs clients' certificates");
    listens_check(r, &server->listen, &server->listen);
    listens_check(r, &server->admin.listen, &server->admin.listen);
    listens_check(r, &server->listen, &server->admin.listen);
}

/* -- who may reach what -- */

static bool is_loopback(const struct weir_config_listen *l)
{
    struct weir_ip ip;
    return l->host != NULL && weir_ip_parse(&ip, weir_str_of(l->host)) && weir_ip_is_loopback(&ip);
}

/* Clients are not asked who they are, and use a key that is not theirs. */
static void relay_check(struct weir_config_reader *r)
{
    const struct weir_config *c = r->c;
    if (c->auth.key_count > 0)
        return;
    for (size_t i = 0; i < c->server.listen.count; i++) {
        const struct weir_config_listen *l = &c->server.listen.at[i];
        if (is_loopback(l))
            continue;
        for (size_t k = 0; k < c->provider_count; k++) {
            const struct weir_config_provider *p = &c->providers[k];
            if (p->api_key == NULL && p->api_key_file == NULL)
                continue;
            weir_config_report(r, WEIR_CONFIG_WARNING, l->line, "server.listen",
                               "whoever reaches %s uses the api_key of %.80s: nobody is asked for a key of their own",
                               l->text, p->name);
            return;
        }
    }
}

static void allow_check(struct weir_config_reader *r)
{
    static const struct weir_ip any_v4 = {.bytes = {[10] = 0xff, [11] = 0xff}};
    const struct weir_config_nets *allow = &r->c->server.admin.allow;
    const struct weir_config_origin *origin = weir_config_origin_of(r->c, allow);
    for (size_t i = 0; i < allow->count; i++)
        if (allow->at[i].bits == 0 || (allow->at[i].bits == 96 && weir_ip_eq(&allow->at[i].ip, &any_v4)))
            weir_config_report(r, WEIR_CONFIG_WARNING, origin != NULL ? origin->line : 0, "server.admin.allow",
                               "holds every address: whoever reaches the port reads the metrics and changes the node");
}

/* -- routes -- */

static const char *lower_dup(struct weir_config_reader *r, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t len = strlen(text);
    char *lower = weir_arena_bytes(&r->c->arena, len + 1);
    if (lower == NULL) {
        weir_config_no_memory(r);
        return text;
    }
    for (size_t i = 0; i <= len; i++)
        lower[i] = weir_lower(text[i]);
    return lower;
}

/* "/v1/" means what "/v1" does, and "/" what no prefix does. */
static const char *prefix_settle(struct weir_config_reader *r, const char *prefix)
{
    if (prefix == NULL)
        return NULL;
    size_t len = strlen(prefix);
    while (len > 0 && prefix[len - 1] == '/')
        len--;
    if (len == 0)
        return NULL;
    const char *settled = weir_arena_dup(&r->c->arena, (struct weir_str){prefix, len}).ptr;
    if (settled == NULL)
        weir_config_no_memory(r);
    return settled;
}

static void route_provider_find(struct weir_config_reader *r, struct weir_config_route *route, const char *key)
{
    const char *nearest = NULL;
    if (route->provider_name == NULL)
        return; /* already reported */
    for (size_t i = 0; i < r->c->provider_count; i++) {
        const char *name = r->c->providers[i].name;
        if (strcmp(name, route->provider_name) == 0) {
            route->provider = i;
            return;
        }
        if (nearest == NULL ||
            weir_config_distance(name, route->provider_name) < weir_config_distance(nearest, route->provider_name))
            nearest = name;
    }
    if (nearest == NULL)
        weir_config_report(r, WEIR_CONFIG_ERROR, route->line, key, "no provider \"%.80s\": there are none",
                           route->provider_name);
    else
        weir_config_report(r, WEIR_CONFIG_ERROR, route->line, key,
                           "no provider \"%.80s\"; the nearest known one is \"%s\"", route->provider_name, nearest);
}

static void routes_finish(struct weir_config_reader *r, struct weir_config_list *list)
{
    struct weir_config_route *routes = list->at;
    for (size_t i = 0; i < list->count; i++) {
        char key[64];
        snprintf(key, sizeof key, "routes[%zu].provider", i);
        route_provider_find(r, &routes[i], key);
        routes[i].path_prefix = prefix_settle(r, routes[i].path_prefix);
        routes[i].host = lower_dup(r, routes[i].host);
        routes[i].header_name = lower_dup(r, routes[i].header_name);
        snprintf(key, sizeof key, "routes[%zu].strip_prefix", i);
        if (routes[i].strip_prefix && routes[i].path_prefix == NULL)
            weir_config_report(r, WEIR_CONFIG_WARNING, routes[i].line, key, "there is no path_prefix to strip");
    }
}

static void routes_default(struct weir_config_reader *r, struct weir_config_list *list)
{
    size_t count = r->c->provider_count;
    struct weir_config_route *routes = weir_arena_alloc(&r->c->arena, count * sizeof *routes);
    r->c->routes_default = true;
    for (size_t i = 0; routes != NULL && i < count; i++) {
        routes[i] = (struct weir_config_route){.provider = i, .provider_name = r->c->providers[i].name};
        if (count == 1)
            continue;
        const struct weir_str parts[] = {WEIR_STR("/"), weir_str_of(r->c->providers[i].name)};
        routes[i].path_prefix = weir_arena_join(&r->c->arena, parts, 2).ptr;
        routes[i].strip_prefix = true;
        if (routes[i].path_prefix == NULL)
            routes = NULL;
    }
    if (routes == NULL) {
        weir_config_no_memory(r);
        return;
    }
    *list = (struct weir_config_list){.at = routes, .count = count};
}

/* -- sections that count as on when they are there -- */

static void presence_finish(struct weir_config *c, bool *enabled, const void *section)
{
    if (weir_config_origin_of(c, enabled) == NULL)
        *enabled = weir_config_origin_of_section(c, section) != NULL;
}

static void analytics_check(struct weir_config_reader *r)
{
    const struct weir_config_analytics *a = &r->c->analytics;
    const struct weir_config_origin *origin = weir_config_origin_of_section(r->c, a);
    if (a->enabled && !r->c->distributed_pool.enabled && origin != NULL)
        weir_config_report(r, WEIR_CONFIG_WARNING, origin->line, "analytics",
                           "has no effect without distributed_pool: the history is kept in the cluster's store");
    origin = weir_config_origin_of(r->c, &a->collect_performance_metrics);
    if (a->enabled && !a->collect_performance_metrics && a->enable_predictive_scaling && origin != NULL)
        weir_config_report(r, WEIR_CONFIG_WARNING, origin->line, origin->path,
                           "enable_predictive_scaling has no history to forecast from without it");
}

static void affinity_check(struct weir_config_reader *r)
{
    const struct weir_config_texts *keys = &r->c->distributed_pool.affinity.keys;
    const struct weir_config_origin *origin = weir_config_origin_of(r->c, keys);
    struct weir_affinity *list;
    struct weir_err err;
    if (origin == NULL)
        return; /* the default ones */
    for (size_t i = 0; i < keys->count; i++)
        if (keys->at[i] == NULL)
            return; /* refused already */
    int code = weir_affinity_new(&list, keys->at, keys->count, &err);
    if (code == WEIR_ENOMEM)
        weir_config_no_memory(r);
    else if (code == WEIR_ELIMIT)
        weir_config_report(r, WEIR_CONFIG_ERROR, origin->line, origin->path,
                           "has more than %u sources, or more than %u in the body", WEIR_AFFINITY_SOURCES_MAX,
                           WEIR_AFFINITY_JSON_MAX);
    weir_affinity_free(&list);
}

/* -- alerts -- */

static void webhook_check(struct weir_config_reader *r)
{
    if (r->c->alerting.webhook_url != NULL)
        return;
    const struct weir_config_alerts *lists[] = {&r->c->alerting.connection_pool, &r->c->alerts};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (size_t j = 0; j < lists[i]->count; j++)
            if (lists[i]->at[j].action == WEIR_CONFIG_ACTION_WEBHOOK)
                weir_config_report(r, WEIR_CONFIG_ERROR, lists[i]->at[j].line, "alerting.webhook_url",
                                   "is not set, and the rule %s is to be posted there", lists[i]->at[j].name);
}

/* -- secrets from files -- */

static void secret_read(struct weir_config_reader *r, const struct weir_config_field *f, char *base)
{
    const char *path = *(const char **)(base + f->offset);
    const struct weir_config_origin *origin = weir_config_origin_of(r->c, base + f->offset);
    if (path == NULL || origin == NULL)
        return;
    char *buf = malloc(WEIR_CONFIG_SECRET_BYTES_MAX);
    struct weir_err err = {0};
    size_t len = 0;
    if (buf == NULL) {
        weir_config_no_memory(r);
        return;
    }
    if (r->in->read_file(r->in->arg, path, buf, WEIR_CONFIG_SECRET_BYTES_MAX, &len, &err) != 0) {
        weir_config_report(r, WEIR_CONFIG_ERROR, origin->line, origin->path, "%s", err.msg);
        goto out;
    }
    while (len > 0 && (buf[len - 1] == '\n' || buf[len - 1] == '\r'))
        len--;
    const char *secret = weir_arena_dup(&r->c->arena, (struct weir_str){buf, len}).ptr;
    if (secret == NULL) {
        weir_config_no_memory(r);
        goto out;
    }
    const char *wrong = strlen(secret) != len ? "holds a NUL character"
                        : len == 0            ? "is empty"
                        : f->check != NULL    ? f->check(secret)
                                              : NULL;
    if (wrong != NULL)
        weir_config_report(r, WEIR_CONFIG_ERROR, origin->line, origin->path, "%s %s", path, wrong);
    *(const char **)(base + f->twin) = secret;
out:
    explicit_bzero(buf, WEIR_CONFIG_SECRET_BYTES_MAX);
    free(buf);
}

static void secrets_read(struct weir_config_reader *r, const struct weir_config_section *s, char *base)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct weir_config_field *f = &s->fields[i];
        if (f->alias_of != NULL)
            continue;
        if (f->type == WEIR_CONFIG_SECRET_FILE)
            secret_read(r, f, base);
        if (f->type == WEIR_CONFIG_SECTION || f->type == WEIR_CONFIG_INCLUDE)
            secrets_read(r, f->section, base + f->offset);
        if (f->type == WEIR_CONFIG_LIST || f->type == WEIR_CONFIG_PROVIDERS) {
            const struct weir_config_list *list = (const struct weir_config_list *)(void *)(base + f->offset);
            for (size_t j = 0; j < list->count; j++)
                secrets_read(r, f->section, (char *)list->at + j * f->section->size);
        }
    }
}

void weir_config_finish(struct weir_config_reader *r)
{
    struct weir_config *c = r->c;
    struct weir_config_list *routes = (struct weir_config_list *)(void *)&c->routes;
    server_finish(r);
    weir_config_http_finish(r, &c->http_client, "http_client");
    weir_config_providers_finish(r);
    if (weir_config_origin_of(c, routes) == NULL)
        routes_default(r, routes);
    else
        routes_finish(r, routes);
    relay_check(r);
    allow_check(r);
    presence_finish(c, &c->distributed_pool.enabled, &c->distributed_pool);
    presence_finish(c, &c->analytics.enabled, &c->analytics);
    analytics_check(r);
    affinity_check(r);
    if (weir_config_origin_of(c, &c->alerting.connection_pool) == NULL)
        c->alerting.connection_pool = weir_config_default_alerts;
    webhook_check(r);
    if (r->in->read_file != NULL)
        secrets_read(r, &weir_config_root, (char *)c);
}
