#include "cli/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_check.h"
#include "http/call.h"
#include "net/crypto_pool.h"
#include "net/dns.h"

#define CRYPTO_THREADS 2u
#define SESSION_MAX    32u
#define ADDRESSES_MAX  8u /* of a name that are tried */

struct loading;

/* One that asks, again and again. */
struct client {
    struct loading *load;
    struct weir_call call;
    struct weir_deadline clock;
    uint64_t begun_us, first_us; /* first: 0: nothing has come */
    unsigned session;
    unsigned address;        /* the one it dials */
    struct weir_err failure; /* of the addresses that were tried, the one to tell */
    bool busy;
    bool reused; /* its connection has carried a request before */
};

struct loading {
    const struct ctl_load *want;
    struct ctl_load_result *out;
    struct weir_reactor reactor;
    struct weir_dns *dns;
    struct weir_tls_config *tls;
    struct weir_crypto_pool *crypto;
    struct weir_config_http_url url;
    struct weir_addr addresses[ADDRESSES_MAX];
    unsigned address_count;
    unsigned address; /* of the last answer: the next connection is tried there first */
    char host[WEIR_DNS_NAME_MAX + 1];
    struct weir_deadline next; /* begins what is to begin: never from inside a call's end */
    struct client *clients;
    unsigned begun;
    int code; /* of resolving */
    struct weir_err *err;
};

/* Requests of one session are served by one node. */
static bool add_session(struct weir_call *c, struct weir_head *head, unsigned session)
{
    char *value = weir_arena_alloc(&c->arena, SESSION_MAX);
    if (value == NULL)
        return false;
    int len = snprintf(value, SESSION_MAX, "weirctl-%u", session);
    return weir_fields_add(&head->fields, &c->arena, WEIR_STR("x-session-id"), (struct weir_str){value, (size_t)len});
}

static bool fill(struct weir_call *c, struct weir_head *head, struct weir_str *body)
{
    const struct client *client = WEIR_CONTAINER(c, struct client, call);
    const struct loading *l = client->load;
    const struct ctl_load *w = l->want;
    head->method = w->body != NULL ? WEIR_STR("POST") : WEIR_STR("GET");
    head->target = l->url.target.len > 0 ? l->url.target : WEIR_STR("/");
    head->authority = l->url.authority;
    *body = (struct weir_str){w->body, w->body_len};
    head->has_body = w->body != NULL;
    head->content_length = w->body != NULL ? (int64_t)w->body_len : head->content_length;
    bool ok = weir_fields_add(&head->fields, &c->arena, WEIR_STR("user-agent"), WEIR_STR("weirctl/" WEIR_VERSION));
    if (w->body != NULL)
        ok = ok && weir_fields_add_id(&head->fields, &c->arena, WEIR_FIELD_CONTENT_TYPE, WEIR_STR("application/json"));
    if (w->sessions > 0)
        ok = ok && add_session(c, head, client->session);
    if (w->bearer == NULL || !ok)
        return ok;
    size_t len = strlen(w->bearer) + sizeof "Bearer " - 1;
    char *value = weir_arena_alloc(&c->arena, len + 1);
    if (value == NULL)
        return false;
    snprintf(value, len + 1, "Bearer %s", w->bearer);
    return weir_fields_add_id(&head->fields, &c->arena, WEIR_FIELD_AUTHORIZATION, (struct weir_str){value, len});
}

static void fail(struct loading *l, const struct weir_err *err)
{
    l->out->statuses[0]++;
    if (l->out->failure.code == 0)
        l->out->failure = *err;
}

static void end_one(struct client *c)
{
    struct loading *l = c->load;
    if (!weir_call_is_kept(&c->call))
        weir_call_end(&c->call);
    weir_deadline_clear(&c->clock);
    c->busy = false;
    l->out->done++;
    l->want->progress(l->want->arg, l->out->done);
    if (l->out->done == l->want->requests)
        weir_reactor_stop(&l->reactor);
    else
        weir_reactor_deadline(&l->reactor, &l->next, l->reactor.now_ms);
}

