/* Whatever comes where TLS is expected, on a real socket pair and with the real pool of threads. The first byte says
 * where: to a client or a server that shakes hands, or to either end once an honest handshake is done, as records. The
 * second one cuts the rest into pieces.
 *
 * What must hold: it ends, with one report; an end that shakes hands never opens on bytes that nobody signed, and one
 * that is open never gives out a byte of what was not sealed. */
#include <assert.h>
#include <fcntl.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tls.h"
#include "net/tls_inner.h"

enum { TO_CLIENT, TO_SERVER, RECORDS_TO_CLIENT, RECORDS_TO_SERVER, MODES };

#define TURNS_MAX   100000
#define PEM_MAX     4096
#define PIECES_MAX  16u
#define PATH_LENGTH 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
    struct weir_stream *s;
    unsigned reports;
    int code;
    size_t got;
    bool ended;
};

static struct weir_reactor reactor;
static struct weir_crypto_pool *pool;
static struct weir_tls_config *client, *server;

/* -- what both sides have -- */

static void save(char *path, const char *pem)
{
    int fd = mkstemp(path);
    assert(fd >= 0 && write(fd, pem, strlen(pem)) == (ssize_t)strlen(pem));
    close(fd);
}

/* A key, and a certificate that is signed with it. */
static void make_pair(char *cert_path, char *key_path)
{
    static unsigned char pem[PEM_MAX];
    unsigned char serial[] = {1};
    mbedtls_pk_context key;
    mbedtls_x509write_cert crt;
    mbedtls_pk_init(&key);
    mbedtls_x509write_crt_init(&crt);
    int rv = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (rv == 0)
        rv = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), weir_tls_random, NULL);
    if (rv == 0)
        rv = mbedtls_pk_write_key_pem(&key, pem, sizeof pem);
    assert(rv == 0);
    save(key_path, (char *)pem);
    mbedtls_x509write_crt_set_version(&crt, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&crt, &key);
    mbedtls_x509write_crt_set_issuer_key(&crt, &key);
    rv = mbedtls_x509write_crt_set_subject_name(&crt, "CN=localhost");
    if (rv == 0)
        rv = mbedtls_x509write_crt_set_issuer_name(&crt, "CN=localhost");
    if (rv == 0)
        rv = mbedtls_x509write_crt_set_validity(&crt, "20200101000000", "20991231235959");
    if (rv == 0)
        rv = mbedtls_x509write_crt_set_serial_raw(&crt, serial, sizeof serial);
    if (rv == 0)
        rv = mbedtls_x509write_crt_pem(&crt, pem, sizeof pem, weir_tls_random, NULL);
    assert(rv == 0);
    save(cert_path, (char *)pem);
    mbedtls_x509write_crt_free(&crt);
    mbedtls_pk_free(&key);
}

static void set_up(void)
{
    static const char *const alpn[] = {"h2", "http/1.1"};
    static char cert[PATH_LENGTH] = "/tmp/weir-fuzz-cert-XXXXXX", key[PATH_LENGTH] = "/tmp/weir-fuzz-key-XXXXXX";
    struct weir_err err;
    const struct weir_tls_client_opts client_opts = {.alpn = alpn, .alpn_count = 2};
    int rv = weir_reactor_init(&reactor, &err);
    if (rv == 0)
        rv = weir_crypto_pool_new(&pool, 1, &err);
    if (rv == 0)
        rv = weir_tls_config_client(&client, &client_opts, &err); /* which makes ready what keys are made with */
    assert(rv == 0);
    make_pair(cert, key);
    struct weir_tls_roots *roots = NULL;
    rv = weir_tls_roots_load(&roots, cert, &err);
    const struct weir_tls_pair pair = {cert, key};
    const struct weir_tls_server_opts server_opts = {.pairs = &pair,
                                                     .pair_count = 1,
                                                     .client_roots = roots,
                                                     .client_certs = WEIR_TLS_CLIENT_CERTS_OPTIONAL,
                                                     .alpn = alpn,
                                                     .alpn_count = 2};
    if (rv == 0)
        rv = weir_tls_config_server(&server, &server_opts, &err);
    assert(rv == 0);
    weir_tls_roots_unref(&roots);
    unlink(cert);
    unlink(key);
}

