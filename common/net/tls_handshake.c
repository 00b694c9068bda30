/* The handshake of a TLS stream.
 *
 * The happy path: the reactor's thread has the first job run (a client's) or reads until a whole record is there (a
 * server's); the job runs mbedTLS on one of the pool's threads until it wants more input; its message comes back, what
 * it wrote is sent, and the next record is waited for; after the last job, and when all is sent, `started` is called.
 * While a job runs the pool owns mbedTLS's context, the input and this struct; edges that come meanwhile stay in the
 * `ready` of the stream below. A stream closed meanwhile is freed when its message arrives. */
#include <arpa/inet.h>
#include <assert.h>
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net/tls_inner.h"

#define RECORD_HEADER 5

void weir_tls_handshake_free(struct weir_tls_handshake **handshake)
{
    struct weir_tls_handshake *hs = *handshake;
    *handshake = NULL;
    if (hs == NULL)
        return;
    free(hs->out);
    free(hs);
}

/* -- on a thread of the pool -- */

static void load_session(struct weir_tls *t)
{
    uint8_t bytes[WEIR_TLS_SESSION_BYTES_MAX];
    mbedtls_ssl_session session;
    size_t len = weir_tls_sessions_take(t->sessions, t->config->id, bytes);
    if (len == 0)
        return;
    mbedtls_ssl_session_init(&session);
    /* One that does not fit any more is passed over: the handshake is then a full one. */
    if (mbedtls_ssl_session_load(&session, bytes, len) == 0)
        (void)mbedtls_ssl_set_session(&t->ssl, &session);
    mbedtls_ssl_session_free(&session);
    mbedtls_platform_zeroize(bytes, len);
}

/* An address is no name for SNI (RFC 6066); it is looked for in the certificate by weir_tls_judge. */
static int set_host(struct weir_tls *t)
{
    struct weir_tls_verdict *v = &t->hs->verdict;
    if (t->host == NULL)
        return mbedtls_ssl_set_hostname(&t->ssl, NULL);
    if (inet_pton(AF_INET, t->host, t->hs->ip) == 1)
        v->ip_len = 4;
    else if (inet_pton(AF_INET6, t->host, t->hs->ip) == 1)
        v->ip_len = 16;
    else
        return mbedtls_ssl_set_hostname(&t->ssl, t->host);
    v->ip = t->hs->ip;
    return mbedtls_ssl_set_hostname(&t->ssl, NULL);
}

static int set_up(struct weir_tls *t)
{
    if (t->hs->set_up)
        return 0;
    int ret = mbedtls_ssl_setup(&t->ssl, &t->config->ssl);
    if (ret != 0)
        return ret;
    t->hs->set_up = true;
    mbedtls_ssl_set_bio(&t->ssl, t, weir_tls_bio_send, weir_tls_bio_recv, NULL);
    if (t->config->verify)
        mbedtls_ssl_set_verify(&t->ssl, weir_tls_judge, &t->hs->verdict);
    if (t->config->server)
        return 0;
    ret = set_host(t);
    if (ret == 0 && t->sessions != NULL)
        load_session(t);
    return ret;
}

/* mbedTLS lets an optional certificate pass whatever is wrong with it; here one that is sent must be good. */
static int check_optional(struct weir_tls *t)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);
    flags &= (uint32_t) ~(MBEDTLS_X509_BADCERT_MISSING | MBEDTLS_X509_BADCERT_SKIP_VERIFY);
    if (flags == 0)
        return 0;
    (void)mbedtls_ssl_send_alert_message(&t->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL, MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
    return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}

/* mbedTLS has no call that tells a resumption; its steps do: only a full handshake comes past the certificates. */
static int take_steps(struct weir_tls *t)
{
    int ret = 0;
    while (ret == 0 && t->ssl.MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_HANDSHAKE_OVER) {
        int state = t->ssl.MBEDTLS_PRIVATE(state);
        if (state == MBEDTLS_SSL_SERVER_CERTIFICATE || state == MBEDTLS_SSL_CERTIFICATE_REQUEST)
            t->hs->certified = true;
        t->dry = false;
        do
            ret = mbedtls_ssl_handshake_step(&t->ssl);
        while (ret == MBEDTLS_ERR_SSL_WANT_READ && !t->dry);
        if (ret == 0 && state == MBEDTLS_SSL_CLIENT_CERTIFICATE &&
            t->config->client_certs == WEIR_TLS_CLIENT_CERTS_OPTIONAL)
            ret = check_optional(t);
    }
    return ret;
}

