/* The names of a view's endpoints, each asked again when its answer has run out (node/name.h). What is known outlasts
 * views: a name that fails keeps its addresses. Control's thread. */
#ifndef WEIR_NODE_RESOLVE_H
#define WEIR_NODE_RESOLVE_H

#include "net/dns.h"
#include "node/name.h"
#include "node/view.h"

/* One name: what resolvers take for granted as the longest wait for an answer. */
#define WEIR_RESOLVE_TIMEOUT_MS 5000u

struct weir_resolve;

struct weir_resolve_entry {
    struct weir_list link;
    struct weir_resolve *of;
    struct weir_deadline again;
    struct weir_name name;
    const char *id; /* the endpoint's: the port is of an address too */
    const char *host;
    uint16_t port;
    bool wanted;  /* else it goes as soon as its question is answered */
    bool asking;  /* a question is under way */
    bool awaited; /* it has not been answered since weir_resolve_want */
    uint64_t asked_us, took_us;
    char problem[WEIR_DNS_NAME_MAX + 128]; /* why it fails, while it does */
    char text[];                           /* id and host */
};

enum weir_resolve_event {
    WEIR_RESOLVE_ANSWERED, /* by a name server, which took took_us */
    WEIR_RESOLVE_FAILS,    /* from now on; `problem` says why */
    WEIR_RESOLVE_WORKS,    /* again */
};

/* What control is told. None of these may call weir_resolve_want or _close. */
struct weir_resolve_events {
    /* All names wanted have been asked for: perhaps from inside weir_resolve_want, once for each of its calls that has
     * not been overtaken by another one. */
    void (*ready)(struct weir_resolve *r);
    /* Some name's addresses may be others now; not before `ready`. */
    void (*changed)(struct weir_resolve *r);
    void (*entry)(struct weir_resolve *r, const struct weir_resolve_entry *e, enum weir_resolve_event event);
};

struct weir_resolve {
    const struct weir_resolve_events *events;
    void *owner;
    struct weir_reactor *reactor;
    struct weir_dns *dns;
    char *servers; /* that dns asks; "": the system's */
    struct weir_list entries;
    struct weir_deadline tell; /* names that change together are one change */
    uint64_t refresh_ms;
    unsigned awaited;
    bool wanting;
};

/* Has an idle resolver ask these; empty: as it is. False: out of memory, or not valid. */
bool weir_resolve_use_servers(struct weir_dns *dns, const struct weir_config_texts *servers);

void weir_resolve_init(struct weir_resolve *r, struct weir_reactor *reactor, const struct weir_resolve_events *events,
                       void *owner);
/* From now on the names of v, by its configuration's servers: all are asked at once, so that a reload is a way to have
 * that done. Not from inside an event. Errors: WEIR_ENOMEM, those of weir_dns_new and weir_dns_set_servers; it may then
 * be called again, and until then some names are not asked. */
int weir_resolve_want(struct weir_resolve *r, const struct weir_view *v, struct weir_err *err);
void weir_resolve_close(struct weir_resolve *r);

/* Whether a view built now would have other addresses than v; order is no difference. */
bool weir_resolve_differs(const struct weir_resolve *r, const struct weir_view *v);
/* Puts what is known into a view that is not published yet. Errors: WEIR_ENOMEM. */
int weir_resolve_apply(const struct weir_resolve *r, struct weir_view *v);

#endif
