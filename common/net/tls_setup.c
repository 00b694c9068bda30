#include "net/tls_setup.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const offers[] = {"h2", "http/1.1"};

/* -- authorities, each file once -- */

struct known_roots {
    const char *file; /* NULL: the system's */
    struct weir_tls_roots *roots;
};

/* One for each provider, one for clients, one for the webhook, one for peers. */
struct roots_table {
    struct known_roots *at;
    size_t count;
};

static bool same_file(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Borrowed from the table, which has room. */
static int roots_of(struct weir_tls_roots **out, struct roots_table *t, const char *file, struct weir_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < t->count; i++) {
        if (same_file(t->at[i].file, file)) {
            *out = t->at[i].roots;
            return 0;
        }
    }
    struct known_roots *k = &t->at[t->count];
    int rv = weir_tls_roots_load(&k->roots, file, err);
    if (rv != 0)
        return rv;
    k->file = file;
    t->count++;
    *out = k->roots;
    return 0;
}

static void end_table(struct roots_table *t)
{
    for (size_t i = 0; i < t->count; i++)
        weir_tls_roots_unref(&t->at[i].roots);
    free(t->at);
}

/* -- one configuration each -- */

static enum weir_tls_version version_of(enum weir_config_tls_version v)
{
    return v == WEIR_CONFIG_TLS_1_3 ? WEIR_TLS_1_3 : WEIR_TLS_1_2;
}

/* What is offered to a peer: HTTP/2 where it is wanted, nothing else where it must be. */
static void offer(struct weir_tls_client_opts *opts, enum weir_config_switch http2)
{
    opts->alpn = http2 == WEIR_CONFIG_OFF ? offers + 1 : offers;
    opts->alpn_count = http2 == WEIR_CONFIG_AUTO ? 2 : 1;
}

static int make_client(struct weir_tls_config **out, const struct weir_config_client_tls *c, bool shows_own,
                       enum weir_config_switch http2, struct roots_table *known, struct weir_err *err)
{
    struct weir_tls_client_opts opts = {.verify = c->verify, .min_version = version_of(c->min_version)};
    offer(&opts, http2);
    if (shows_own)
        opts.own = (struct weir_tls_pair){c->cert_file, c->key_file};
    int rv = c->verify ? roots_of(&opts.roots, known, c->ca_file, err) : 0;
    return rv == 0 ? weir_tls_config_client(out, &opts, err) : rv;
}

static int make_server(struct weir_tls_config **out, const struct weir_config_server *s, struct roots_table *known,
                       struct weir_err *err)
{
    size_t count = s->tls.certificates.count;
    struct weir_tls_pair *pairs = calloc(count, sizeof *pairs);
    if (pairs == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct weir_tls_pair){s->tls.certificates.at[i].cert_file, s->tls.certificates.at[i].key_file};
    bool asks = s->tls.client_certificates != WEIR_CONFIG_CERTS_OFF;
    struct weir_tls_server_opts opts = {.pairs = pairs,
                                        .pair_count = count,
                                        .min_version = version_of(s->tls.min_version),
                                        .client_certs = (enum weir_tls_client_certs)s->tls.client_certificates,
                                        .alpn = s->http2.enabled ? offers : offers + 1,
                                        .alpn_count = s->http2.enabled ? 2 : 1,
                                        .tickets = !asks};
    int rv = asks ? roots_of(&opts.client_roots, known, s->tls.client_ca_file, err) : 0;
    if (rv == 0)
        rv = weir_tls_config_server(out, &opts, err);
    free(pairs);
    return rv;
}

static int make_provider(struct weir_tls_provider *out, const struct weir_config_provider *p, struct roots_table *known,
                         struct weir_err *err)
{
    bool wanted = false;
    int rv = 0;
    for (size_t i = 0; i < p->endpoint_count; i++)
        wanted = wanted || p->endpoints[i].tls;
    if (wanted)
        rv = make_client(&out->own, &p->http.tls, true, p->http2, known, err);
    if (rv == 0 && p->http.follow_redirects == WEIR_CONFIG_REDIRECTS_ANY) {
        rv = make_client(&out->foreign, &p->http.tls, false, WEIR_CONFIG_OFF, known, err);
        if (rv == WEIR_ENOTFOUND && !wanted && p->http.tls.ca_file == NULL)
            rv = 0; /* no system authorities on a machine where nothing else asks for them */
    }
    return rv == 0 ? 0 : weir_err_wrap(err, "provider %s", p->name);
}

/* Both ends show the node's certificate and check the other's by peer_tls.ca_file. HTTP/2 and nothing else. */
static int make_peers(struct weir_tls_setup *t, const struct weir_config_client_tls *c, struct roots_table *known,
                      struct weir_err *err)
{
    struct weir_tls_pair own = {c->cert_file, c->key_file};
    struct weir_tls_server_opts opts = {
        .pairs = &own,
        .pair_count = 1,
        .min_version = version_of(c->min_version),
        .client_certs = c->verify ? WEIR_TLS_CLIENT_CERTS_REQUIRED : WEIR_TLS_CLIENT_CERTS_OFF,
        .alpn = offers,
        .alpn_count = 1,
    };
    int rv = make_client(&t->peer_client, c, true, WEIR_CONFIG_ON, known, err);
    if (rv == 0 && c->verify)
        rv = roots_of(&opts.client_roots, known, c->ca_file, err);
    return rv == 0 ? weir_tls_config_server(&t->peer_server, &opts, err) : rv;
}

