#include "node/resolve.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/textbuf.h"

/* As many name servers as a file of the largest size can list. */
#define SERVERS_TEXT_MAX WEIR_CONFIG_FILE_BYTES_MAX

/* -- whom to ask -- */

/* "a:53,b:53"; "" for none. NULL: out of memory. The caller's to free. */
static char *servers_text(const struct weir_config_texts *servers)
{
    struct weir_textbuf list;
    weir_textbuf_init(&list, SERVERS_TEXT_MAX);
    for (size_t i = 0; i < servers->count; i++)
        weir_textbuf_printf(&list, "%s%s", i > 0 ? "," : "", servers->at[i]);
    weir_textbuf_char(&list, '\0');
    char *text = list.failed ? NULL : strdup(list.ptr);
    weir_textbuf_close(&list);
    return text;
}

bool weir_resolve_use_servers(struct weir_dns *dns, const struct weir_config_texts *servers)
{
    struct weir_err err;
    if (servers->count == 0)
        return true;
    char *text = servers_text(servers);
    bool ok = text != NULL && weir_dns_set_servers(dns, text, &err) == WEIR_OK;
    free(text);
    return ok;
}

/* Questions under way to other servers than these are dropped. */
static int use_resolver(struct weir_resolve *r, const struct weir_config_texts *servers, struct weir_err *err)
{
    char *text = servers_text(servers);
    if (text == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "name servers: out of memory");
    if (r->dns != NULL && strcmp(text, r->servers) == 0) {
        free(text);
        return 0;
    }
    weir_dns_close(&r->dns);
    free(r->servers);
    r->servers = text;
    int rv = weir_dns_new(&r->dns, r->reactor, err);
    if (rv == 0 && text[0] != '\0')
        rv = weir_dns_set_servers(r->dns, text, err);
    if (rv != 0)
        weir_dns_close(&r->dns);
    return rv;
}

/* -- one name -- */

static void drop_entry(struct weir_resolve_entry *e)
{
    weir_list_remove(&e->link);
    weir_deadline_drop(&e->of->reactor->wheel, &e->again);
    free(e);
}

static void ready_if_all(struct weir_resolve *r)
{
    if (r->awaited == 0 && !r->wanting)
        r->events->ready(r);
}

static void take_answer(struct weir_resolve_entry *e, const struct weir_dns_answer *a)
{
    struct weir_resolve *r = e->of;
    uint64_t now_ms = r->reactor->now_ms;
    if (a->code != 0) {
        snprintf(e->problem, sizeof e->problem, "%s", a->message);
        if (weir_name_failed(&e->name, r->refresh_ms, now_ms))
            r->events->entry(r, e, WEIR_RESOLVE_FAILS);
        return;
    }
    if (a->ttl_s != WEIR_DNS_TTL_NONE) {
        e->took_us = weir_clock_us() - e->asked_us;
        r->events->entry(r, e, WEIR_RESOLVE_ANSWERED);
    }
    if (weir_name_answered(&e->name, a->addrs, a->count, a->ttl_s, r->refresh_ms, now_ms))
        r->events->entry(r, e, WEIR_RESOLVE_WORKS);
}

static void answered(void *owner, const struct weir_dns_answer *a)
{
    struct weir_resolve_entry *e = owner;
    struct weir_resolve *r = e->of;
    e->asking = false;
    if (!e->wanted) {
        drop_entry(e);
        return;
    }
    if (a->code == WEIR_ECLOSED)
        return; /* the node ends, or other servers are asked now */
    take_answer(e, a);
    weir_reactor_deadline(r->reactor, &e->again, e->name.due_ms);
    bool was_awaited = e->awaited;
    e->awaited = false;
    r->awaited -= was_awaited;
    if (was_awaited)
        ready_if_all(r);
    else if (a->code == 0 && r->awaited == 0)
        weir_reactor_deadline(r->reactor, &r->tell, r->reactor->now_ms);
}

static void ask(struct weir_resolve_entry *e)
{
    if (e->asking || e->of->dns == NULL)
        return;
    e->asking = true;
    e->asked_us = weir_clock_us();
    weir_dns_resolve(e->of->dns, weir_str_of(e->host), e->port, WEIR_RESOLVE_TIMEOUT_MS, answered, e);
}

static void ask_again(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    ask(WEIR_CONTAINER(d, struct weir_resolve_entry, again));
}

static struct weir_resolve_entry *new_entry(struct weir_resolve *r, const struct weir_config_endpoint *c)
{
    size_t id_size = strlen(c->id) + 1, host_size = strlen(c->host) + 1;
    struct weir_resolve_entry *e = calloc(1, sizeof *e + id_size + host_size);
    if (e == NULL)
        return NULL;
    e->of = r;
    e->id = memcpy(e->text, c->id, id_size);
    e->host = memcpy(e->text + id_size, c->host, host_size);
    e->port = c->port;
    weir_deadline_init(&e->again, ask_again);
    weir_name_init(&e->name, r->reactor->now_ms);
    weir_list_push_back(&r->entries, &e->link);
    return e;
}

/* -- all of them -- */

