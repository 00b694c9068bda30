/* The records of an open TLS stream: ciphertext in and out, plaintext to and from its owner. */
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

void weir_tls_drop_input(struct weir_tls *t)
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
        size_t cap = hs->out_cap == 0 ? WEIR_TLS_OUT_BYTES_FIRST : hs->out_cap;
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

/* What ended or broke stays so. 1: it may be read. */
static ssize_t end_of(const struct weir_tls *t)
{
    if (t->ended)
        return 0;
    switch (t->ssl_error) {
    case 0:
        return 1;
    case MBEDTLS_ERR_SSL_CONN_EOF:
        return WEIR_TLS_TRUNCATED;
    case MBEDTLS_ERR_NET_RECV_FAILED:
    case MBEDTLS_ERR_NET_SEND_FAILED:
        return t->io_error;
    default: /* an alert of ours that could not be sent does not hide the cause */
        return WEIR_TLS_BROKEN;
    }
}

/* A server of TLS 1.3 judges us when our handshake is done: what breaks the connection before anything has come is its
 * verdict. (mbedTLS's own servers send that alert under a key that makes it unreadable.) */
static void note_refusal(struct weir_tls *t)
{
    struct weir_err err;
    if (t->heard || t->config->server)
        return;
    t->why = (uint8_t)weir_tls_explain(t, t->ssl_error, 0, t->alert, &err);
    if (t->stats != NULL)
        atomic_fetch_add_explicit(&t->stats->failed[t->why], 1, memory_order_relaxed);
}

static ssize_t fail_open(struct weir_tls *t, int ret)
{
    t->ssl_error = ret;
    if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        t->alert = t->ssl.MBEDTLS_PRIVATE(in_msg)[1];
    ssize_t end = end_of(t);
    if (end == WEIR_TLS_BROKEN)
        note_refusal(t);
    return end;
}

/* Out of input. The buffer goes, so an idle connection has none; mbedTLS keeps the part of a record that came. */
static ssize_t wait_for_more(struct weir_tls *t)
{
    if (left_in(t) == 0)
        weir_tls_drop_input(t);
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
            t->heard = true;
            weir_tls_sync(t);
            if ((t->base.source.ready & WEIR_READY_IN) ==
                0) /* nobody may ask again: the reader knows that it has all */
                weir_tls_drop_input(t);
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

ssize_t weir_tls_read(struct weir_stream *s, void *buf, size_t len)
{
    struct weir_tls *t = tls_of(s);
    assert(t->state == TLS_OPEN && len > 0);
    ssize_t end = end_of(t);
    return end == 1 ? read_record(t, buf, len) : end;
}

size_t weir_tls_pending(const struct weir_stream *s)
{
    const struct weir_tls *t = tls_of(s);
    if (t->state != TLS_OPEN)
        return 0;
    return mbedtls_ssl_get_bytes_avail(&t->ssl) + left_in(t);
}

bool weir_tls_disturbed(struct weir_stream *s)
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
    return ret == MBEDTLS_ERR_NET_SEND_FAILED ? t->io_error : WEIR_TLS_BROKEN;
}

/* An alert of ours that did not get out goes first: else mbedTLS takes its bytes for those of the next record. */
static int flush_alert(struct weir_tls *t)
{
    if (t->held > 0 || t->ssl.MBEDTLS_PRIVATE(out_left) == 0)
        return 0;
    return mbedtls_ssl_write(&t->ssl, (const unsigned char *)"", 0);
}

ssize_t weir_tls_writev(struct weir_stream *s, const struct iovec *iov, int count)
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
