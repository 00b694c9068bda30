#include "cli/ask.h"

#include <stdio.h>

#include "core/config_check.h"
#include "http/call.h"
#include "net/crypto_pool.h"
#include "net/dns.h"

/* More addresses of one host are not tried. */
#define ADDRESSES_MAX 8u

struct asking {
    const struct ctl_ask *ask;
    struct weir_reactor reactor;
    struct weir_deadline clock;
    uint64_t wait_ms; /* what the clock was set to */
    struct weir_dns *dns;
    struct weir_tls_config *tls;
    struct weir_crypto_pool *crypto;
    struct weir_config_http_url url;
    struct weir_addr addresses[ADDRESSES_MAX];
    size_t address_count, address_next;
    struct weir_call call;
    char host[WEIR_DNS_NAME_MAX + 1]; /* NUL-terminated, for TLS */
    bool calling;                     /* the call is under way */
    bool over;
    unsigned status;
    struct weir_err failure; /* of the addresses that were tried, the one to tell */
    struct weir_err err;
};

static void finish(struct asking *a, int code, const char *sentence)
{
    if (a->over)
        return;
    a->over = true;
    if (code != 0)
        weir_err_set(&a->err, code, "%s", sentence);
    if (a->calling)
        weir_call_end(&a->call);
    a->calling = false;
    weir_deadline_clear(&a->clock);
    weir_reactor_stop(&a->reactor);
}

/* -- the call -- */

static bool fill(struct weir_call *c, struct weir_head *head, struct weir_str *body)
{
    struct asking *a = WEIR_CONTAINER(c, struct asking, call);
    const struct ctl_ask *ask = a->ask;
    struct weir_str prefix = a->url.target;
    while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    char *target = weir_arena_alloc(&c->arena, prefix.len + strlen(ask->page));
    if (target == NULL)
        return false;
    if (prefix.len > 0)
        memcpy(target, prefix.ptr, prefix.len);
    memcpy(target + prefix.len, ask->page, strlen(ask->page));
    *body = (struct weir_str){0};
    head->method = ask->post ? WEIR_STR("POST") : WEIR_STR("GET");
    head->target = (struct weir_str){target, prefix.len + strlen(ask->page)};
    head->authority = a->url.authority;
    bool ok = weir_fields_add(&head->fields, &c->arena, WEIR_STR("accept"), weir_str_of(ask->accept)) &&
              weir_fields_add(&head->fields, &c->arena, WEIR_STR("user-agent"), WEIR_STR("weirctl/" WEIR_VERSION));
    if (ask->token == NULL)
        return ok;
    size_t len = strlen(ask->token) + sizeof "Bearer " - 1;
    char *value = weir_arena_alloc(&c->arena, len + 1);
    if (value == NULL)
        return false;
    snprintf(value, len + 1, "Bearer %s", ask->token);
    return ok && weir_fields_add_id(&head->fields, &c->arena, WEIR_FIELD_AUTHORIZATION, (struct weir_str){value, len});
}

static void arm(struct asking *a, uint64_t wait_ms)
{
    a->wait_ms = wait_ms;
    weir_reactor_deadline(&a->reactor, &a->clock, a->reactor.now_ms + wait_ms);
}

static bool take(struct weir_call *c, const uint8_t *bytes, size_t n)
{
    struct asking *a = WEIR_CONTAINER(c, struct asking, call);
    if (a->ask->pause_ms > 0)
        arm(a, a->ask->pause_ms);
    return a->ask->take(a->ask->arg, c->status, bytes, n);
}

static void dial(struct asking *a);

static void called(struct weir_call *c, unsigned status, const struct weir_err *err)
{
    struct asking *a = WEIR_CONTAINER(c, struct asking, call);
    a->status = status;
    if (err == NULL) {
        finish(a, 0, NULL);
    } else if (c->opening == NULL) {
        finish(a, err->code, err->msg);
    } else {
        weir_err_tell(&a->failure, err);
        weir_call_end(c);
        a->calling = false;
        dial(a);
    }
}

