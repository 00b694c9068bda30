#include "check_main.h"
#include "helper_tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Against OpenSSL's own client and server, as real peers. */
static struct {
    struct weir_reactor r;
    struct weir_crypto_pool *pool;
    struct weir_tls_sessions *sessions;
    struct tls_end e;
    pid_t pid;
    int in, out; /* the program's */
    char said[65536];
    size_t said_len;
} f;

static void setup(void)
{
    struct weir_err err;
    memset(&f, 0, sizeof f);
    f.in = f.out = -1;
    reactor_open(&f.r);
    f.sessions = weir_tls_sessions_new();
    ck_assert_int_eq(weir_crypto_pool_new(&f.pool, 1, &err), WEIR_OK);
}

static void end_program(void)
{
    if (f.in >= 0)
        close(f.in);
    if (f.out >= 0)
        close(f.out);
    f.in = f.out = -1;
    if (f.pid > 0) {
        kill(f.pid, SIGKILL);
        waitpid(f.pid, NULL, 0);
    }
    f.pid = 0;
}

static void close_end(void)
{
    weir_stream_close(&f.e.s, false);
    memset(&f.e, 0, sizeof f.e);
}

static void teardown(void)
{
    close_end();
    end_program();
    weir_crypto_pool_free(&f.pool);
    weir_reactor_close(&f.r);
    weir_tls_sessions_unref(&f.sessions);
}

