#include "cli/store_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cli/store_pages.h"
#include "net/tls_setup.h"
#include "store/store.h"

/* One step of connecting, or one call, ends after this, or half the question's time: what says nothing at all does not
 * speak Redis (or not TLS) there, and to say so is more use than to wait on. A store that is far, or busy, answers. */
#define STEP_MS_MAX 3000u
#define STEP_S_MIN  0.01 /* of redis_timeout */

struct asking {
    const struct ctl_store_ask *ask;
    struct weir_config *config;
    struct weir_tls_setup *tls;
    struct weir_reactor reactor;
    struct weir_deadline clock;
    struct weir_dns *dns;
    struct weir_crypto_pool *crypto;
    struct weir_store *store;
    struct ctl_store_pages pages;
    unsigned open; /* requests without their answers */
    bool asked;
    char server[300];
    int code;
    struct weir_err *err;
};

/* -- set-up: what a node would configure -- */

static const char *no_variables(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return NULL;
}

/* Defaults, and the checks of a node's file, for a file that holds these keys. */
static int make_config(struct asking *a)
{
    const struct ctl_store_ask *w = a->ask;
    struct weir_config_problems problems = {0};
    uint64_t half_ms = w->timeout_ms / 2;
    double step_s = (double)(half_ms < STEP_MS_MAX ? half_ms : STEP_MS_MAX) / 1000;
    json_t *pool = json_pack("{s:s, s:s, s:f, s:{}}", "redis_url", w->url, "cluster", w->cluster, "redis_timeout",
                             step_s < STEP_S_MIN ? STEP_S_MIN : step_s, "redis_tls");
    if (w->ca_file != NULL)
        json_object_set_new(json_object_get(pool, "redis_tls"), "ca_file", json_string(w->ca_file));
    json_t *file = json_pack("{s:o}", "distributed_pool", pool);
    char *text = json_dumps(file, JSON_COMPACT); /* JSON is YAML */
    json_decref(file);
    if (text == NULL)
        return weir_err_set(a->err, WEIR_EINVAL, "no text in UTF-8");
    const struct weir_config_input in = {.file = "--redis", .bytes = text, .len = strlen(text), .getenv = no_variables};
    int rv = weir_config_parse(&a->config, &in, &problems);
    for (size_t i = 0; i < problems.count && rv != 0; i++)
        if (problems.at[i].level == WEIR_CONFIG_ERROR) {
            weir_err_set(a->err, rv, "%s", problems.at[i].sentence);
            break;
        }
    weir_config_problems_reset(&problems);
    free(text);
    return rv;
}

/* -- the questions -- */

static void finish(struct asking *a, int code)
{
    a->code = code;
    weir_deadline_clear(&a->clock);
    weir_reactor_stop(&a->reactor);
}

static void submit_all(struct asking *a)
{
    const enum weir_coord_op *ops = ctl_store_page_ops(a->ask->page);
    a->asked = true;
    for (unsigned i = 0; ops[i] != WEIR_COORD_OPS; i++)
        a->open++;
    for (unsigned i = 0; ops[i] != WEIR_COORD_OPS; i++) {
        struct weir_coord_request request = {.op = ops[i], .id = i + 1};
        if (ops[i] == WEIR_COORD_EVENTS)
            request.events_count = a->ask->events;
        if (ops[i] == WEIR_COORD_SERIES)
            request.series = a->pages.history.next;
        weir_store_submit(a->store, &request);
    }
}

/* A history is asked for piece by piece. */
static bool goes_on(struct asking *a, const struct weir_coord_reply *r)
{
    if (r->op != WEIR_COORD_SERIES || a->pages.history.over)
        return false;
    const struct weir_coord_request request = {.op = WEIR_COORD_SERIES, .id = r->id, .series = a->pages.history.next};
    weir_store_submit(a->store, &request);
    return true;
}