/* In TLS 1.3, PSA copies all the room that mbedTLS offers it for a public key, and with that touches the whole buffer
 * for a record to be sent. Small records need the first page of it: the others go back to the kernel until a large one
 * comes. Nothing is lost, since no record is in the buffer now. */
static void give_pages_back(struct weir_tls *t)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *from = t->ssl.MBEDTLS_PRIVATE(out_buf) + WEIR_TLS_OUT_BYTES_KEPT;
    unsigned char *to = t->ssl.MBEDTLS_PRIVATE(out_buf) + MBEDTLS_SSL_OUT_CONTENT_LEN;
    from += (page - (uintptr_t)from % page) % page;
    to -= (uintptr_t)to % page;
    assert(t->ssl.MBEDTLS_PRIVATE(out_left) == 0);
    if (from < to)
        (void)madvise(from, (size_t)(to - from), MADV_DONTNEED);
}

static void explain(struct weir_tls *t, int ret, const uint8_t first[2])
{
    struct weir_tls_handshake *hs = t->hs;
    char peer[300];
    bool text = !hs->spoke && first[0] >= 'A' && first[0] <= 'Z' && first[1] >= 'A' && first[1] <= 'Z';
    if (t->config->server ? text : ret == MBEDTLS_ERR_SSL_INVALID_RECORD && !hs->certified) {
        hs->why = WEIR_TLS_FAIL_NOT_TLS;
        weir_err_set(&hs->err, WEIR_ETLS, "%s: what it sends is not TLS (plain HTTP?)",
                     weir_tls_peer_text(t, peer, sizeof peer));
        return;
    }
    uint8_t alert = ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE ? t->ssl.MBEDTLS_PRIVATE(in_msg)[1] : 0;
    hs->why = weir_tls_explain(t, ret, hs->set_up ? mbedtls_ssl_get_verify_result(&t->ssl) : 0, alert, &hs->err);
}

static void run_job(struct weir_crypto_job *job)
{
    struct weir_tls *t = WEIR_CONTAINER(job, struct weir_tls, job);
    struct weir_tls_handshake *hs = t->hs;
    uint8_t first[2] = {0, 0};
    if (t->in_len - t->in_at >= sizeof first)
        memcpy(first, t->in + t->in_at, sizeof first);
    int ret = set_up(t);
    if (ret == 0)
        ret = take_steps(t);
    if (ret != 0 && ret != MBEDTLS_ERR_SSL_WANT_READ)
        explain(t, ret, first);
    else if (ret == 0 && mbedtls_ssl_get_version_number(&t->ssl) == MBEDTLS_SSL_VERSION_TLS1_3)
        give_pages_back(t);
    else if (ret == 0 && !t->config->server)
        weir_tls_keep_session(t); /* TLS 1.3 brings its tickets later */
    hs->result = ret;
    hs->spoke = true;
}

/* -- on the reactor's thread -- */