static void run_openssl(const char *const *args)
{
    int in[2], out[2];
    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    f.pid = fork();
    ck_assert_int_ge(f.pid, 0);
    if (f.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        execvp("openssl", (char *const *)(uintptr_t)args);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    f.in = in[1];
    f.out = out[0];
    f.said_len = 0;
    fcntl(f.out, F_SETFL, O_NONBLOCK);
}

static bool has_said(const char *text)
{
    for (ssize_t n; f.said_len < sizeof f.said - 1; f.said_len += (size_t)n) {
        n = read(f.out, f.said + f.said_len, sizeof f.said - 1 - f.said_len);
        if (n <= 0)
            break;
    }
    f.said[f.said_len] = '\0';
    return strstr(f.said, text) != NULL;
}

/* Waits for what the program prints: the loop goes on meanwhile. */
static void await_text(const char *text)
{
    while (!has_said(text)) {
        ck_assert_msg(waitpid(f.pid, NULL, WNOHANG) == 0 || has_said(text), "%s in: %s", text, f.said);
        uv_run(&f.r.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static void type(const char *text)
{
    ck_assert_int_eq(write(f.in, text, strlen(text)), (ssize_t)strlen(text));
}

/* s_server on a port of its own choice; returns that. */
static int serve(const char *own, const char *version, const char *more, const char *more2)
{
    char cert[200], key[200], ca[200];
    snprintf(cert, sizeof cert, "%s", pki(own, "pem"));
    snprintf(key, sizeof key, "%s", pki(own, "key"));
    snprintf(ca, sizeof ca, "%s", pki("ca", "pem"));
    const char *args[] = {"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key,
                          "-CAfile", ca,         "-alpn",   "http/1.1",    version, more, more2,  NULL};
    run_openssl(args);
    await_text("ACCEPT 127.0.0.1:");
    return (int)strtol(strstr(f.said, "ACCEPT 127.0.0.1:") + 17, NULL, 10);
}

static void dial(struct weir_tls_config *config, int port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct weir_stream *under;
    struct weir_err err;
    struct weir_tls_opts opts = {.config = config, .pool = f.pool, .host = "good.test", .sessions = f.sessions};
    ck_assert_int_eq(weir_tcp_connect(&under, &f.r, (struct sockaddr *)&sa, sizeof sa, NULL, &err), WEIR_OK);
    ck_assert_int_eq(weir_tls_wrap(&f.e.s, under, &opts), WEIR_OK);
    f.e.s->owner = &f.e;
    f.e.s->event = tls_end_on_event;
    weir_stream_start(f.e.s, tls_end_on_started);
    RUN_UNTIL(&f.r, f.e.started > 0);
}

START_TEST(test_openssl_serves_us)
{
    static const char *const names[] = {"good", "rsa"};
    for (int i = 0; i < 4; i++) {
        bool max12 = i % 2 != 0;
        struct weir_tls_info info;
        struct weir_tls_config *c = client_config(NULL, NULL, false);
        int port = serve(names[i / 2], max12 ? "-tls1_2" : "-tls1_3", NULL, NULL);
        dial(c, port);
        ck_assert_msg(f.e.code == WEIR_OK, "%s", f.e.err.msg);
        ck_assert(weir_tls_info(f.e.s, &info));
        ck_assert_str_eq(info.version, max12 ? "TLSv1.2" : "TLSv1.3");
        ck_assert_str_eq(info.alpn, "http/1.1");
        tls_end_send(&f.e, "from weir\n");
        await_text("from weir");
        type("to weir\n");
        RUN_UNTIL(&f.r, f.e.got_len == 8);
        ck_assert_mem_eq(f.e.got, "to weir\n", 8);
        ck_assert_uint_gt(weir_tls_sessions_count(f.sessions), 0);
        close_end();
        dial(c, port);
        ck_assert_msg(f.e.code == WEIR_OK, "%s", f.e.err.msg);
        ck_assert(weir_tls_info(f.e.s, &info) && info.resumed);
        tls_end_send(&f.e, "resumed\n");
        await_text("resumed");
        close_end();
        end_program();
        weir_tls_config_unref(&c);
    }
}
END_TEST

/* Its q closes the socket without a word. */
START_TEST(test_openssl_cuts_the_connection)
{
    struct weir_tls_config *c = client_config(NULL, NULL, false);
    dial(c, serve("good", "-tls1_3", NULL, NULL));
    type("q\n");
    RUN_UNTIL(&f.r, f.e.ended);
    ck_assert_int_eq(f.e.end, WEIR_TLS_TRUNCATED);
    weir_tls_config_unref(&c);
}
END_TEST

START_TEST(test_key_update_ends_the_connection)
{
    struct weir_err err;
    struct weir_tls_config *c = client_config(NULL, NULL, false);
    dial(c, serve("good", "-tls1_3", NULL, NULL));
    tls_end_send(&f.e, "up\n");
    await_text("up");
    type("k\n");
    RUN_UNTIL(&f.r, f.e.ended);
    ck_assert_int_eq(f.e.end, WEIR_TLS_BROKEN);
    ck_assert_int_eq(weir_tls_read_error(f.e.s, &err), WEIR_ETLS);
    weir_tls_config_unref(&c);
}
END_TEST

START_TEST(test_renegotiation_is_not_done)
{
    struct weir_tls_config *c = client_config(NULL, NULL, false);
    dial(c, serve("good", "-tls1_2", NULL, NULL));
    tls_end_send(&f.e, "up\n");
    await_text("up");
    type("r\n");
    await_text("no renegotiation");
    weir_tls_config_unref(&c);
}
END_TEST

static void check_refused(const char *own, const char *version, const char *more, const char *more2,
                          enum weir_tls_fail why, const char *sentence)
{
    struct weir_tls_config *c = client_config(NULL, NULL, false);
    dial(c, serve(own, version, more, more2));
    ck_assert_int_eq(f.e.why, why);
    ck_assert_str_eq(f.e.err.msg, sentence);
    close_end();
    end_program();
    weir_tls_config_unref(&c);
}

START_TEST(test_openssl_servers_that_are_refused)
{
    for (int i = 0; i < 2; i++) {
        const char *version = i == 0 ? "-tls1_3" : "-tls1_2";
        check_refused("wrong-use", version, NULL, NULL, WEIR_TLS_FAIL_KEY_USAGE,
                      "tls with good.test: certificate refused: its key usage does not allow this use");
        check_refused("expired", version, NULL, NULL, WEIR_TLS_FAIL_EXPIRED,
                      "tls with good.test: certificate refused: it expired on 2021-01-01");
        check_refused("weak", version, "-cipher", "DEFAULT@SECLEVEL=0", WEIR_TLS_FAIL_WEAK,
                      "tls with good.test: certificate refused: the key is too weak (RSA 2048 or P-256 is the least)");
        check_refused("sha1", version, "-cipher", "DEFAULT@SECLEVEL=0", WEIR_TLS_FAIL_WEAK,
                      "tls with good.test: certificate refused: signed with a weak hash (SHA-256 is the least)");
    }
    check_refused("good", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", WEIR_TLS_FAIL_VERSION,
                  "tls with good.test: the peer refused: protocol version not supported (alert 70)");
}
END_TEST

/* TLS 1.3: a server judges the client's certificate when the client is open already. */
START_TEST(test_a_late_refusal_has_a_sentence)
{
    struct weir_err err;
    struct weir_tls_config *c = client_config(NULL, NULL, false);
    dial(c, serve("good", "-tls1_3", "-Verify", "1"));
    ck_assert_int_eq(f.e.code, WEIR_OK);
    RUN_UNTIL(&f.r, f.e.ended);
    ck_assert_int_eq(f.e.end, WEIR_TLS_BROKEN);
    ck_assert_int_eq(weir_tls_read_error(f.e.s, &err), WEIR_ETLS);
    ck_assert_str_eq(err.msg, "tls with good.test: the peer refused: certificate required (alert 116)");
    ck_assert_uint_eq(weir_tls_failed(f.e.s), WEIR_TLS_FAIL_ALERT);
    weir_tls_config_unref(&c);
}
END_TEST

START_TEST(test_openssl_takes_our_client_certificate)
{
    for (int i = 0; i < 2; i++) {
        struct weir_tls_config *c = client_config(NULL, "client", i != 0);
        dial(c, serve("good", i == 0 ? "-tls1_3" : "-tls1_2", "-Verify", "1"));
        ck_assert_msg(f.e.code == WEIR_OK, "%s", f.e.err.msg);
        tls_end_send(&f.e, "it is me\n");
        await_text("it is me");
        close_end();
        end_program();
        weir_tls_config_unref(&c);
    }
}
END_TEST

/* -- OpenSSL as a client of ours -- */

static int listen_here(char port[32])
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    snprintf(port, 32, "127.0.0.1:%u", ntohs(sa.sin_port));
    return fd;
}

static void serve_one(int listener, struct weir_tls_config *c)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
        usleep(1000);
    struct weir_tls_opts opts = {.config = c, .pool = f.pool};
    tls_end_start(&f.e, &f.r, fd, &opts);
    RUN_UNTIL(&f.r, f.e.started > 0);
}

START_TEST(test_we_serve_openssl)
{
    for (int i = 0; i < 4; i++) {
        char port[32], ca[200], session[220];
        bool max12 = i % 2 != 0;
        struct weir_tls_info info;
        struct weir_tls_config *c = server_config(i / 2 == 0 ? "good" : "rsa", false);
        int listener = listen_here(port);
        snprintf(ca, sizeof ca, "%s", pki("ca", "pem"));
        snprintf(session, sizeof session, "%s", pki("kept", "session"));
        const char *version = max12 ? "-tls1_2" : "-tls1_3";
        const char *first[] = {"openssl",
                               "s_client",
                               "-connect",
                               port,
                               "-CAfile",
                               ca,
                               "-verify_return_error",
                               "-servername",
                               "good.test",
                               "-verify_hostname",
                               "good.test",
                               "-alpn",
                               "h2,http/1.1",
                               version,
                               "-sess_out",
                               session,
                               NULL};
        run_openssl(first);
        serve_one(listener, c);
        ck_assert_msg(f.e.code == WEIR_OK, "%s", f.e.err.msg);
        ck_assert(weir_tls_info(f.e.s, &info));
        ck_assert_str_eq(info.version, max12 ? "TLSv1.2" : "TLSv1.3");
        ck_assert_str_eq(info.alpn, "h2");
        await_text("Verify return code: 0 (ok)");
        type("hello\n");
        RUN_UNTIL(&f.r, f.e.got_len == 6);
        tls_end_send(&f.e, "back\n");
        await_text("back");
        type("Q\n");
        RUN_UNTIL(&f.r, f.e.ended);
        ck_assert_int_eq(f.e.end, 0);
        close_end();
        end_program();
        first[14] = "-sess_in";
        run_openssl(first);
        serve_one(listener, c);
        ck_assert_msg(f.e.code == WEIR_OK, "%s", f.e.err.msg);
        ck_assert(weir_tls_info(f.e.s, &info) && info.resumed);
        await_text("Reused, TLSv1");
        close_end();
        end_program();
        close(listener);
        weir_tls_config_unref(&c);
    }
}
END_TEST

START_TEST(test_an_old_client_is_refused)
{
    char port[32];
    struct weir_tls_config *c = server_config("good", false);
    int listener = listen_here(port);
    const char *args[] = {"openssl", "s_client", "-connect", port, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", NULL};
    run_openssl(args);
    serve_one(listener, c);
    ck_assert_int_eq(f.e.why, WEIR_TLS_FAIL_VERSION);
    ck_assert_str_eq(f.e.err.msg, "tls with a client: no protocol version in common (TLS 1.2 is the least)");
    close_end();
    await_text("protocol version");
    close(listener);
    weir_tls_config_unref(&c);
}
END_TEST

START_TEST(test_a_client_that_renegotiates)
{
    char port[32];
    struct weir_tls_config *c = server_config("good", false);
    int listener = listen_here(port);
    const char *args[] = {"openssl", "s_client", "-connect", port, "-tls1_2", NULL};
    run_openssl(args);
    serve_one(listener, c);
    type("R\n");
    await_text("no renegotiation");
    close(listener);
    weir_tls_config_unref(&c);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_openssl_serves_us,
                                  test_openssl_cuts_the_connection,
                                  test_key_update_ends_the_connection,
                                  test_renegotiation_is_not_done,
                                  test_openssl_servers_that_are_refused,
                                  test_a_late_refusal_has_a_sentence,
                                  test_openssl_takes_our_client_certificate,
                                  test_we_serve_openssl,
                                  test_an_old_client_is_refused,
                                  test_a_client_that_renegotiates};
    pki_open();
    int rv = check_run("tls peers", setup, teardown, tests, sizeof tests / sizeof tests[0]);
    pki_close();
    return rv;
}
