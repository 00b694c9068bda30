#include "helper_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/weir-pki-XXXXXX";
bool tls_trickles;

static void run(const char *program, const char *arg, const char *last)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp(program, program, arg, last, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "%s failed\n", program);
        exit(EXIT_FAILURE);
    }
}

void pki_open(void)
{
    if (mkdtemp(folder) == NULL)
        exit(EXIT_FAILURE);
    run(WEIR_TESTS_DIR "/make-pki", folder, NULL);
}

void pki_close(void)
{
    run("rm", "-r", folder);
}

const char *pki(const char *name, const char *suffix)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s.%s", folder, name, suffix);
    return path;
}

void speak_at_most_12(struct weir_tls_config *c)
{
    mbedtls_ssl_conf_max_tls_version(&c->ssl, MBEDTLS_SSL_VERSION_TLS1_2);
}

static struct weir_tls_roots *load_roots(const char *name)
{
    struct weir_tls_roots *roots;
    struct weir_err err;
    ck_assert_msg(weir_tls_roots_load(&roots, pki(name, "pem"), &err) == WEIR_OK, "%s", err.msg);
    return roots;
}

struct weir_tls_config *client_config(const char *root, const char *own, bool max12)
{
    static const char *const alpn[] = {"h2", "http/1.1"};
    struct weir_tls_config *c;
    struct weir_err err;
    struct weir_tls_roots *roots = load_roots(root != NULL ? root : "ca");
    struct weir_tls_client_opts opts = {.roots = roots, .verify = true, .alpn = alpn, .alpn_count = 2};
    if (own != NULL)
        opts.own = (struct weir_tls_pair){pki(own, "pem"), pki(own, "key")};
    ck_assert_msg(weir_tls_config_client(&c, &opts, &err) == WEIR_OK, "%s", err.msg);
    weir_tls_roots_unref(&roots);
    if (max12)
        speak_at_most_12(c);
    return c;
}

struct weir_tls_config *server_config_asking(const char *own, enum weir_tls_client_certs ask, bool max12)
{
    static const char *const alpn[] = {"h2", "http/1.1"};
    struct weir_tls_config *c;
    struct weir_err err;
    struct weir_tls_roots *roots = load_roots("ca");
    struct weir_tls_pair pair = {pki(own, "pem"), pki(own, "key")};
    struct weir_tls_server_opts opts = {.pairs = &pair,
                                        .pair_count = 1,
                                        .client_roots = roots,
                                        .client_certs = ask,
                                        .alpn = alpn,
                                        .alpn_count = 2,
                                        .tickets = true};
    ck_assert_msg(weir_tls_config_server(&c, &opts, &err) == WEIR_OK, "%s", err.msg);
    weir_tls_roots_unref(&roots);
    if (max12)
        speak_at_most_12(c);
    return c;
}

struct weir_tls_config *server_config(const char *own, bool max12)
{
    return server_config_asking(own, WEIR_TLS_CLIENT_CERTS_OFF, max12);
}

static const struct weir_stream_ops *real_ops;

static ssize_t read_one(struct weir_stream *s, void *buf, size_t len)
{
    return real_ops->read(s, buf, len < 1 ? len : 1);
}

static ssize_t write_one(struct weir_stream *s, const struct iovec *iov, int count)
{
    (void)count;
    struct iovec one = {.iov_base = iov->iov_base, .iov_len = iov->iov_len < 1 ? iov->iov_len : 1};
    return real_ops->writev(s, &one, 1);
}

void trickle(struct weir_stream *under)
{
    static struct weir_stream_ops ops;
    if (real_ops == NULL) {
        real_ops = under->ops;
        ops = *real_ops;
        ops.read = read_one;
        ops.writev = write_one;
    }
    under->ops = &ops;
}

void tls_end_on_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct tls_end *e = s->owner;
    e->started++;
    e->code = code;
    e->why = weir_tls_failed(s);
    if (err != NULL)
        e->err = *err;
}

static void take(struct tls_end *e, const char *p, size_t n)
{
    size_t wrong = 0; /* one assertion for all: each tells Check's own process that it was passed */
    for (size_t i = 0; i < n; i++) {
        if (e->discard)
            wrong += (unsigned char)p[i] != (e->got_len + i) % 251;
        else
            e->got[(e->got_len + i) % sizeof e->got] = p[i];
    }
    ck_assert_uint_eq(wrong, 0);
    e->got_len += n;
}

void tls_end_on_event(struct weir_stream *s)
{
    struct tls_end *e = s->owner;
    char buf[3000];
    e->events++;
    while (!e->paused && !e->ended && ((s->source.ready & WEIR_READY_IN) != 0 || weir_stream_pending(s) > 0)) {
        ssize_t n = weir_stream_read(s, buf, sizeof buf);
        if (n == WEIR_STREAM_AGAIN)
            break;
        e->ended = n <= 0;
        e->end = n;
        if (n > 0)
            take(e, buf, (size_t)n);
    }
}

void tls_end_start(struct tls_end *e, struct weir_reactor *r, int fd, const struct weir_tls_opts *opts)
{
    struct weir_stream *under;
    ck_assert_int_eq(weir_tcp_adopt(&under, r, fd, NULL), WEIR_OK);
    if (tls_trickles)
        trickle(under);
    ck_assert_int_eq(weir_tls_wrap(&e->s, under, opts), WEIR_OK);
    e->s->owner = e;
    e->s->event = tls_end_on_event;
    weir_stream_start(e->s, tls_end_on_started);
    ck_assert_uint_eq(e->started, 0);
}

void tls_pair_start(struct tls_end *client, struct tls_end *server, struct weir_reactor *cr, struct weir_reactor *sr,
                    const struct weir_tls_opts *copts, const struct weir_tls_opts *sopts)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    tls_end_start(client, cr, fds[0], copts);
    tls_end_start(server, sr, fds[1], sopts);
}

void tls_end_send(struct tls_end *e, const char *text)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    ck_assert_int_eq(weir_stream_writev(e->s, &iov, 1), (ssize_t)strlen(text));
}
