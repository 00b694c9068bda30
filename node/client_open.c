/* From an accepted connection to HTTP: PROXY header, if the listener wants one; TLS, if there are certificates; else a
 * look at the first bytes, which tell HTTP/2 by its preface (RFC 9113 3.3). */
#include <stdlib.h>
#include <string.h>

#include "core/proxy_protocol.h"
#include "node/client_inner.h"
#include "node/node.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof preface - 1)
_Static_assert(WEIR_PROXY_HEADER_MAX >= PREFACE_LEN, "both are kept in the same place");
/* A first read takes in most requests whole. */
#define FIRST_READ_BYTES ((size_t)16384 - PREFACE_LEN)

static bool speaks_http2(const struct weir_client *c)
{
    return c->serves_peers || c->worker->hold->view->config->server.http2.enabled;
}

/* -- the first bytes -- */

static bool keep_bytes(struct weir_client *c, const uint8_t *p, size_t n)
{
    if (c->opening == NULL)
        c->opening = malloc(WEIR_PROXY_HEADER_MAX);
    if (c->opening == NULL || c->opening_len + n > WEIR_PROXY_HEADER_MAX)
        return false;
    memcpy(c->opening + c->opening_len, p, n);
    c->opening_len += n;
    return true;
}

static void wait_for_first(struct weir_client *c);

/* Tells HTTP/2 from HTTP/1.1 as soon as that can be told. */
static void begin_plain(struct weir_client *c, const uint8_t *p, size_t n)
{
    size_t seen = n < PREFACE_LEN ? n : PREFACE_LEN;
    bool like = speaks_http2(c) && (n == 0 || memcmp(p, preface, seen) == 0);
    if (!speaks_http2(c) || (n > 0 && !like) || seen == PREFACE_LEN) {
        free(c->opening);
        c->opening = NULL;
        if (c->serves_peers && !like)
            weir_client_end(c, true); /* peers speak HTTP/2, so it is none */
        else
            weir_client_run(c, like, p, n);
        return;
    }
    c->opening_len = 0;
    if (n > 0 && !keep_bytes(c, p, n)) {
        weir_client_end(c, true);
        return;
    }
    wait_for_first(c);
}

static void first_event(struct weir_stream *s)
{
    struct weir_client *c = s->owner;
    uint8_t *buffer = c->worker->reactor.read_buffer;
    weir_http_conn_reclaim(&c->worker->reactor);
    ssize_t n = weir_stream_read(s, buffer + PREFACE_LEN, FIRST_READ_BYTES);
    if (n == WEIR_STREAM_AGAIN)
        return;
    if (n <= 0) {
        weir_client_end(c, false);
        return;
    }
    /* What was kept is the beginning of a preface, and comes before. */
    uint8_t *bytes = buffer + PREFACE_LEN - c->opening_len;
    if (c->opening_len > 0)
        memcpy(bytes, c->opening, c->opening_len);
    begin_plain(c, bytes, (size_t)n + c->opening_len);
}

static void wait_for_first(struct weir_client *c)
{
    enum weir_client_phase phase = c->opening_len > 0 ? WEIR_CLIENT_OPENING : WEIR_CLIENT_IDLE;
    if (phase == WEIR_CLIENT_IDLE || c->phase != phase) /* a preface in pieces has one clock */
        weir_client_set_phase(c, phase);
    c->stream->event = first_event;
}

/* -- TLS -- */

static void begin_over_tls(struct weir_client *c, const struct weir_stream *s)
{
    bool http2 = weir_tls_agreed(s, "h2");
    if (c->serves_peers && !http2)
        weir_client_end(c, true);
    else
        weir_client_run(c, http2, NULL, 0);
}

static void shaken(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_client *c = s->owner;
    if (code == 0) {
        begin_over_tls(c, s);
        return;
    }
    weir_node_tell_handshake(c->worker->node, c->worker->log, c->worker->reactor.now_ms, weir_tls_failed(s), err->msg);
    weir_client_end(c, false); /* orderly: the alert says why */
}

/* The configuration in force decides whether clients speak TLS, and with which certificates. */
static void begin_transport(struct weir_client *c, const uint8_t *early, size_t early_len)
{
    const struct weir_tls_setup *setup = c->worker->hold->view->shared->tls;
    struct weir_stream *under = c->stream;
    struct weir_tls_config *config = setup == NULL ? NULL : c->serves_peers ? setup->peer_server : setup->server;
    if (config == NULL) {
        begin_plain(c, early, early_len);
        return;
    }
    struct weir_tls_opts opts = {.config = config,
                                 .pool = c->worker->node->crypto,
                                 .stats = &c->worker->node->tls_down,
                                 .started = true,
                                 .early = early,
                                 .early_len = early_len};
    if (weir_tls_wrap(&c->stream, under, &opts) != 0) {
        c->stream = under;
        weir_client_end(c, true);
        return;
    }
    c->secure = true;
    c->stream->owner = c;
    weir_client_set_phase(c, WEIR_CLIENT_OPENING);
    weir_stream_start(c->stream, shaken);
}

/* -- PROXY protocol -- */

static void refuse_proxy_header(struct weir_client *c)
{
    weir_node_add(c->worker->counters, WEIR_NC_BAD_PROXY, 1);
    weir_client_end(c, true);
}

static void proxy_event(struct weir_stream *s)
{
    struct weir_client *c = s->owner;
    uint8_t *buffer = c->worker->reactor.read_buffer;
    weir_http_conn_reclaim(&c->worker->reactor);
    /* What does not belong to the header any more is the client's first request: at most one full read of it. */
    ssize_t n = weir_stream_read(s, buffer + WEIR_PROXY_HEADER_MAX, WEIR_PROXY_HEADER_MAX);
    if (n == WEIR_STREAM_AGAIN)
        return;
    if (n <= 0) {
        weir_client_end(c, false);
        return;
    }
    const uint8_t *bytes = buffer + WEIR_PROXY_HEADER_MAX;
    size_t len = (size_t)n;
    if (c->opening_len > 0) {
        memmove(buffer + c->opening_len, bytes, len);
        memcpy(buffer, c->opening, c->opening_len);
        bytes = buffer;
        len += c->opening_len;
    }
    struct weir_proxy_header header;
    switch (weir_proxy_parse(&header, (struct weir_str){(const char *)bytes, len})) {
    case WEIR_PROXY_MORE:
        if (!keep_bytes(c, buffer + WEIR_PROXY_HEADER_MAX, (size_t)n))
            refuse_proxy_header(c);
        return;
    case WEIR_PROXY_OK:
        if (header.has_addrs)
            c->peer = header.source;
        free(c->opening);
        c->opening = NULL;
        c->opening_len = 0;
        begin_transport(c, bytes + header.len, len - header.len);
        return;
    default:
        refuse_proxy_header(c);
    }
}

/* -- the beginning -- */

static void started(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_client *c = s->owner;
    (void)err;
    if (code != 0) {
        weir_client_end(c, true);
        return;
    }
    if (c->proxy_protocol)
        weir_client_set_phase(c, WEIR_CLIENT_OPENING);
    else
        begin_transport(c, NULL, 0);
}

void weir_client_open(struct weir_client *c)
{
    c->stream->owner = c;
    c->stream->event = proxy_event;
    weir_stream_start(c->stream, started);
}