/* Of a store that is reached over TLS; it speaks nothing that would have to be agreed on. */
static int make_store(struct weir_tls_setup *t, const struct weir_config_distributed *d, struct roots_table *known,
                      struct weir_err *err)
{
    const struct weir_config_client_tls *c = &d->redis_tls;
    struct weir_tls_client_opts opts = {
        .own = {c->cert_file, c->key_file}, .verify = c->verify, .min_version = version_of(c->min_version)};
    if (strncasecmp(d->redis_url, "rediss", 6) != 0)
        return 0;
    int rv = c->verify ? roots_of(&opts.roots, known, c->ca_file, err) : 0;
    return rv == 0 ? weir_tls_config_client(&t->store, &opts, err) : rv;
}

static bool is_https(const char *url)
{
    return url != NULL && strncasecmp(url, "https://", 8) == 0;
}

/* What of a configuration has TLS of its own; behind them its providers. */
enum part { SERVER, WEBHOOK, PEERS, STORE, PROVIDERS };

static int make_part(struct weir_tls_setup *t, const struct weir_config *config, size_t part, struct roots_table *known,
                     struct weir_err *err)
{
    static const struct weir_config_client_tls plain = {.verify = true, .min_version = WEIR_CONFIG_TLS_1_2};
    static const char *const names[] = {"server", "alerts, tracing", "distributed_pool: peer_tls",
                                        "distributed_pool: redis_tls"};
    const struct weir_config_distributed *d = &config->distributed_pool;
    int rv = 0;
    if (part >= PROVIDERS)
        return make_provider(&t->providers[part - PROVIDERS], &config->providers[part - PROVIDERS], known, err);
    if (part == SERVER && config->server.tls.certificates.count > 0)
        rv = make_server(&t->server, &config->server, known, err);
    else if (part == WEBHOOK && (is_https(config->alerting.webhook_url) || is_https(config->tracing.endpoint)))
        rv = make_client(&t->webhook, &plain, false, WEIR_CONFIG_OFF, known, err);
    else if (part == PEERS && d->enabled && d->peer_tls.cert_file != NULL)
        rv = make_peers(t, &d->peer_tls, known, err);
    else if (part == STORE && d->enabled)
        rv = make_store(t, d, known, err);
    return rv == 0 ? 0 : weir_err_wrap(err, "%s", names[part]);
}

/* tell NULL: the first problem is the last one. */
static int make_all(struct weir_tls_setup *t, const struct weir_config *config, struct roots_table *known,
                    weir_tls_problem_fn *tell, struct weir_err *err)
{
    struct weir_err problem = {0};
    int rv = 0;
    for (size_t part = 0; (rv == 0 || tell != NULL) && part < PROVIDERS + config->provider_count; part++) {
        if (make_part(t, config, part, known, &problem) == 0)
            continue;
        if (tell != NULL)
            tell(&problem);
        if (rv == 0)
            *err = problem;
        rv = err->code;
    }
    return rv;
}

static int make(struct weir_tls_setup **out, const struct weir_config *config, weir_tls_problem_fn *tell,
                struct weir_err *err)
{
    size_t n = config->provider_count;
    struct roots_table known = {.at = calloc(n + 4, sizeof *known.at)};
    struct weir_tls_setup *t = calloc(1, sizeof *t);
    *out = NULL;
    if (t != NULL)
        t->providers = calloc(n + 1, sizeof *t->providers);
    if (t == NULL || t->providers == NULL || known.at == NULL) {
        weir_tls_setup_free(&t);
        free(known.at);
        return weir_err_set(err, WEIR_ENOMEM, "tls: out of memory");
    }
    t->provider_count = n;
    int rv = make_all(t, config, &known, tell, err);
    end_table(&known);
    if (rv != 0)
        weir_tls_setup_free(&t);
    *out = t;
    return rv;
}

int weir_tls_setup_new(struct weir_tls_setup **out, const struct weir_config *config, struct weir_err *err)
{
    return make(out, config, NULL, err);
}

int weir_tls_setup_check(const struct weir_config *config, weir_tls_problem_fn *tell, struct weir_err *err)
{
    struct weir_tls_setup *setup;
    int rv = make(&setup, config, tell, err);
    weir_tls_setup_free(&setup);
    return rv;
}

void weir_tls_setup_free(struct weir_tls_setup **setup)
{
    struct weir_tls_setup *t = *setup;
    *setup = NULL;
    if (t == NULL)
        return;
    weir_tls_config_unref(&t->server);
    weir_tls_config_unref(&t->webhook);
    weir_tls_config_unref(&t->peer_server);
    weir_tls_config_unref(&t->peer_client);
    weir_tls_config_unref(&t->store);
    for (size_t i = 0; i < t->provider_count; i++) {
        weir_tls_config_unref(&t->providers[i].own);
        weir_tls_config_unref(&t->providers[i].foreign);
    }
    free(t->providers);
    free(t);
}