static bool take(struct weir_call *call, const uint8_t *bytes, size_t n)
{
    struct client *c = WEIR_CONTAINER(call, struct client, call);
    (void)bytes;
    if (c->first_us == 0)
        c->first_us = weir_clock_us();
    c->load->out->bytes += n;
    return true;
}

/* A kept connection may end as the next request goes out: without a word of an answer that is no failure, and the
 * request goes out once more, on a new one. Whether the first was read is not known, which a load does not mind. */
static void repeat(struct client *c)
{
    struct loading *l = c->load;
    weir_call_end(&c->call);
    weir_deadline_clear(&c->clock);
    c->busy = false;
    l->begun--;
    weir_reactor_deadline(&l->reactor, &l->next, l->reactor.now_ms);
}

static void dial(struct client *c);

static void called(struct weir_call *call, unsigned status, const struct weir_err *err)
{
    struct client *c = WEIR_CONTAINER(call, struct client, call);
    struct ctl_load_result *out = c->load->out;
    uint64_t now_us = weir_clock_us();
    if (err != NULL && c->reused && status == 0) {
        repeat(c);
        return;
    }
    if (err != NULL && call->opening != NULL) {
        weir_err_tell(&c->failure, err);
        weir_call_end(call);
        c->address++;
        dial(c);
        return;
    }
    if (err != NULL) {
        fail(c->load, err);
    } else {
        c->load->address = c->address;
        out->statuses[status / 100 < 6 ? status / 100 : 0]++;
        ctl_histogram_add(&out->whole, now_us - c->begun_us);
        ctl_histogram_add(&out->first, (c->first_us != 0 ? c->first_us : now_us) - c->begun_us);
    }
    end_one(c);
}

static void too_late(struct weir_deadline *d, uint64_t now_ms)
{
    struct client *c = WEIR_CONTAINER(d, struct client, clock);
    struct weir_err err;
    (void)now_ms;
    weir_err_set(&err, WEIR_ETIMEOUT, "%s did not come within %.3g s",
                 c->call.status == 0 ? weir_call_step(&c->call) : "the rest of the answer",
                 (double)c->load->want->timeout_ms / 1000);
    fail(c->load, &err);
    end_one(c);
}

/* A new connection, to the first address from the client's on that can be dialled; none left: c->failure says why. */
static void dial(struct client *c)
{
    static const struct weir_tcp_opts tcp = {.keepalive = true};
    struct loading *l = c->load;
    struct weir_call_opts opts = {.tcp = &tcp, .keep = l->want->keepalive, .fill = fill, .take = take, .done = called};
    struct weir_err err;
    if (l->url.tls)
        opts.tls = (struct weir_tls_opts){.config = l->tls, .pool = l->crypto, .host = l->host};
    for (; c->address < l->address_count; c->address++) {
        opts.addr = &l->addresses[c->address];
        if (weir_call_begin(&c->call, &l->reactor, &opts, &err) == 0)
            return;
        weir_err_tell(&c->failure, &err);
    }
    c->call = (struct weir_call){0};
    fail(l, &c->failure);
    end_one(c);
}

static void begin_one(struct client *c)
{
    struct loading *l = c->load;
    c->session = l->want->sessions > 0 ? l->begun % l->want->sessions : 0;
    l->begun++;
    c->busy = true;
    c->begun_us = weir_clock_us();
    c->first_us = 0;
    weir_reactor_deadline(&l->reactor, &c->clock, l->reactor.now_ms + l->want->timeout_ms);
    c->reused = weir_call_is_kept(&c->call);
    if (c->reused && weir_call_again(&c->call))
        return;
    weir_call_end(&c->call);
    c->reused = false;
    l->out->connections++;
    c->address = l->address;
    weir_err_set(&c->failure, WEIR_ENOTFOUND, "the name has no address");
    dial(c);
}