static struct weir_resolve_entry *entry_of(const struct weir_resolve *r, const char *id)
{
    WEIR_LIST_EACH(at, &r->entries)
    {
        struct weir_resolve_entry *e = WEIR_CONTAINER(at, struct weir_resolve_entry, link);
        if (strcmp(e->id, id) == 0)
            return e;
    }
    return NULL;
}

static void tell_change(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_resolve *r = WEIR_CONTAINER(d, struct weir_resolve, tell);
    (void)now_ms;
    if (r->awaited == 0)
        r->events->changed(r);
}

void weir_resolve_init(struct weir_resolve *r, struct weir_reactor *reactor, const struct weir_resolve_events *events,
                       void *owner)
{
    *r = (struct weir_resolve){.events = events, .owner = owner, .reactor = reactor};
    weir_list_init(&r->entries);
    weir_deadline_init(&r->tell, tell_change);
}

static bool want(struct weir_resolve *r, const struct weir_config_endpoint *c)
{
    struct weir_addr literal;
    if (weir_addr_literal(&literal, weir_str_of(c->host), c->port))
        return true; /* the view knows it */
    struct weir_resolve_entry *e = entry_of(r, c->id);
    if (e == NULL)
        e = new_entry(r, c);
    if (e == NULL)
        return false;
    e->wanted = true;
    return true;
}

static void forget_unwanted(struct weir_resolve *r)
{
    WEIR_LIST_EACH_SAFE(at, &r->entries)
    {
        struct weir_resolve_entry *e = WEIR_CONTAINER(at, struct weir_resolve_entry, link);
        weir_deadline_clear(&e->again);
        if (!e->wanted && !e->asking)
            drop_entry(e);
    }
}

int weir_resolve_want(struct weir_resolve *r, const struct weir_view *v, struct weir_err *err)
{
    assert(!r->wanting);
    r->wanting = true;
    r->awaited = 0;
    r->refresh_ms = v->config->dns.refresh_ms;
    int rv = use_resolver(r, &v->config->dns.servers, err);
    WEIR_LIST_EACH(at, &r->entries)
    {
        struct weir_resolve_entry *e = WEIR_CONTAINER(at, struct weir_resolve_entry, link);
        e->wanted = e->awaited = false;
    }
    for (unsigned i = 0; i < v->provider_count; i++)
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++)
            if (!want(r, v->providers[i].endpoints[k].config) && rv == 0)
                rv = weir_err_set(err, WEIR_ENOMEM, "names of endpoints: out of memory");
    forget_unwanted(r);
    WEIR_LIST_EACH(at, &r->entries)
    {
        struct weir_resolve_entry *e = WEIR_CONTAINER(at, struct weir_resolve_entry, link);
        e->awaited = e->wanted && rv == 0;
        r->awaited += e->awaited;
    }
    WEIR_LIST_EACH_SAFE(at, &r->entries)
    {
        struct weir_resolve_entry *e = WEIR_CONTAINER(at, struct weir_resolve_entry, link);
        if (e->wanted)
            ask(e);
    }
    r->wanting = false;
    if (rv == 0)
        ready_if_all(r);
    return rv;
}

void weir_resolve_close(struct weir_resolve *r)
{
    if (r->reactor == NULL)
        return;
    weir_dns_close(&r->dns);
    WEIR_LIST_EACH_SAFE(at, &r->entries)
    drop_entry(WEIR_CONTAINER(at, struct weir_resolve_entry, link));
    weir_deadline_drop(&r->reactor->wheel, &r->tell);
    free(r->servers);
    r->servers = NULL;
}

/* -- into views -- */

static bool same_addresses(const struct weir_name *n, const struct weir_view_endpoint *e)
{
    if (n->count != e->address_count)
        return false;
    for (unsigned i = 0; i < n->count; i++)
        if (weir_addresses_find(weir_view_records(e), &n->at[i].addr) == NULL)
            return false;
    return true;
}

bool weir_resolve_differs(const struct weir_resolve *r, const struct weir_view *v)
{
    for (unsigned i = 0; i < v->provider_count; i++) {
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++) {
            const struct weir_view_endpoint *e = &v->providers[i].endpoints[k];
            const struct weir_resolve_entry *n = entry_of(r, e->config->id);
            if (n != NULL && n->name.count > 0 && !same_addresses(&n->name, e))
                return true;
        }
    }
    return false;
}

static int apply(struct weir_view *v, struct weir_view_endpoint *e, const struct weir_name *n)
{
    struct weir_addr addrs[WEIR_ADDRESSES_MAX];
    for (unsigned i = 0; i < n->count; i++)
        addrs[i] = n->at[i].addr;
    return weir_view_set_addresses(v, e, addrs, n->count);
}

int weir_resolve_apply(const struct weir_resolve *r, struct weir_view *v)
{
    for (unsigned i = 0; i < v->provider_count; i++) {
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++) {
            struct weir_view_endpoint *e = &v->providers[i].endpoints[k];
            const struct weir_resolve_entry *n = entry_of(r, e->config->id);
            if (n != NULL && n->name.count > 0 && apply(v, e, &n->name) != 0)
                return WEIR_ENOMEM;
        }
    }
    return 0;
}