/* The next address, while there is one. */
static void dial(struct asking *a)
{
    static const struct weir_tcp_opts tcp = {.keepalive = true};
    struct weir_err err;
    struct weir_call_opts opts = {.tcp = &tcp, .fill = fill, .take = take, .done = called};
    if (a->url.tls)
        opts.tls = (struct weir_tls_opts){.config = a->tls, .pool = a->crypto, .host = a->host};
    while (a->address_next < a->address_count) {
        opts.addr = &a->addresses[a->address_next++];
        a->calling = weir_call_begin(&a->call, &a->reactor, &opts, &err) == 0;
        if (a->calling)
            return;
        weir_err_tell(&a->failure, &err);
    }
    finish(a, a->failure.code, a->failure.msg);
}

static void resolved(void *owner, const struct weir_dns_answer *answer)
{
    struct asking *a = owner;
    if (a->over)
        return;
    if (answer->code != 0) {
        finish(a, answer->code, answer->message != NULL ? answer->message : weir_err_text(answer->code));
        return;
    }
    while (a->address_count < ADDRESSES_MAX && a->address_count < answer->count) {
        a->addresses[a->address_count] = answer->addrs[a->address_count];
        a->address_count++;
    }
    weir_err_set(&a->failure, WEIR_ENOTFOUND, "the name has no address");
    dial(a);
}

static void on_clock(struct weir_deadline *d, uint64_t now_ms)
{
    struct asking *a = WEIR_CONTAINER(d, struct asking, clock);
    char sentence[128];
    (void)now_ms;
    snprintf(sentence, sizeof sentence, "%s did not come within %.3g s",
             !a->calling           ? "the name's address"
             : a->call.status == 0 ? weir_call_step(&a->call)
                                   : "the rest of the answer",
             (double)a->wait_ms / 1000);
    a->status = a->calling ? a->call.status : 0;
    finish(a, WEIR_ETIMEOUT, sentence);
}

/* -- set-up -- */

static int make_tls(struct asking *a, struct weir_err *err)
{
    struct weir_tls_roots *roots = NULL;
    int rv = weir_tls_roots_load(&roots, a->ask->ca_file, err);
    if (rv == 0) {
        static const char *const alpn[] = {"http/1.1"};
        const struct weir_tls_client_opts opts = {
            .roots = roots, .verify = true, .min_version = WEIR_TLS_1_2, .alpn = alpn, .alpn_count = 1};
        rv = weir_tls_config_client(&a->tls, &opts, err);
    }
    weir_tls_roots_unref(&roots);
    return rv == 0 ? weir_crypto_pool_new(&a->crypto, 1, err) : rv;
}

static void run(struct asking *a)
{
    int rv = a->url.tls ? make_tls(a, &a->err) : 0;
    if (rv == 0)
        rv = weir_dns_new(&a->dns, &a->reactor, &a->err);
    if (rv != 0)
        return;
    weir_deadline_init(&a->clock, on_clock);
    arm(a, a->ask->timeout_ms);
    weir_dns_resolve(a->dns, a->url.host, a->url.port, a->ask->timeout_ms, resolved, a);
    if (!a->over) /* what ended it from inside has stopped a loop that did not run */
        weir_reactor_run(&a->reactor);
    weir_deadline_drop(&a->reactor.wheel, &a->clock);
}

int ctl_ask(const struct ctl_ask *ask, unsigned *status, struct weir_err *err)
{
    struct asking a = {.ask = ask};
    *status = 0;
    const char *wrong = weir_config_http_url_split(&a.url, ask->url);
    if (wrong != NULL)
        return weir_err_set(err, WEIR_EINVAL, "the URL %s", wrong);
    if (memchr(ask->url, '?', strlen(ask->url)) != NULL)
        return weir_err_set(err, WEIR_EINVAL, "the URL holds a query: a page's path follows it");
    if (a.url.host.len >= sizeof a.host)
        return weir_err_set(err, WEIR_EINVAL, "the URL's host is longer than a name can be");
    memcpy(a.host, a.url.host.ptr, a.url.host.len);
    int rv = weir_reactor_init(&a.reactor, err);
    if (rv != 0)
        return rv;
    run(&a);
    weir_dns_close(&a.dns);
    weir_crypto_pool_free(&a.crypto);
    weir_mailbox_drain(&a.reactor.mailbox);
    weir_tls_config_unref(&a.tls);
    weir_reactor_close(&a.reactor);
    *status = a.status;
    *err = a.err;
    return a.err.code;
}
