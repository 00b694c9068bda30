#include "node/resolve.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/textbuf.h"

/* As many name servers as a file of the largest size can list. */
#define SERVERS_TEXT_MAX WEIR_CONFIG_FILE_BYTES_MAX

static void finish_if_all(struct weir_resolve *r)
{
    if (r->pending == 0 && !r->starting)
        r->done(r);
}

static void answered(void *owner, const struct weir_dns_answer *a)
{
    struct weir_resolve_entry *e = owner;
    struct weir_resolve *r = e->round;
    if (a->code == WEIR_ECLOSED)
        return; /* the node ends */
    e->answered = true;
    for (size_t i = 0; a->code == 0 && i < a->count && e->count < WEIR_ADDRESSES_MAX; i++)
        e->addresses[e->count++] = a->addrs[i];
    if (a->code != 0)
        snprintf(e->problem, sizeof e->problem, "%s", a->message != NULL ? a->message : weir_err_text(a->code));
    r->pending--;
    finish_if_all(r);
}

static unsigned count_endpoints(const struct weir_view *v)
{
    unsigned n = 0;
    for (unsigned i = 0; i < v->provider_count; i++)
        n += v->providers[i].endpoint_count;
    return n;
}

static const struct weir_resolve_entry *entry_of(const struct weir_resolve *r, const char *id)
{
    for (unsigned i = 0; i < r->count; i++)
        if (strcmp(r->entries[i].id, id) == 0)
            return &r->entries[i];
    return NULL;
}

static bool fill(struct weir_resolve *r, const struct weir_view *v)
{
    for (unsigned i = 0; i < v->provider_count; i++) {
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++) {
            const char *id = v->providers[i].endpoints[k].config->id;
            if (entry_of(r, id) != NULL)
                continue;
            r->entries[r->count] = (struct weir_resolve_entry){.id = strdup(id), .round = r};
            if (r->entries[r->count].id == NULL)
                return false;
            r->count++;
        }
    }
    return true;
}

static const struct weir_config_endpoint *config_of(const struct weir_view *v, const char *id)
{
    for (unsigned i = 0; i < v->provider_count; i++)
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++)
            if (strcmp(v->providers[i].endpoints[k].config->id, id) == 0)
                return v->providers[i].endpoints[k].config;
    return NULL;
}

/* No query is under way between rounds, which is when the resolver takes other servers. */
bool weir_resolve_use_servers(struct weir_dns *dns, const struct weir_config_texts *servers)
{
    struct weir_textbuf list;
    struct weir_err err;
    if (servers->count == 0)
        return true;
    weir_textbuf_init(&list, SERVERS_TEXT_MAX);
    for (size_t i = 0; i < servers->count; i++)
        weir_textbuf_printf(&list, "%s%s", i > 0 ? "," : "", servers->at[i]);
    weir_textbuf_char(&list, '\0');
    bool ok = !list.failed && weir_dns_set_servers(dns, list.ptr, &err) == WEIR_OK;
    weir_textbuf_close(&list);
    return ok;
}

bool weir_resolve_start(struct weir_resolve *r, struct weir_dns *dns, const struct weir_view *v)
{
    unsigned n = count_endpoints(v);
    if (r->entries != NULL)
        return false;
    r->entries = calloc(n + 1, sizeof *r->entries);
    r->count = 0;
    if (r->entries == NULL || !fill(r, v) || !weir_resolve_use_servers(dns, &v->config->dns.servers)) {
        weir_resolve_clear(r);
        return false;
    }
    r->starting = true;
    r->pending = r->count;
    for (unsigned i = 0; i < r->count; i++) {
        const struct weir_config_endpoint *c = config_of(v, r->entries[i].id);
        weir_dns_resolve(dns, weir_str_of(c->host), c->port, WEIR_RESOLVE_TIMEOUT_MS, answered, &r->entries[i]);
    }
    r->starting = false;
    finish_if_all(r);
    return true;
}

static bool same_addresses(const struct weir_resolve_entry *n, const struct weir_view_endpoint *e)
{
    if (n->count != e->address_count)
        return false;
    for (unsigned i = 0; i < n->count; i++) {
        bool found = false;
        for (unsigned k = 0; k < e->address_count && !found; k++)
            found = weir_addr_eq(&n->addresses[i], &e->addresses[k]);
        if (!found)
            return false; /* resolvers rotate their answers: order is no difference */
    }
    return true;
}

bool weir_resolve_differs(const struct weir_resolve *r, const struct weir_view *v)
{
    for (unsigned i = 0; i < v->provider_count; i++) {
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++) {
            const struct weir_view_endpoint *e = &v->providers[i].endpoints[k];
            const struct weir_resolve_entry *n = entry_of(r, e->config->id);
            if (n != NULL && n->count > 0 && !same_addresses(n, e))
                return true;
        }
    }
    return false;
}

int weir_resolve_apply(const struct weir_resolve *r, struct weir_view *v)
{
    for (unsigned i = 0; i < v->provider_count; i++) {
        for (unsigned k = 0; k < v->providers[i].endpoint_count; k++) {
            struct weir_view_endpoint *e = &v->providers[i].endpoints[k];
            const struct weir_resolve_entry *n = entry_of(r, e->config->id);
            if (n != NULL && n->count > 0 && weir_view_set_addresses(v, e, n->addresses, n->count) != 0)
                return WEIR_ENOMEM;
        }
    }
    return 0;
}

void weir_resolve_clear(struct weir_resolve *r)
{
    for (unsigned i = 0; i < r->count; i++)
        free(r->entries[i].id);
    free(r->entries);
    r->entries = NULL;
    r->count = r->pending = 0;
}
