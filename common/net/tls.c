/* The life of a TLS stream, and what it tells. The handshake is in tls_handshake.c, the records are in tls_stream.c. */
#include <assert.h>
#include <mbedtls/net_sockets.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_inner.h"

static struct weir_tls *tls_of(const struct weir_stream *s)
{
    return WEIR_CONTAINER(s, struct weir_tls, base);
}

/* -- life -- */

static void on_under_event(struct weir_stream *under)
{
    struct weir_tls *t = under->owner;
    if (t->state == TLS_SHAKING) {
        weir_tls_handshake_advance(t);
    } else if (t->state == TLS_OPEN) {
        t->base.source.ran = under->source.ran;
        t->refills_left = WEIR_TLS_REFILLS;
        weir_tls_sync(t);
        if (t->base.event != NULL)
            t->base.event(&t->base);
    }
}

static void run_tls(struct weir_source *src)
{
    struct weir_tls *t = WEIR_CONTAINER(src, struct weir_tls, base.source);
    if (t->state == TLS_SHAKING) {
        weir_tls_handshake_advance(t);
    } else if (t->state == TLS_OPEN) {
        t->refills_left = WEIR_TLS_REFILLS;
        weir_tls_sync(t);
        if (t->base.event != NULL)
            t->base.event(&t->base);
    }
}

static void on_under_started(struct weir_stream *under, int code, const struct weir_err *err)
{
    struct weir_tls *t = under->owner;
    t->base.source.fd = under->source.fd;
    t->started_under = true;
    if (code != WEIR_OK) {
        t->state = TLS_FAILED;
        t->base.started(&t->base, code, err);
        return;
    }
    t->state = TLS_SHAKING;
    weir_tls_handshake_advance(t);
}

static void tls_start(struct weir_stream *s)
{
    struct weir_tls *t = tls_of(s);
    assert(t->state == TLS_NEW);
    t->hs->begun_us = weir_clock_us();
    t->under->owner = t;
    t->under->event = on_under_event;
    if (t->started_under) {
        t->state = TLS_SHAKING;
        weir_stream_again(s);
    } else {
        t->state = TLS_STARTING;
        weir_stream_start(t->under, on_under_started);
    }
}

static void tls_detach(struct weir_stream *s)
{
    struct weir_tls *t = tls_of(s);
    assert(t->state == TLS_NEW || t->state == TLS_OPEN);
    assert(t->held == 0);
    weir_list_remove(&s->source.queued);
    weir_stream_detach(t->under);
}

static int tls_attach(struct weir_stream *s, struct weir_reactor *r)
{
    struct weir_tls *t = tls_of(s);
    int rv = weir_stream_attach(t->under, r, on_under_event, t);
    if (rv == WEIR_OK && weir_tls_pending(s) > 0)
        weir_poller_again(&r->poller, &s->source);
    return rv;
}

static void notify_end(struct weir_tls *t)
{
    if (t->state != TLS_OPEN || t->notified || t->held > 0 || t->ssl_error != 0)
        return;
    t->notified = true;
    (void)mbedtls_ssl_close_notify(&t->ssl);
}

void weir_tls_destroy(struct weir_tls *t)
{
    weir_list_remove(&t->base.source.queued);
    weir_tls_handshake_free(&t->hs);
    mbedtls_ssl_free(&t->ssl);
    weir_tls_drop_input(t);
    free(t->host);
    weir_tls_sessions_unref(&t->sessions);
    weir_tls_config_unref(&t->config);
    free(t);
}

static void free_ssl(struct weir_crypto_job *job)
{
    mbedtls_ssl_free(&WEIR_CONTAINER(job, struct weir_tls, job)->ssl);
}

static void on_ssl_freed(struct weir_message *m, void *receiver)
{
    (void)receiver;
    weir_tls_destroy(WEIR_CONTAINER(m, struct weir_tls, job.done));
}

/* mbedTLS's part was allocated by a thread of the pool and is freed by one: in here, its 33 KB would be wiped, and now
 * and then the allocator's lock waited for, which a thread of the pool holds that has been put aside in our favour. */
static void end(struct weir_tls *t)
{
    bool set_up = t->hs == NULL || t->hs->set_up;
    if (set_up && t->base.reactor != NULL) {
        t->job.run = free_ssl;
        t->job.done.handle = on_ssl_freed;
        t->job.mailbox = &t->base.reactor->mailbox;
        if (weir_crypto_pool_submit(t->pool, &t->job, true) == WEIR_OK)
            return;
    }
    weir_tls_destroy(t);
}

