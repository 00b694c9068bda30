/* The coordinator's own pages over HTTP/1.1, on its one thread: small answers, few clients, each with a clock. */
#ifndef WEIR_COORDINATOR_PAGES_H
#define WEIR_COORDINATOR_PAGES_H

#include "core/textbuf.h"
#include "net/listener.h"

/* Probes and a scraper or two; whoever comes above this is turned away at once. */
#define WEIR_PAGES_CLIENTS_MAX 64u
/* For a request to come and its answer to be taken, and between requests. */
#define WEIR_PAGES_IDLE_MS 30000u
/* A page is a few KB. */
#define WEIR_PAGES_BYTES_MAX ((size_t)65536)

/* Fills in a page; returns its status, 0: there is none of that path. */
typedef unsigned (*weir_pages_render_cb)(void *owner, struct weir_str path, const char **content_type,
                                         struct weir_textbuf *out);

struct weir_pages {
    struct weir_reactor *reactor;
    struct weir_listener listener;
    struct weir_list clients;
    unsigned client_count;
    weir_pages_render_cb render;
    void *owner;
};

/* Listens on *addr, which is set to what was bound. Errors: those of weir_listen_open and weir_listener_start; nothing
 * is open then. */
WEIR_MUST_USE int weir_pages_open(struct weir_pages *p, struct weir_reactor *r, struct weir_addr *addr,
                                  weir_pages_render_cb render, void *owner, struct weir_err *err);
/* Ends every connection. Legal on one that was never opened (all zero). */
void weir_pages_close(struct weir_pages *p);

#endif