static void begin_next(struct weir_deadline *d, uint64_t now_ms)
{
    struct loading *l = WEIR_CONTAINER(d, struct loading, next);
    (void)now_ms;
    for (unsigned i = 0; i < l->want->clients && l->begun < l->want->requests; i++)
        if (!l->clients[i].busy)
            begin_one(&l->clients[i]);
}

static void resolved(void *owner, const struct weir_dns_answer *answer)
{
    struct loading *l = owner;
    if (answer->code != 0 || answer->count == 0) {
        l->code = weir_err_set(l->err, answer->code != 0 ? answer->code : WEIR_ENOTFOUND, "%s",
                               answer->message != NULL ? answer->message : "the name has no address");
        weir_reactor_stop(&l->reactor);
        return;
    }
    while (l->address_count < ADDRESSES_MAX && l->address_count < answer->count) {
        l->addresses[l->address_count] = answer->addrs[l->address_count];
        l->address_count++;
    }
    weir_reactor_deadline(&l->reactor, &l->next, l->reactor.now_ms);
}

static int make_tls(struct loading *l)
{
    static const char *const alpn[] = {"http/1.1"};
    struct weir_tls_roots *roots = NULL;
    int rv = weir_tls_roots_load(&roots, l->want->ca_file, l->err);
    if (rv == 0) {
        const struct weir_tls_client_opts opts = {
            .roots = roots, .verify = true, .min_version = WEIR_TLS_1_2, .alpn = alpn, .alpn_count = 1};
        rv = weir_tls_config_client(&l->tls, &opts, l->err);
    }
    weir_tls_roots_unref(&roots);
    return rv == 0 ? weir_crypto_pool_new(&l->crypto, CRYPTO_THREADS, l->err) : rv;
}

static void run(struct loading *l)
{
    const struct ctl_load *w = l->want;
    l->clients = calloc(w->clients, sizeof *l->clients);
    l->code = l->clients == NULL ? weir_err_set(l->err, WEIR_ENOMEM, "out of memory") : 0;
    if (l->code == 0 && l->url.tls)
        l->code = make_tls(l);
    if (l->code == 0)
        l->code = weir_dns_new(&l->dns, &l->reactor, l->err);
    if (l->code != 0)
        return;
    for (unsigned i = 0; i < w->clients; i++) {
        l->clients[i].load = l;
        weir_deadline_init(&l->clients[i].clock, too_late);
    }
    weir_deadline_init(&l->next, begin_next);
    weir_reactor_clock(&l->reactor);
    uint64_t begun_us = weir_clock_us();
    weir_dns_resolve(l->dns, l->url.host, l->url.port, w->timeout_ms, resolved, l);
    if (l->code == 0)
        weir_reactor_run(&l->reactor);
    l->out->took_us = weir_clock_us() - begun_us;
    for (unsigned i = 0; i < w->clients; i++) {
        weir_call_end(&l->clients[i].call);
        weir_deadline_drop(&l->reactor.wheel, &l->clients[i].clock);
    }
    weir_deadline_drop(&l->reactor.wheel, &l->next);
}

int ctl_load_run(const struct ctl_load *load, struct ctl_load_result *out, struct weir_err *err)
{
    struct loading l = {.want = load, .out = out, .err = err};
    *out = (struct ctl_load_result){0};
    const char *wrong = weir_config_http_url_split(&l.url, load->url);
    if (wrong != NULL)
        return weir_err_set(err, WEIR_EINVAL, "the URL %s", wrong);
    if (l.url.host.len >= sizeof l.host)
        return weir_err_set(err, WEIR_EINVAL, "the URL's host is longer than a name can be");
    memcpy(l.host, l.url.host.ptr, l.url.host.len);
    int rv = weir_reactor_init(&l.reactor, err);
    if (rv != 0)
        return rv;
    run(&l);
    weir_dns_close(&l.dns);
    weir_crypto_pool_free(&l.crypto);
    weir_mailbox_drain(&l.reactor.mailbox);
    weir_tls_config_unref(&l.tls);
    weir_reactor_close(&l.reactor);
    free(l.clients);
    return l.code;
}