/* -- an end -- */

static void take(struct weir_stream *s)
{
    struct end *e = s->owner;
    char buffer[4096];
    while (!e->ended) {
        ssize_t n = weir_stream_read(s, buffer, sizeof buffer);
        if (n == WEIR_STREAM_AGAIN)
            return;
        e->ended = n <= 0;
        e->got += n > 0 ? (size_t)n : 0;
    }
}

static void reported(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct end *e = s->owner;
    e->reports++;
    e->code = code;
    assert(code == 0 || err->msg[0] != '\0');
}

static void begin(struct end *e, int fd, struct weir_tls_config *config)
{
    struct weir_stream *under;
    const struct weir_tls_opts opts = {.config = config, .pool = pool, .host = "localhost"};
    int rv = weir_tcp_adopt(&under, &reactor, fd, NULL);
    if (rv == 0)
        rv = weir_tls_wrap(&e->s, under, &opts);
    assert(rv == 0);
    e->s->owner = e;
    e->s->event = take;
    weir_stream_start(e->s, reported);
}

static void turn(void)
{
    uv_run(&reactor.loop, UV_RUN_NOWAIT);
}

/* -- one input -- */

/* In pieces, each after the end has looked at the one before. */
static void feed(int fd, const uint8_t *p, size_t n, unsigned pieces)
{
    for (unsigned i = 0; n > 0; i++) {
        size_t most = i + 1 < pieces ? n / (pieces - i) + 1 : n;
        ssize_t sent = send(fd, p, most < n ? most : n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
        turn();
    }
}

static void shaking(bool to_server, int fds[2], const uint8_t *p, size_t n, unsigned pieces)
{
    struct end e = {0};
    begin(&e, fds[0], to_server ? server : client);
    feed(fds[1], p, n, pieces);
    shutdown(fds[1], SHUT_WR);
    for (int i = 0; e.reports == 0; i++) {
        assert(i < TURNS_MAX);
        uv_run(&reactor.loop, UV_RUN_ONCE);
    }
    assert(e.reports == 1 && e.code != 0 && e.got == 0);
    assert(weir_tls_failed(e.s) != WEIR_TLS_FAIL_NONE);
    weir_stream_close(&e.s, true);
    close(fds[1]);
}

static void records(bool to_server, int fds[2], const uint8_t *p, size_t n, unsigned pieces)
{
    struct end ends[2] = {{0}, {0}};
    begin(&ends[0], fds[0], client);
    begin(&ends[1], fds[1], server);
    for (int i = 0; ends[0].reports == 0 || ends[1].reports == 0; i++) {
        assert(i < TURNS_MAX);
        uv_run(&reactor.loop, UV_RUN_ONCE);
    }
    assert(ends[0].code == 0 && ends[1].code == 0);
    struct end *victim = &ends[to_server];
    int fd = weir_stream_fd(ends[!to_server].s);
    feed(fd, p, n, pieces);
    shutdown(fd, SHUT_WR);
    for (int i = 0; !victim->ended; i++) {
        assert(i < TURNS_MAX);
        uv_run(&reactor.loop, UV_RUN_ONCE);
    }
    assert(victim->got == 0);
    weir_stream_close(&ends[0].s, true);
    weir_stream_close(&ends[1].s, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    if (server == NULL)
        set_up();
    if (size < 2)
        return 0;
    int rv = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
    assert(rv == 0);
    unsigned mode = data[0] % MODES, pieces = data[1] % PIECES_MAX + 1;
    if (mode == TO_CLIENT || mode == TO_SERVER)
        shaking(mode == TO_SERVER, fds, data + 2, size - 2, pieces);
    else
        records(mode == RECORDS_TO_SERVER, fds, data + 2, size - 2, pieces);
    for (int i = 0; i < 4; i++)
        turn(); /* what was closed goes */
    return 0;
}
