/* How it hangs together: c-ares owns its sockets and tells on_socket_state which of them it wants watched; each gets a
 * uv_poll. Its own retries run on one deadline, each query's end on another. A query that ran out of time stays
 * allocated, without a callback, until c-ares is done with it: single queries cannot be taken back. */
#include "net/dns.h"

#include <ares.h>
#include <assert.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/list.h"

/* One attempt at one server; c-ares doubles it. Queries have deadlines of their own. */
#define ATTEMPT_MS 1500
#define ATTEMPTS   3

struct socket_watch {
    struct weir_list link;
    uv_poll_t poll;
    struct weir_dns *dns;
    ares_socket_t fd;
};

struct weir_dns {
    struct weir_reactor *reactor;
    ares_channel channel;
    struct weir_list watches;
    struct weir_list queries;
    struct weir_deadline retry;
    bool answering; /* a callback is on the stack */
    bool asking;    /* ares_getaddrinfo is: what it answers now is no name server's */
};

struct query {
    struct weir_list link;
    struct weir_deadline deadline;
    struct weir_dns *dns;
    weir_dns_cb cb; /* NULL: answered already */
    void *owner;
    bool late; /* its deadline has passed */
    char host[WEIR_DNS_NAME_MAX + 1];
};

static void arm_retry(struct weir_dns *dns)
{
    struct timeval tv;
    if (ares_timeout(dns->channel, NULL, &tv) == NULL) {
        weir_deadline_clear(&dns->retry);
        return;
    }
    uint64_t ms = (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1;
    weir_reactor_deadline(dns->reactor, &dns->retry, dns->reactor->now_ms + ms);
}

static void on_retry(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_dns *dns = WEIR_CONTAINER(d, struct weir_dns, retry);
    (void)now_ms;
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_retry(dns);
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *w = poll->data;
    struct weir_dns *dns = w->dns;
    ares_socket_t fd = w->fd;
    /* An error is for c-ares to find: it reads or writes and sees. */
    bool in = status != 0 || (events & UV_READABLE) != 0, out = status != 0 || (events & UV_WRITABLE) != 0;
    weir_reactor_clock(dns->reactor);
    ares_process_fd(dns->channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
    arm_retry(dns);
}

static void on_watch_closed(uv_handle_t *h)
{
    free(WEIR_CONTAINER((uv_poll_t *)h, struct socket_watch, poll));
}

static struct socket_watch *find_watch(struct weir_dns *dns, ares_socket_t fd)
{
    WEIR_LIST_EACH(l, &dns->watches)
    {
        struct socket_watch *w = WEIR_CONTAINER(l, struct socket_watch, link);
        if (w->fd == fd)
            return w;
    }
    return NULL;
}

/* Out of memory or handles: the socket goes unwatched and the query ends by its deadline. */
static struct socket_watch *new_watch(struct weir_dns *dns, ares_socket_t fd)
{
    struct socket_watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    if (uv_poll_init_socket(&dns->reactor->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->poll.data = w;
    w->dns = dns;
    w->fd = fd;
    weir_list_push_back(&dns->watches, &w->link);
    return w;
}

static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct weir_dns *dns = arg;
    struct socket_watch *w = find_watch(dns, fd);
    if (readable == 0 && writable == 0) {
        if (w == NULL)
            return;
        weir_list_remove(&w->link);
        uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        return;
    }
    if (w == NULL)
        w = new_watch(dns, fd);
    if (w != NULL)
        uv_poll_start(&w->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), on_socket_ready);
}

int weir_dns_new(struct weir_dns **out, struct weir_reactor *r, struct weir_err *err)
{
    *out = NULL;
    int rv = ares_library_init(ARES_LIB_INIT_ALL);
    if (rv != ARES_SUCCESS)
        return weir_err_set(err, WEIR_EIO, "resolver: %s", ares_strerror(rv));
    struct weir_dns *dns = calloc(1, sizeof *dns);
    if (dns == NULL) {
        ares_library_cleanup();
        return weir_err_set(err, WEIR_ENOMEM, "resolver: out of memory");
    }
    dns->reactor = r;
    weir_list_init(&dns->watches);
    weir_list_init(&dns->queries);
    weir_deadline_init(&dns->retry, on_retry);
    struct ares_options options = {
        .timeout = ATTEMPT_MS, .tries = ATTEMPTS, .sock_state_cb = on_socket_state, .sock_state_cb_data = dns};
    int set = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
#ifdef ARES_OPT_QUERY_CACHE
    set |= ARES_OPT_QUERY_CACHE; /* off, qcache_max_ttl being 0: who asks here has a reason to ask anew */
#endif
    rv = ares_init_options(&dns->channel, &options, set);
    if (rv != ARES_SUCCESS) {
        free(dns);
        ares_library_cleanup();
        return weir_err_set(err, rv == ARES_ENOMEM ? WEIR_ENOMEM : WEIR_EIO, "resolver: %s", ares_strerror(rv));
    }
    *out = dns;
    return WEIR_OK;
}

int weir_dns_set_servers(struct weir_dns *dns, const char *servers, struct weir_err *err)
{
    int rv = ares_set_servers_ports_csv(dns->channel, servers);
    if (rv != ARES_SUCCESS)
        return weir_err_set(err, rv == ARES_ENOMEM ? WEIR_ENOMEM : WEIR_EINVAL, "name servers '%s': %s", servers,
                            ares_strerror(rv));
    return WEIR_OK;
}

bool weir_dns_idle(const struct weir_dns *dns)
{
    return !dns->answering && !dns->asking && weir_list_empty(&dns->queries);
}

void weir_dns_close(struct weir_dns **dns_ref)
{
    struct weir_dns *dns = *dns_ref;
    if (dns == NULL)
        return;
    assert(!dns->answering);
    *dns_ref = NULL;
    ares_destroy(dns->channel); /* answers every query and closes every socket */
    assert(weir_list_empty(&dns->queries) && weir_list_empty(&dns->watches));
    weir_deadline_drop(&dns->reactor->wheel, &dns->retry);
    free(dns);
    ares_library_cleanup();
}

static void call_back(struct weir_dns *dns, weir_dns_cb cb, void *owner, const struct weir_dns_answer *answer)
{
    bool nested = dns->answering;
    dns->answering = true;
    cb(owner, answer);
    dns->answering = nested;
}

static void answer_error(struct query *q, int code, const char *why)
{
    char message[WEIR_DNS_NAME_MAX + 128];
    weir_dns_cb cb = q->cb;
    if (cb == NULL)
        return;
    q->cb = NULL;
    snprintf(message, sizeof message, "resolve %s: %s", q->host, why);
    call_back(q->dns, cb, q->owner, &(struct weir_dns_answer){.code = code, .message = message});
}

/* The loop looks at c-ares' sockets ahead of a turn only: it is to have done so once more, for what had come by now. */
static void on_deadline(struct weir_deadline *d, uint64_t now_ms)
{
    struct query *q = WEIR_CONTAINER(d, struct query, deadline);
    if (q->late)
        answer_error(q, WEIR_ETIMEOUT, "timed out");
    else
        weir_reactor_deadline(q->dns->reactor, d, now_ms);
    q->late = true;
}

static bool has_addr(const struct weir_addr *addrs, size_t count, const struct weir_addr *a)
{
    for (size_t i = 0; i < count; i++) {
        if (weir_addr_eq(&addrs[i], a))
            return true;
    }
    return false;
}

static void answer_addrs(struct query *q, const struct ares_addrinfo *info)
{
    struct weir_addr addrs[WEIR_DNS_ADDRS_MAX];
    size_t count = 0;
    int ttl_min = INT_MAX;
    for (const struct ares_addrinfo_cname *c = info->cnames; c != NULL; c = c->next)
        ttl_min = c->ttl < ttl_min ? c->ttl : ttl_min;
    for (const struct ares_addrinfo_node *n = info->nodes; n != NULL && count < WEIR_DNS_ADDRS_MAX; n = n->ai_next) {
        struct weir_addr a;
        weir_addr_set(&a, n->ai_addr, (socklen_t)n->ai_addrlen);
        if (weir_addr_len(&a) == 0)
            continue;
        ttl_min = n->ai_ttl < ttl_min ? n->ai_ttl : ttl_min;
        if (!has_addr(addrs, count, &a))
            addrs[count++] = a;
    }
    if (count == 0) {
        answer_error(q, WEIR_ENOTFOUND, "no addresses");
        return;
    }
    weir_dns_cb cb = q->cb;
    q->cb = NULL;
    struct weir_dns_answer answer = {.addrs = addrs, .count = count, .ttl_s = WEIR_DNS_TTL_NONE};
    if (!q->dns->asking)
        answer.ttl_s = ttl_min > 0 ? (uint32_t)ttl_min : 0; /* RFC 2181 8: one with the highest bit set counts as 0 */
    call_back(q->dns, cb, q->owner, &answer);
}

static int code_of(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_ENONAME:
    case ARES_EBADNAME:
        return WEIR_ENOTFOUND;
    case ARES_ETIMEOUT:
        return WEIR_ETIMEOUT;
    case ARES_ENOMEM:
        return WEIR_ENOMEM;
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED:
        return WEIR_ECLOSED;
    default:
        return WEIR_EIO;
    }
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct query *q = arg;
    (void)timeouts;
    if (q->cb != NULL) {
        if (status == ARES_SUCCESS && info != NULL)
            answer_addrs(q, info);
        else
            answer_error(q, code_of(status), ares_strerror(status));
    }
    if (info != NULL)
        ares_freeaddrinfo(info);
    weir_deadline_drop(&q->dns->reactor->wheel, &q->deadline);
    weir_list_remove(&q->link);
    free(q);
}

static void refuse(struct weir_dns *dns, struct weir_str host, int code, weir_dns_cb cb, void *owner)
{
    char message[WEIR_DNS_NAME_MAX + 128];
    int shown = host.len > WEIR_DNS_NAME_MAX ? WEIR_DNS_NAME_MAX : (int)host.len;
    const char *why = code == WEIR_ENOMEM ? "out of memory" : "not a host name";
    snprintf(message, sizeof message, "resolve '%.*s': %s", shown, host.ptr, why);
    call_back(dns, cb, owner, &(struct weir_dns_answer){.code = code, .message = message});
}

void weir_dns_resolve(struct weir_dns *dns, struct weir_str host, uint16_t port, uint64_t timeout_ms, weir_dns_cb cb,
                      void *owner)
{
    struct weir_addr literal;
    char service[8];
    if (weir_addr_literal(&literal, host, port)) {
        call_back(dns, cb, owner, &(struct weir_dns_answer){.addrs = &literal, .count = 1, .ttl_s = WEIR_DNS_TTL_NONE});
        return;
    }
    if (host.len == 0 || host.len > WEIR_DNS_NAME_MAX || memchr(host.ptr, '\0', host.len) != NULL) {
        refuse(dns, host, WEIR_ENOTFOUND, cb, owner);
        return;
    }
    struct query *q = calloc(1, sizeof *q);
    if (q == NULL) {
        refuse(dns, host, WEIR_ENOMEM, cb, owner);
        return;
    }
    q->dns = dns;
    q->cb = cb;
    q->owner = owner;
    memcpy(q->host, host.ptr, host.len);
    weir_list_push_back(&dns->queries, &q->link);
    weir_deadline_init(&q->deadline, on_deadline);
    weir_reactor_deadline(dns->reactor, &q->deadline, dns->reactor->now_ms + timeout_ms);
    snprintf(service, sizeof service, "%u", port);
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    bool nested = dns->asking;
    dns->asking = true;
    ares_getaddrinfo(dns->channel, q->host, service, &hints, on_answer, q); /* may answer, and free q, at once */
    dns->asking = nested;
    arm_retry(dns);
}