static void replied(void *owner, const struct weir_coord_reply *r)
{
    struct asking *a = owner;
    int rv = r->word == WEIR_COORD_OK
                 ? ctl_store_pages_take(&a->pages, r, a->config->distributed_pool.failover_timeout_ms, a->err)
                 : weir_err_set(a->err, WEIR_EUNREACHABLE, "%s", r->why != NULL ? r->why : "no answer");
    if (rv != 0)
        finish(a, rv);
    else if (!goes_on(a, r) && --a->open == 0)
        finish(a, 0);
}

static void pushed(void *owner, const struct weir_coord_push *push)
{
    (void)owner;
    (void)push;
}

static void contact(void *owner, bool up, const char *why)
{
    struct asking *a = owner;
    if (up && !a->asked)
        submit_all(a);
    else if (!up) /* a store that is well is there at once */
        finish(a, weir_err_set(a->err, WEIR_EUNREACHABLE, "%s", why));
}

static void too_late(struct weir_deadline *d, uint64_t now_ms)
{
    struct asking *a = WEIR_CONTAINER(d, struct asking, clock);
    (void)now_ms;
    finish(a, weir_err_set(a->err, WEIR_ETIMEOUT, "no answer in time"));
}

static int begin(struct asking *a)
{
    static const struct weir_store_events events = {replied, pushed, contact};
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return weir_err_set(a->err, WEIR_EIO, "the system gives no random bytes");
    int rv = weir_tls_setup_new(&a->tls, a->config, a->err);
    if (rv != 0)
        return a->err->code = rv == WEIR_ENOMEM ? rv : WEIR_ETLS;
    rv = weir_dns_new(&a->dns, &a->reactor, a->err);
    if (rv == 0)
        rv = weir_crypto_pool_new(&a->crypto, 1, a->err);
    if (rv != 0)
        return rv;
    const struct weir_store_opts opts = {.config = &a->config->distributed_pool,
                                         .client_name = "weirctl",
                                         .dns = a->dns,
                                         .crypto = a->crypto,
                                         .tls = a->tls->store,
                                         .seed = seed,
                                         .events = &events,
                                         .owner = a};
    return weir_store_open(&a->store, &a->reactor, &opts, a->err);
}

static int run(struct asking *a)
{
    int rv = weir_reactor_init(&a->reactor, a->err);
    if (rv != 0)
        return rv;
    weir_deadline_init(&a->clock, too_late);
    weir_reactor_clock(&a->reactor);
    rv = begin(a);
    if (rv == 0) {
        weir_reactor_deadline(&a->reactor, &a->clock, a->reactor.now_ms + a->ask->timeout_ms);
        weir_reactor_run(&a->reactor);
        rv = a->code;
        snprintf(a->server, sizeof a->server, "%s", weir_store_server(a->store));
    }
    weir_store_close(&a->store);
    weir_deadline_drop(&a->reactor.wheel, &a->clock);
    weir_dns_close(&a->dns);
    weir_crypto_pool_free(&a->crypto);
    weir_mailbox_drain(&a->reactor.mailbox);
    weir_reactor_close(&a->reactor);
    return rv;
}

int ctl_store_ask(const struct ctl_store_ask *ask, json_t **answer, struct weir_err *err)
{
    struct asking a = {.ask = ask, .err = err};
    *answer = NULL;
    if (ctl_store_page_ops(ask->page) == NULL)
        return weir_err_set(err, WEIR_EINVAL, "the store does not have what is on %s", ask->page);
    ctl_store_history_begin(&a.pages.history, ask->history_ms);
    int rv = make_config(&a);
    if (rv == 0)
        rv = run(&a);
    if (rv == 0 && !ctl_store_pages_any(&a.pages))
        rv = weir_err_set(err, WEIR_ENOTFOUND, "no cluster '%s' in this store", ask->cluster);
    if (rv == 0) {
        *answer = ctl_store_page(&a.pages, ask->page, a.server, ask->cluster);
        rv = *answer != NULL ? 0 : weir_err_set(err, WEIR_ENOMEM, "out of memory");
    }
    ctl_store_pages_close(&a.pages);
    weir_tls_setup_free(&a.tls);
    weir_config_free(&a.config);
    return rv;
}
