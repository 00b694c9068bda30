/* The records of an open TLS stream, and its life; the handshake is in tls_handshake.c. */
#include <arpa/inet.h>
#include <assert.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_inner.h"

static struct weir_tls *tls_of(const struct weir_stream *s)
{
    return WEIR_CONTAINER(s, struct weir_tls, base);
}

/* -- ciphertext -- */

ssize_t weir_tls_refill(struct weir_tls *t)
{
    if (t->in == NULL && (t->in = malloc(WEIR_TLS_IN_BYTES)) == NULL)
        return -ENOMEM;
    if (t->in_at > 0) {
        memmove(t->in, t->in + t->in_at, t->in_len - t->in_at);
        t->in_len -= t->in_at;
        t->in_at = 0;
    }
    ssize_t n = weir_stream_read(t->under, t->in + t->in_len, WEIR_TLS_IN_BYTES - t->in_len);
    if (n > 0)
        t->in_len += (size_t)n;
    else if (n == 0)
        t->under_ended = true;
    else if (n != WEIR_STREAM_AGAIN)
        t->io_error = (int)n;
    return n;
}

static void drop_in(struct weir_tls *t)
{
    free(t->in);
    t->in = NULL;
    t->in_at = t->in_len = 0;
}

static size_t left_in(const struct weir_tls *t)
{
    return t->in_len - t->in_at;
}

