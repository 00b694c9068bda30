#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "coordinator/coordinator_inner.h"
#include "net/config_file.h"

/* What is left of the log at the end, and the word to the store that the lead is free: no longer than that. */
#define LOG_FLUSH_MS 2000u
#define GIVE_UP_MS   1000u

static uint64_t now_ms(const struct weir_coordinator *c)
{
    return c->reactor.now_ms;
}

/* -- the agent and the store -- */

/* After each event for the agent. */
static void settle(struct weir_coordinator *c)
{
    weir_reactor_deadline(&c->reactor, &c->tick, weir_coordinator_agent_deadline_ms(c->agent));
    if (c->stopping && !weir_coordinator_agent_look(c->agent, now_ms(c)).open)
        weir_reactor_stop(&c->reactor);
}

static void on_tick(struct weir_deadline *d, uint64_t now)
{
    struct weir_coordinator *c = WEIR_CONTAINER(d, struct weir_coordinator, tick);
    weir_coordinator_agent_tick(c->agent, now);
    settle(c);
}

static void act(void *arg, const struct weir_coordinator_action *a)
{
    struct weir_coordinator *c = arg;
    if (a->send == NULL) {
        weir_coordinator_tell(c, a);
        return;
    }
    c->requests[a->send->op]++;
    weir_store_submit(c->store, a->send);
}

static void on_reply(void *owner, const struct weir_coord_reply *r)
{
    struct weir_coordinator *c = owner;
    c->requests_failed += r->word == WEIR_COORD_AWAY || r->word == WEIR_COORD_REFUSED;
    if (r->op == WEIR_COORD_EVENT)
        return; /* ours, not the agent's; a lost one is lost */
    weir_coordinator_agent_reply(c->agent, now_ms(c), r);
    settle(c);
}

static void on_push(void *owner, const struct weir_coord_push *p)
{
    struct weir_coordinator *c = owner;
    weir_coordinator_agent_push(c->agent, now_ms(c), p);
    settle(c);
}

static void on_contact(void *owner, bool up, const char *why)
{
    struct weir_coordinator *c = owner;
    weir_coordinator_agent_contact(c->agent, now_ms(c), up, why);
    settle(c);
}

static const struct weir_store_events store_events = {.reply = on_reply, .push = on_push, .contact = on_contact};

/* -- pages -- */

static unsigned render(void *owner, struct weir_str path, const char **content_type, struct weir_textbuf *out)
{
    struct weir_coordinator *c = owner;
    struct weir_coordinator_status s = {.id = c->id,
                                        .cluster = c->began_with->distributed_pool.cluster,
                                        .version = WEIR_VERSION,
                                        .look = weir_coordinator_agent_look(c->agent, now_ms(c)),
                                        .requests_failed = c->requests_failed};
    memcpy(s.notes, c->notes, sizeof s.notes);
    memcpy(s.requests, c->requests, sizeof s.requests);
    if (weir_str_eq(path, WEIR_STR("/health/live"))) {
        weir_textbuf_str(out, "{\"status\":\"alive\"}\n");
        return 200;
    }
    if (weir_str_eq(path, WEIR_STR("/health/ready")))
        return weir_coordinator_status_ready(out, &s);
    if (!weir_str_eq(path, WEIR_STR("/metrics/prometheus")))
        return 0;
    *content_type = "text/plain; version=0.0.4; charset=utf-8";
    weir_coordinator_status_metrics(out, &s);
    return 200;
}

/* -- signals -- */

static void on_give_up(struct weir_deadline *d, uint64_t now)
{
    (void)now;
    weir_reactor_stop(&WEIR_CONTAINER(d, struct weir_coordinator, give_up)->reactor);
}

static void on_end_signal(uv_signal_t *handle, int number)
{
    struct weir_coordinator *c = handle->data;
    struct weir_log_line l;
    weir_reactor_clock(&c->reactor);
    if (c->stopping) {
        weir_log_simple(c->log, WEIR_LOG_WARN, "stop", "a second signal: ending at once");
        weir_reactor_stop(&c->reactor);
        return;
    }
    c->stopping = true;
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "drain", "giving the lead up, then ending");
    weir_log_i64(&l, "signal", number);
    weir_log_end(&l);
    weir_reactor_deadline(&c->reactor, &c->give_up, now_ms(c) + GIVE_UP_MS);
    weir_coordinator_agent_resign(c->agent, now_ms(c));
    settle(c);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void warn_of_what_stays(struct weir_coordinator *c, const struct weir_config *is)
{
    const struct weir_config_distributed *a = &c->began_with->distributed_pool, *b = &is->distributed_pool;
    if (b->enabled && same(a->redis_url, b->redis_url) && same(a->cluster, b->cluster) &&
        same(a->key_prefix, b->key_prefix) && a->redis_timeout_ms == b->redis_timeout_ms &&
        same(c->began_with->coordinator.id, is->coordinator.id) &&
        same(c->began_with->coordinator.listen, is->coordinator.listen))
        return;
    weir_log_simple(c->log, WEIR_LOG_WARN, "restart_needed",
                    "distributed_pool: enabled, redis_url, redis_timeout, cluster and key_prefix, and coordinator: id "
                    "and listen change only with a restart");
}

