#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "node/client.h"
#include "node/control_inner.h"
#include "node/peer_address.h"

/* Descriptors that are neither clients nor upstreams: loops, listeners, log, resolver. */
#define OTHER_DESCRIPTORS 128u

static unsigned cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > (int)WEIR_WORKERS_MAX ? WEIR_WORKERS_MAX : (unsigned)n;
}

void weir_control_raise_descriptors(struct weir_control *c, const struct weir_config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    uint64_t wanted = (uint64_t)config->server.max_connections + OTHER_DESCRIPTORS;
    for (size_t i = 0; i < config->provider_count; i++)
        wanted += config->providers[i].http.pool.max_connections;
    if (limit.rlim_cur == RLIM_INFINITY || wanted <= limit.rlim_cur)
        return;
    struct weir_log_line l;
    weir_log_begin(
        &l, c->log, WEIR_LOG_WARN, "descriptors",
        "the configured connections do not fit into the descriptor limit; raise it (ulimit -n, LimitNOFILE=) or "
        "lower server.max_connections");
    weir_log_u64(&l, "wanted", wanted);
    weir_log_u64(&l, "limit", limit.rlim_cur);
    weir_log_end(&l);
}

static const char *served(const struct weir_worker_listener *like)
{
    if (like->serves_peers)
        return "peers";
    return !like->serves_admin ? "proxy" : like->serves_proxy ? "proxy and admin" : "admin";
}

/* *addr is set to what was bound. */
static int listen_at(struct weir_control *c, struct weir_addr *addr, const struct weir_worker_listener *like,
                     struct weir_err *err)
{
    int fds[WEIR_WORKERS_MAX];
    char text[WEIR_ADDR_TEXT_MAX];
    struct weir_log_line l;
    int rv = weir_listen_open(fds, c->node.worker_count, addr, err);
    if (rv != 0)
        return rv;
    for (unsigned i = 0; i < c->node.worker_count; i++) {
        struct weir_worker *w = &c->node.workers[i];
        weir_tcp_prepare_listener(fds[i], &weir_client_tcp_opts);
        w->listeners[w->listener_count] = *like;
        w->listeners[w->listener_count++].fd = fds[i];
    }
    weir_log_begin(&l, c->log, WEIR_LOG_INFO, "listening", NULL);
    weir_log_text(&l, "address", weir_addr_text(addr, text));
    weir_log_text(&l, "serves", served(like));
    weir_log_end(&l);
    return 0;
}

static int listen_on(struct weir_control *c, const struct weir_config_listen *listen, bool admin, bool proxy,
                     struct weir_err *err)
{
    const struct weir_worker_listener like = {
        .proxy_protocol = listen->proxy_protocol, .serves_admin = admin, .serves_proxy = proxy};
    struct weir_addr addr;
    char text[WEIR_ADDR_TEXT_MAX];
    if (!weir_addr_literal(&addr, weir_str_of(listen->host), listen->port))
        return weir_err_set(err, WEIR_EINVAL, "listen on %s: not an address", listen->text);
    /* One is kept for peers. */
    if (c->node.workers[0].listener_count + 1 >= WEIR_LISTENERS_MAX)
        return weir_err_set(err, WEIR_ELIMIT, "listen on %s: at most %u addresses", listen->text,
                            WEIR_LISTENERS_MAX - 1);
    int rv = listen_at(c, &addr, &like, err);
    if (rv == 0 && c->node.name[0] == '\0')
        snprintf(c->node.name, sizeof c->node.name, "%s", weir_addr_text(&addr, text));
    return rv;
}

static int listen_for_peers(struct weir_control *c, const struct weir_config *config, struct weir_err *err)
{
    const struct weir_worker_listener like = {.serves_proxy = true, .serves_peers = true};
    int rv = weir_peer_address_listen(&c->node.peer_addr, config, err);
    if (rv == 0)
        rv = listen_at(c, &c->node.peer_addr, &like, err);
    return rv == 0 ? 0 : weir_err_wrap(err, "distributed_pool: peer_listen");
}

int weir_control_listen(struct weir_control *c, const struct weir_config *config, struct weir_err *err)
{
    bool apart = config->server.admin.listen.count > 0;
    int rv = 0;
    for (size_t i = 0; rv == 0 && i < config->server.listen.count; i++)
        rv = listen_on(c, &config->server.listen.at[i], !apart, true, err);
    for (size_t i = 0; rv == 0 && i < config->server.admin.listen.count; i++)
        rv = listen_on(c, &config->server.admin.listen.at[i], true, false, err);
    if (rv == 0 && config->distributed_pool.enabled)
        rv = listen_for_peers(c, config, err);
    return rv;
}

int weir_control_make_workers(struct weir_control *c, const struct weir_config *config, struct weir_err *err)
{
    unsigned count = config->server.workers != 0 ? config->server.workers : cores();
    c->node.workers = calloc(count, sizeof *c->node.workers);
    if (c->node.workers == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "workers: out of memory");
    c->node.worker_count = count; /* pools are told how many they are */
    for (unsigned i = 0; i < count; i++) {
        int rv = weir_worker_init(&c->node.workers[i], &c->node, i, err);
        if (rv != 0) {
            c->node.worker_count = i;
            return rv;
        }
    }
    return 0;
}