static void tls_close(struct weir_stream *s, bool reset)
{
    struct weir_tls *t = tls_of(s);
    /* A reset would overtake the alert that tells the peer why. */
    bool abort_under = reset && t->why == WEIR_TLS_FAIL_NONE;
    if (!reset && s->reactor != NULL)
        notify_end(t);
    weir_stream_close(&t->under, abort_under);
    weir_list_remove(&s->source.queued);
    if (t->job_runs && !weir_crypto_pool_cancel(t->pool, &t->job))
        return; /* it is freed when its job comes back */
    end(t);
}

static void tls_finish(struct weir_stream *s)
{
    struct weir_tls *t = tls_of(s);
    notify_end(t);
    weir_stream_finish(t->under);
}

static const struct weir_stream_ops TLS_OPS = {
    .start = tls_start,
    .read = weir_tls_read,
    .writev = weir_tls_writev,
    .pending = weir_tls_pending,
    .detach = tls_detach,
    .attach = tls_attach,
    .close = tls_close,
    .finish = tls_finish,
    .disturbed = weir_tls_disturbed,
};

int weir_tls_wrap(struct weir_stream **out, struct weir_stream *under, const struct weir_tls_opts *opts)
{
    *out = NULL;
    assert(opts->early_len <= WEIR_TLS_EARLY_MAX && (opts->early_len == 0 || opts->started));
    if (opts->host != NULL && strlen(opts->host) > MBEDTLS_SSL_MAX_HOST_NAME_LEN)
        return WEIR_EINVAL;
    struct weir_tls *t = calloc(1, sizeof *t);
    if (t == NULL)
        return WEIR_ENOMEM;
    mbedtls_ssl_init(&t->ssl);
    weir_list_init(&t->job.queued);
    weir_source_init(&t->base.source, under->source.fd, run_tls);
    t->hs = weir_tls_handshake_new(t);
    t->host = opts->host != NULL ? strdup(opts->host) : NULL;
    if (opts->early_len > 0)
        t->in = malloc(WEIR_TLS_IN_BYTES);
    t->config = weir_tls_config_ref(opts->config);
    if (t->hs == NULL || (opts->host != NULL && t->host == NULL) || (opts->early_len > 0 && t->in == NULL)) {
        weir_tls_destroy(t);
        return WEIR_ENOMEM;
    }
    if (opts->early_len > 0)
        memcpy(t->in, opts->early, opts->early_len);
    t->in_len = opts->early_len;
    t->base.ops = &TLS_OPS;
    t->base.reactor = under->reactor;
    t->under = under;
    t->pool = opts->pool;
    t->stats = opts->stats;
    t->started_under = opts->started;
    if (opts->sessions != NULL && !opts->config->server)
        t->sessions = weir_tls_sessions_ref(opts->sessions);
    *out = &t->base;
    return WEIR_OK;
}

/* -- what it tells -- */

bool weir_tls_info(const struct weir_stream *s, struct weir_tls_info *info)
{
    const struct weir_tls *t = tls_of(s);
    if (s->ops != &TLS_OPS || t->state != TLS_OPEN)
        return false;
    *info = (struct weir_tls_info){
        .version = mbedtls_ssl_get_version(&t->ssl),
        .cipher = mbedtls_ssl_get_ciphersuite(&t->ssl),
        .alpn = mbedtls_ssl_get_alpn_protocol(&t->ssl),
        .resumed = t->resumed,
        .handshake_us = t->handshake_us,
    };
    return true;
}

bool weir_tls_agreed(const struct weir_stream *s, const char *protocol)
{
    struct weir_tls_info info;
    return weir_tls_info(s, &info) && info.alpn != NULL && strcmp(info.alpn, protocol) == 0;
}

enum weir_tls_fail weir_tls_failed(const struct weir_stream *s)
{
    return s->ops == &TLS_OPS ? (enum weir_tls_fail)tls_of(s)->why : WEIR_TLS_FAIL_NONE;
}

int weir_tls_read_error(const struct weir_stream *s, struct weir_err *err)
{
    const struct weir_tls *t = tls_of(s);
    char peer[300];
    if (s->ops != &TLS_OPS || t->ssl_error == 0)
        return weir_err_set(err, WEIR_EIO, "the connection failed");
    weir_tls_peer_text(t, peer, sizeof peer);
    if (t->ssl_error == MBEDTLS_ERR_SSL_CONN_EOF)
        return weir_err_set(err, WEIR_ECLOSED, "%s: the connection ended without close_notify", peer);
    (void)weir_tls_explain(t, t->ssl_error, 0, t->alert, err);
    return err->code;
}

/* mbedTLS's own share beside its two record buffers was measured with the tests of this module. */
#define MBEDTLS_STATE_BYTES ((size_t)4096)

size_t weir_tls_bytes(void)
{
    return sizeof(struct weir_tls) + MBEDTLS_SSL_IN_CONTENT_LEN + MBEDTLS_SSL_OUT_CONTENT_LEN + 2 * 320 +
           MBEDTLS_STATE_BYTES;
}