static void fail_reload(struct weir_coordinator *c, const char *reason)
{
    struct weir_log_line l;
    weir_log_begin(&l, c->log, WEIR_LOG_ERROR, "reload_failed", "the configuration is not in force");
    weir_log_text(&l, "reason", reason);
    weir_log_end(&l);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    struct weir_coordinator *c = handle->data;
    struct weir_config_problems problems = {0};
    struct weir_config *config = NULL;
    struct weir_err err;
    (void)number;
    weir_reactor_clock(&c->reactor);
    if (weir_config_file_load(&config, c->config_path, &problems) != WEIR_OK) {
        weir_coordinator_tell_problems(c, &problems);
        fail_reload(c, "the file has errors");
    } else {
        struct weir_coordinator_agent_config is = weir_coordinator_configure(c->id, config);
        weir_coordinator_tell_problems(c, &problems);
        weir_log_configure(c->log_writer, (enum weir_log_format)config->logging.format,
                           (enum weir_log_level)config->logging.level);
        warn_of_what_stays(c, config);
        if (weir_coordinator_agent_set(c->agent, &is, &err) != 0)
            fail_reload(c, err.msg);
        else
            weir_log_simple(c->log, WEIR_LOG_INFO, "reload", "configuration reloaded");
        settle(c);
    }
    weir_config_free(&config);
    weir_config_problems_reset(&problems);
}

/* -- beginning -- */

/* The configured one, else the host's name and chance: two coordinators on one host, and those of containers that all
 * are process 1, must not be taken for one. */
static int choose_id(struct weir_coordinator *c, const struct weir_config *config, struct weir_err *err)
{
    uint32_t chance;
    char host[WEIR_NODE_ID_MAX - 9];
    if (config->coordinator.id != NULL) {
        snprintf(c->id, sizeof c->id, "%s", config->coordinator.id);
    } else {
        if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
            return weir_err_set(err, WEIR_EIO, "the system gives no random bytes");
        if (gethostname(host, sizeof host) != 0 || !weir_coord_id_valid(weir_str_of(host)))
            snprintf(host, sizeof host, "coordinator");
        host[sizeof host - 1] = '\0';
        snprintf(c->id, sizeof c->id, "%s-%08x", host, chance);
    }
    if (!weir_coord_id_valid(weir_str_of(c->id)))
        return weir_err_set(err, WEIR_EINVAL, "coordinator.id: '%s' is no name of 1 to %u letters, digits and ._-",
                            c->id, WEIR_NODE_ID_MAX);
    return 0;
}

static int make_tls(struct weir_coordinator *c, struct weir_err *err)
{
    const struct weir_config_distributed *d = &c->began_with->distributed_pool;
    const struct weir_config_client_tls *t = &d->redis_tls;
    struct weir_tls_client_opts opts = {.verify = t->verify,
                                        .min_version =
                                            t->min_version == WEIR_CONFIG_TLS_1_3 ? WEIR_TLS_1_3 : WEIR_TLS_1_2,
                                        .own = {t->cert_file, t->key_file}};
    if (strncasecmp(d->redis_url, "rediss", 6) != 0)
        return 0;
    int rv = t->verify ? weir_tls_roots_load(&opts.roots, t->ca_file, err) : 0;
    if (rv == 0)
        rv = weir_tls_config_client(&c->tls, &opts, err);
    weir_tls_roots_unref(&opts.roots);
    return rv == 0 ? 0 : weir_err_wrap(err, "distributed_pool: redis_tls");
}