/* Open: more of the stream below, within the share of this event. Returns 0 when there are bytes in `in`. */
static int fetch(struct weir_tls *t)
{
    if (t->under_ended)
        return MBEDTLS_ERR_SSL_CONN_EOF;
    if ((t->under->source.ready & WEIR_READY_IN) == 0 && weir_stream_pending(t->under) == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (t->refills_left == 0) {
        t->starved = true;
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
    t->refills_left--;
    ssize_t n = weir_tls_refill(t);
    if (n > 0)
        return 0;
    if (n == 0)
        return MBEDTLS_ERR_SSL_CONN_EOF;
    if (n == -ENOMEM)
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    return n == WEIR_STREAM_AGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

int weir_tls_bio_recv(void *arg, unsigned char *buf, size_t len)
{
    struct weir_tls *t = arg;
    if (left_in(t) == 0) {
        int ret = t->hs == NULL ? fetch(t) : t->under_ended ? MBEDTLS_ERR_SSL_CONN_EOF : MBEDTLS_ERR_SSL_WANT_READ;
        t->dry = ret == MBEDTLS_ERR_SSL_WANT_READ;
        if (ret != 0)
            return ret;
    }
    size_t n = left_in(t) < len ? left_in(t) : len;
    memcpy(buf, t->in + t->in_at, n);
    t->in_at += n;
    return (int)n;
}

static int gather_out(struct weir_tls_handshake *hs, const unsigned char *buf, size_t len)
{
    if (hs->out_len + len > hs->out_cap) {
        size_t cap = hs->out_cap == 0 ? 4096 : hs->out_cap;
        while (cap < hs->out_len + len)
            cap *= 2;
        uint8_t *grown = cap <= WEIR_TLS_OUT_BYTES_MAX ? realloc(hs->out, cap) : NULL;
        if (grown == NULL)
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        hs->out = grown;
        hs->out_cap = cap;
    }
    memcpy(hs->out + hs->out_len, buf, len);
    hs->out_len += len;
    return (int)len;
}

int weir_tls_bio_send(void *arg, const unsigned char *buf, size_t len)
{
    struct weir_tls *t = arg;
    if (t->hs != NULL)
        return gather_out(t->hs, buf, len);
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    ssize_t n = weir_stream_writev(t->under, &iov, 1);
    if (n > 0)
        return (int)n;
    if (n == 0 || n == WEIR_STREAM_AGAIN)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    t->io_error = (int)n;
    return MBEDTLS_ERR_NET_SEND_FAILED;
}

void weir_tls_sync(struct weir_tls *t)
{
    uint8_t ready = t->under->source.ready;
    if (left_in(t) > 0 || t->starved)
        ready |= WEIR_READY_IN;
    t->base.source.ready = ready;
}

/* -- sessions -- */

void weir_tls_keep_session(struct weir_tls *t)
{
    mbedtls_ssl_session session;
    uint8_t bytes[WEIR_TLS_SESSION_BYTES_MAX];
    size_t len = 0;
    if (t->sessions == NULL)
        return;
    mbedtls_ssl_session_init(&session);
    if (mbedtls_ssl_get_session(&t->ssl, &session) == 0 &&
        mbedtls_ssl_session_save(&session, bytes, sizeof bytes, &len) == 0)
        weir_tls_sessions_put(t->sessions, t->config->id,
                              mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_3, bytes, len);
    mbedtls_ssl_session_free(&session);
    mbedtls_platform_zeroize(bytes, len);
}

/* -- reading -- */

static ssize_t fail_open(struct weir_tls *t, int ret)
{
    t->ssl_error = ret;
    if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        t->alert = t->ssl.MBEDTLS_PRIVATE(in_msg)[1];
    if (ret == MBEDTLS_ERR_SSL_CONN_EOF)
        return WEIR_TLS_TRUNCATED;
    return t->io_error != 0 ? t->io_error : WEIR_TLS_BROKEN;
}

/* What ended or broke stays so. 1: it may be read. */
static ssize_t end_of(const struct weir_tls *t)
{
    if (t->ended)
        return 0;
    if (t->ssl_error == MBEDTLS_ERR_SSL_CONN_EOF)
        return WEIR_TLS_TRUNCATED;
    if (t->ssl_error != 0)
        return t->io_error != 0 ? t->io_error : WEIR_TLS_BROKEN;
    return 1;
}

/* Out of input. The buffer goes, so an idle connection has none; mbedTLS keeps the part of a record that came. */
static ssize_t wait_for_more(struct weir_tls *t)
{
    if (left_in(t) == 0)
        drop_in(t);
    weir_tls_sync(t);
    if (t->starved) {
        t->starved = false;
        weir_stream_again(&t->base);
    }
    return WEIR_STREAM_AGAIN;
}

/* len 0: takes in what came, without plaintext; then 0 also means that there is some now. */
static ssize_t read_record(struct weir_tls *t, void *buf, size_t len)
{
    for (;;) {
        t->dry = false;
        int ret = mbedtls_ssl_read(&t->ssl, buf, len);
        if (ret > 0 || (ret == 0 && mbedtls_ssl_get_bytes_avail(&t->ssl) > 0)) {
            weir_tls_sync(t);
            return ret;
        }
        switch (ret) {
        case MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET:
            if (t->tickets < WEIR_TLS_TICKETS_MAX) {
                t->tickets++;
                weir_tls_keep_session(t);
            }
            break;
        case MBEDTLS_ERR_SSL_WANT_READ:
            if (t->dry)
                return wait_for_more(t);
            break; /* something other than data was taken in */
        case MBEDTLS_ERR_SSL_WANT_WRITE:
            return wait_for_more(t); /* an alert of ours is stuck: the edge of writability brings us back */
        case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
            t->ended = true;
            return 0;
        case 0:
            return fail_open(t, MBEDTLS_ERR_SSL_CONN_EOF);
        default:
            return fail_open(t, ret);
        }
    }
}

static ssize_t tls_read(struct weir_stream *s, void *buf, size_t len)
{
    struct weir_tls *t = tls_of(s);
    assert(t->state == TLS_OPEN && len > 0);
    ssize_t end = end_of(t);
    return end == 1 ? read_record(t, buf, len) : end;
}

static size_t tls_pending(const struct weir_stream *s)
{
    const struct weir_tls *t = tls_of(s);
    if (t->state != TLS_OPEN)
        return 0;
    return mbedtls_ssl_get_bytes_avail(&t->ssl) + left_in(t);
}

static bool tls_disturbed(struct weir_stream *s)
{
    struct weir_tls *t = tls_of(s);
    assert(t->state == TLS_OPEN);
    if ((t->under->source.ready & WEIR_READY_HUP) != 0 || end_of(t) != 1)
        return true;
    if (mbedtls_ssl_get_bytes_avail(&t->ssl) > 0)
        return true;
    if ((t->under->source.ready & WEIR_READY_IN) == 0 && left_in(t) == 0)
        return false;
    t->refills_left = WEIR_TLS_REFILLS;
    return read_record(t, NULL, 0) != WEIR_STREAM_AGAIN;
}

/* -- writing -- */

/* The next record's bytes in one piece: gathered when they lie in several. */
static const unsigned char *next_piece(const struct iovec *iov, int count, size_t skip, size_t len, uint8_t *scratch)
{
    int i = 0;
    for (; i < count && skip >= iov[i].iov_len; i++)
        skip -= iov[i].iov_len;
    assert(i < count);
    if (iov[i].iov_len - skip >= len)
        return (const unsigned char *)iov[i].iov_base + skip;
    for (size_t at = 0; at < len; i++, skip = 0) {
        assert(i < count);
        size_t n = iov[i].iov_len - skip < len - at ? iov[i].iov_len - skip : len - at;
        memcpy(scratch + at, (const char *)iov[i].iov_base + skip, n);
        at += n;
    }
    return scratch;
}

static ssize_t write_error(struct weir_tls *t, int ret)
{
    if (ret == MBEDTLS_ERR_SSL_WANT_WRITE || ret == MBEDTLS_ERR_SSL_WANT_READ)
        return WEIR_STREAM_AGAIN;
    return t->io_error != 0 ? t->io_error : WEIR_TLS_BROKEN;
}

/* An alert of ours that did not get out goes first: else mbedTLS takes its bytes for those of the next record. */
static int flush_alert(struct weir_tls *t)
{
    if (t->held > 0 || t->ssl.MBEDTLS_PRIVATE(out_left) == 0)
        return 0;
    return mbedtls_ssl_write(&t->ssl, (const unsigned char *)"", 0);
}

static ssize_t tls_writev(struct weir_stream *s, const struct iovec *iov, int count)
{
    struct weir_tls *t = tls_of(s);
    uint8_t scratch[MBEDTLS_SSL_OUT_CONTENT_LEN];
    size_t total = 0, done = 0;
    assert(t->state == TLS_OPEN);
    for (int i = 0; i < count; i++)
        total += iov[i].iov_len;
    assert(total >= t->held);
    if (t->notified)
        return -EPIPE;
    int ret = flush_alert(t);
    while (ret >= 0 && done < total) {
        size_t n = t->held > 0 ? t->held : total - done;
        if (n > sizeof scratch)
            n = sizeof scratch;
        ret = mbedtls_ssl_write(&t->ssl, next_piece(iov, count, done, n, scratch), n);
        if (ret > 0)
            done += (size_t)ret;
        t->held = ret == MBEDTLS_ERR_SSL_WANT_WRITE ? n : 0;
    }
    weir_tls_sync(t);
    if (done > 0 || ret >= 0)
        return (ssize_t)done;
    return write_error(t, ret);
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
    if (rv == WEIR_OK && tls_pending(s) > 0)
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
    drop_in(t);
    free(t->host);
    weir_tls_sessions_unref(&t->sessions);
    weir_tls_config_unref(&t->config);
    free(t);
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
    if (t->job_runs && !weir_crypto_pool_cancel(t->pool, &t->hs->job))
        return; /* it is freed when its job comes back */
    weir_tls_destroy(t);
}

static void tls_finish(struct weir_stream *s)
{
    struct weir_tls *t = tls_of(s);
    notify_end(t);
    weir_stream_finish(t->under);
}

static const struct weir_stream_ops TLS_OPS = {
    .start = tls_start,
    .read = tls_read,
    .writev = tls_writev,
    .pending = tls_pending,
    .detach = tls_detach,
    .attach = tls_attach,
    .close = tls_close,
    .finish = tls_finish,
    .disturbed = tls_disturbed,
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