static void count(_Atomic uint64_t *n)
{
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

/* Sends what the job wrote. 0: all of it went; 1: the rest waits for an edge; else a negative errno. */
static int send_out(struct weir_tls *t)
{
    struct weir_tls_handshake *hs = t->hs;
    while (hs->out_at < hs->out_len) {
        struct iovec iov = {.iov_base = hs->out + hs->out_at, .iov_len = hs->out_len - hs->out_at};
        ssize_t n = weir_stream_writev(t->under, &iov, 1);
        if (n == WEIR_STREAM_AGAIN || n == 0)
            return 1;
        if (n < 0)
            return (int)n;
        hs->out_at += (size_t)n;
    }
    hs->out_at = hs->out_len = 0;
    return 0;
}

static void tell_failure(struct weir_tls *t, enum weir_tls_fail why, int code)
{
    struct weir_err err = t->hs->err;
    t->state = TLS_FAILED;
    t->why = (uint8_t)why;
    if (t->stats != NULL)
        count(&t->stats->failed[why]);
    t->base.started(&t->base, code, &err);
}

void weir_tls_handshake_fail(struct weir_tls *t, enum weir_tls_fail why, int code)
{
    char peer[300];
    const char *what = "the peer closed the connection during the handshake";
    if (why == WEIR_TLS_FAIL_OVERLOAD)
        what = "too many handshakes wait";
    else if (why == WEIR_TLS_FAIL_MEMORY)
        what = "out of memory";
    weir_err_set(&t->hs->err, code, "%s: %s", weir_tls_peer_text(t, peer, sizeof peer), what);
    tell_failure(t, why, code);
}

static void open_stream(struct weir_tls *t)
{
    t->state = TLS_OPEN;
    t->resumed = !t->hs->certified;
    t->handshake_us = weir_clock_us() - t->hs->begun_us;
    t->refills_left = WEIR_TLS_REFILLS;
    mbedtls_ssl_set_verify(&t->ssl, NULL, NULL); /* its verdict goes with the handshake */
    weir_tls_handshake_free(&t->hs);
    if (t->stats != NULL)
        count(t->resumed ? &t->stats->resumed : &t->stats->full);
    if (t->in_at == t->in_len)
        weir_tls_drop_input(t);
    weir_tls_sync(t);
    if ((t->base.source.ready & (WEIR_READY_IN | WEIR_READY_HUP)) != 0)
        weir_stream_again(&t->base);
    t->base.started(&t->base, WEIR_OK, NULL);
}

/* One record whole, or bytes that will never be one: a job for less would come back with nothing done. */
static bool has_record(const struct weir_tls *t)
{
    size_t n = t->in_len - t->in_at;
    if (n == 0)
        return false;
    const uint8_t *p = t->in + t->in_at;
    if (p[0] < MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC || p[0] > MBEDTLS_SSL_MSG_APPLICATION_DATA)
        return n >= 2 || t->under_ended;
    if (n < RECORD_HEADER)
        return false;
    size_t len = RECORD_HEADER + ((size_t)p[3] << 8 | p[4]);
    return n >= len || len > WEIR_TLS_IN_BYTES;
}

static void on_done(struct weir_message *m, void *receiver)
{
    struct weir_tls *t = WEIR_CONTAINER(m, struct weir_tls, job.done);
    (void)receiver;
    t->job_runs = false;
    if (t->under == NULL) /* closed meanwhile */
        weir_tls_destroy(t);
    else
        weir_tls_handshake_advance(t);
}

struct weir_tls_handshake *weir_tls_handshake_new(struct weir_tls *t)
{
    struct weir_tls_handshake *hs = calloc(1, sizeof *hs);
    if (hs == NULL)
        return NULL;
    hs->result = MBEDTLS_ERR_SSL_WANT_READ;
    t->job.done.handle = on_done;
    t->job.run = run_job;
    return hs;
}

/* The next job, if there is something for it to do. */
static void submit(struct weir_tls *t)
{
    struct weir_tls_handshake *hs = t->hs;
    bool urgent = !t->config->server || hs->spoke;
    /* Here, where it is freed: for the same reason as in `end` (tls.c). Not had: the job tries again. */
    if (hs->out == NULL && (hs->out = malloc(WEIR_TLS_OUT_BYTES_FIRST)) != NULL)
        hs->out_cap = WEIR_TLS_OUT_BYTES_FIRST;
    t->job.mailbox = &t->base.reactor->mailbox;
    t->job_runs = true;
    if (weir_crypto_pool_submit(t->pool, &t->job, urgent) == WEIR_OK)
        return;
    t->job_runs = false;
    weir_tls_handshake_fail(t, WEIR_TLS_FAIL_OVERLOAD, WEIR_ELIMIT);
}

static void receive(struct weir_tls *t)
{
    ssize_t n = 1;
    while (n > 0 && !has_record(t) && !t->under_ended &&
           ((t->under->source.ready & WEIR_READY_IN) != 0 || weir_stream_pending(t->under) > 0))
        n = weir_tls_refill(t);
    if (n == -ENOMEM)
        weir_tls_handshake_fail(t, WEIR_TLS_FAIL_MEMORY, WEIR_ENOMEM);
    else if (n < 0 && n != WEIR_STREAM_AGAIN)
        weir_tls_handshake_fail(t, WEIR_TLS_FAIL_CLOSED, WEIR_ECLOSED);
    else if (has_record(t))
        submit(t);
    else if (t->under_ended)
        weir_tls_handshake_fail(t, WEIR_TLS_FAIL_CLOSED, WEIR_ECLOSED);
}

void weir_tls_handshake_advance(struct weir_tls *t)
{
    struct weir_tls_handshake *hs = t->hs;
    if (t->job_runs)
        return;
    int sent = send_out(t);
    if (hs->result != 0 && hs->result != MBEDTLS_ERR_SSL_WANT_READ)
        tell_failure(t, hs->why, hs->err.code);
    else if (sent < 0)
        weir_tls_handshake_fail(t, WEIR_TLS_FAIL_CLOSED, WEIR_ECLOSED);
    else if (sent > 0)
        return;
    else if (hs->result == 0)
        open_stream(t);
    else if (!t->config->server && !hs->spoke)
        submit(t);
    else
        receive(t);
}