static int open_store(struct weir_coordinator *c, struct weir_err *err)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return weir_err_set(err, WEIR_EIO, "the system gives no random bytes");
    int rv = make_tls(c, err);
    if (rv == 0)
        rv = weir_dns_new(&c->dns, &c->reactor, err);
    if (rv == 0)
        rv = weir_crypto_pool_new(&c->crypto, 1, err);
    if (rv != 0)
        return rv;
    const struct weir_store_opts opts = {.config = &c->began_with->distributed_pool,
                                         .client_name = c->id,
                                         .dns = c->dns,
                                         .crypto = c->crypto,
                                         .tls = c->tls,
                                         .seed = seed,
                                         .events = &store_events,
                                         .owner = c};
    return weir_store_open(&c->store, &c->reactor, &opts, err);
}

static int open_pages(struct weir_coordinator *c, struct weir_err *err)
{
    const char *listen = c->began_with->coordinator.listen;
    char text[WEIR_ADDR_TEXT_MAX];
    struct weir_addr addr;
    struct weir_log_line l;
    if (listen == NULL)
        return 0;
    int rv = weir_addr_parse(&addr, weir_str_of(listen), err);
    if (rv == 0)
        rv = weir_pages_open(&c->pages, &c->reactor, &addr, render, c, err);
    if (rv != 0)
        return weir_err_wrap(err, "coordinator.listen");
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "listening", NULL);
    weir_log_text(&l, "address", weir_addr_text(&addr, text));
    weir_log_text(&l, "serves", "coordinator");
    weir_log_end(&l);
    return 0;
}

static int serve(struct weir_coordinator *c, struct weir_err *err)
{
    int rv = choose_id(c, c->began_with, err);
    if (rv != 0)
        return rv;
    struct weir_log_line l;
    const struct weir_coordinator_agent_config config = weir_coordinator_configure(c->id, c->began_with);
    weir_signals_init(&c->signals, &c->reactor, on_end_signal, on_reload_signal, c); /* delivered once it runs */
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "start", "weir-coordinator begins");
    weir_log_text(&l, "version", WEIR_VERSION);
    weir_log_text(&l, "config", c->config_path);
    weir_log_text(&l, "coordinator", c->id);
    weir_log_end(&l);
    rv = weir_coordinator_agent_new(&c->agent, &config, act, c, now_ms(c), err);
    if (rv == 0)
        rv = open_store(c, err);
    if (rv == 0)
        rv = open_pages(c, err);
    if (rv == 0) {
        settle(c);
        weir_reactor_run(&c->reactor);
    }
    weir_signals_close(&c->signals);
    if (rv != 0)
        return rv;
    weir_log_simple(c->log, WEIR_LOG_INFO, "stopped", NULL);
    return 0;
}

static void close_all(struct weir_coordinator *c)
{
    weir_pages_close(&c->pages);
    weir_store_close(&c->store);
    weir_dns_close(&c->dns);
    weir_crypto_pool_free(&c->crypto);
    weir_mailbox_drain(&c->reactor.mailbox);
    weir_tls_config_unref(&c->tls);
    weir_coordinator_agent_free(&c->agent);
    weir_deadline_drop(&c->reactor.wheel, &c->tick);
    weir_deadline_drop(&c->reactor.wheel, &c->give_up);
    weir_reactor_close(&c->reactor);
}

int weir_coordinator_run(const struct weir_coordinator_opts *opts, struct weir_err *err)
{
    struct weir_config *config = opts->config;
    struct weir_coordinator *c = calloc(1, sizeof *c);
    const struct weir_log_opts log = {.fd = STDERR_FILENO,
                                      .format = (enum weir_log_format)config->logging.format,
                                      .level = (enum weir_log_level)config->logging.level};
    if (c == NULL) {
        weir_err_set(err, WEIR_ENOMEM, "out of memory");
        weir_config_free(&config);
        return 1;
    }
    int rv = weir_log_start(&c->log_writer, &log, err);
    if (rv == 0 && weir_log_join(c->log_writer, &c->log) != 0)
        rv = weir_err_set(err, WEIR_ENOMEM, "log: out of memory");
    if (rv == 0)
        rv = weir_reactor_init(&c->reactor, err);
    if (rv == 0) {
        c->config_path = opts->config_path;
        c->began_with = config;
        weir_deadline_init(&c->tick, on_tick);
        weir_deadline_init(&c->give_up, on_give_up);
        weir_coordinator_tell_problems(c, opts->warnings);
        rv = serve(c, err);
        close_all(c);
    }
    if (c->log_writer != NULL)
        weir_log_stop(&c->log_writer, LOG_FLUSH_MS);
    free(c);
    weir_config_free(&config);
    return rv == 0 ? 0 : 1;
}
