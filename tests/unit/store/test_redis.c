/* The link against real servers, each test with every one that is installed. */
#include "store/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check_main.h"
#include "helper_link.h"

static const struct weir_redis_script echo = {
    .name = "echo",
    .body = "return {KEYS[1], ARGV[1]}",
    .len = 25,
    .sha1 = "d006f1a90249474274c76f5be725b8f5804a346b",
};

static void check_calls(void)
{
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    ck_assert_str_eq(LINK_ASK("SET", "a", "1"), "OK ");
    ck_assert_str_eq(LINK_ASK("INCR", "a"), "2 ");
    ck_assert_str_eq(LINK_ASK("MGET", "a", "b"), "2  ");
    ck_assert_str_eq(LINK_ASK("CLIENT", "GETNAME"), "weir-test ");
    ck_assert_ptr_nonnull(strstr(LINK_ASK("CLIENT", "INFO"), " db=3 "));
    ck_assert_ptr_nonnull(strstr(LINK_ASK("NONSENSE"), "ERR unknown command"));
    ck_assert_str_eq(LINK_ASK("PUBLISH", "two", "hello"), "1 ");
    RUN_UNTIL(&f.r, f.messages == 1);
    ck_assert_str_eq(f.message, "two hello");
    ck_assert_uint_eq(f.downs, 0);
}

START_TEST(test_calls)
{
    link_each_server(check_calls, NULL);
}
END_TEST

static void check_script(void)
{
    struct weir_str key = WEIR_STR("k"), arg = WEIR_STR("v");
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1);
    for (unsigned i = 1; i <= 2; i++) {
        ck_assert_int_eq(weir_redis_link_eval(f.link, &echo, &key, 1, &arg, 1, 0, link_answered, &f), 0);
        RUN_UNTIL(&f.r, f.answers == i);
        ck_assert_str_eq(f.last, "k v ");
    }
    struct weir_redis_stats stats;
    weir_redis_link_stats(f.link, &stats);
    ck_assert_uint_eq(stats.errors, 1); /* NOSCRIPT, the first time only */
}

START_TEST(test_script)
{
    link_each_server(check_script, NULL);
}
END_TEST

/* -- ways to be reached -- */

static void check_unix(void)
{
    char url[256];
    snprintf(url, sizeof url, "unix:%s?db=5", f.server.socket);
    link_open(url);
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    ck_assert_ptr_nonnull(strstr(LINK_ASK("CLIENT", "INFO"), " db=5 "));
    snprintf(url, sizeof url, "unix:%s", f.server.socket);
    ck_assert_str_eq(weir_redis_link_server(f.link), url);
}

START_TEST(test_unix_socket)
{
    link_each_server(check_unix, NULL);
}
END_TEST

static void check_name(void)
{
    char url[64];
    snprintf(url, sizeof url, "redis://localhost:%u", f.server.port);
    link_open(url);
    RUN_UNTIL(&f.r, f.ups == 1);
    ck_assert_str_eq(LINK_ASK("PING"), "PONG ");
}

START_TEST(test_host_name)
{
    link_each_server(check_name, NULL);
}
END_TEST

static void open_as(const char *credentials)
{
    char url[256];
    snprintf(url, sizeof url, "redis://%s@127.0.0.1:%u", credentials, f.server.port);
    link_open(url);
}

/* A user that may do little: neither name itself nor ask for the role. */
static void check_user(void)
{
    open_as("weir:s%65cret");
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    ck_assert_str_eq(LINK_ASK("SET", "weir:a", "1"), "OK ");
    ck_assert_ptr_nonnull(strstr(LINK_ASK("SET", "other", "1"), "NOPERM"));
    ck_assert(weir_redis_link_is_up(f.link));
    weir_redis_link_close(&f.link);

    open_as("weir:another");
    RUN_UNTIL(&f.r, f.downs == 1);
    ck_assert_ptr_nonnull(strstr(f.why, "the server refuses the credentials: WRONGPASS"));
    ck_assert_ptr_null(strstr(f.why, "another"));
}

START_TEST(test_user)
{
    const char *args[] = {"--user", "weir", "on", ">secret", "~weir:*", "&*", "+set", "+ping", "+subscribe", NULL};
    link_each_server(check_user, args);
}
END_TEST

static void check_password(void)
{
    open_as(":secret");
    RUN_UNTIL(&f.r, f.ups == 1);
    ck_assert_str_eq(LINK_ASK("PING"), "PONG ");
    weir_redis_link_close(&f.link);
    link_open_to_server(); /* without one */
    RUN_UNTIL(&f.r, f.downs == 1);
    ck_assert_ptr_nonnull(strstr(f.why, "NOAUTH"));
}

START_TEST(test_password)
{
    const char *args[] = {"--requirepass", "secret", NULL};
    link_each_server(check_password, args);
}
END_TEST

/* -- TLS -- */

static char pki[64];

static void run_script(const char *program, const char *arg, const char *last)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execlp(program, program, arg, last, (char *)NULL);
        _exit(127);
    }
    ck_assert(waitpid(pid, &status, 0) == pid && status == 0);
}

static const char *pki_file(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", pki, name);
    return path;
}

static struct weir_tls_config *trust(const char *authority)
{
    struct weir_tls_roots *roots;
    struct weir_tls_config *config;
    struct weir_err err;
    ck_assert_msg(weir_tls_roots_load(&roots, pki_file(authority), &err) == 0, "%s", err.msg);
    struct weir_tls_client_opts opts = {.roots = roots, .verify = true};
    ck_assert_msg(weir_tls_config_client(&config, &opts, &err) == 0, "%s", err.msg);
    weir_tls_roots_unref(&roots);
    return config;
}

static void open_secure(struct weir_tls_config *config, struct weir_crypto_pool *crypto, const char *host)
{
    char url[64];
    f.opts.tls = config;
    f.opts.crypto = crypto;
    snprintf(url, sizeof url, "rediss://%s:%u", host, f.server.tls_port);
    link_open(url);
}

static void check_secure(struct weir_tls_config *good, struct weir_tls_config *bad, struct weir_crypto_pool *crypto)
{
    open_secure(good, crypto, "localhost");
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    ck_assert_str_eq(LINK_ASK("SET", "a", "1"), "OK ");
    ck_assert_str_eq(LINK_ASK("PUBLISH", "one", "x"), "1 ");
    RUN_UNTIL(&f.r, f.messages == 1);
    weir_redis_link_close(&f.link);

    open_secure(bad, crypto, "localhost");
    RUN_UNTIL(&f.r, f.downs == 1);
    ck_assert_msg(strstr(f.why, "not trusted") != NULL, "%s", f.why);
    weir_redis_link_close(&f.link);

    f.opts.tls_name = "other.test"; /* which its certificate does not prove */
    open_secure(good, crypto, "localhost");
    RUN_UNTIL(&f.r, f.downs == 2);
    ck_assert_msg(strstr(f.why, "other.test") != NULL, "%s", f.why);
    weir_redis_link_close(&f.link);
}

START_TEST(test_tls)
{
    struct weir_crypto_pool *crypto;
    struct weir_err err;
    snprintf(pki, sizeof pki, "/tmp/weir-pki-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(pki));
    run_script(WEIR_TESTS_DIR "/make-pki", pki, NULL);
    ck_assert_int_eq(weir_crypto_pool_new(&crypto, 1, &err), 0);
    struct weir_tls_config *good = trust("ca.pem"), *bad = trust("other-ca.pem");
    const char *args[] = {"--tls-cert-file",
                          pki_file("good.pem"),
                          "--tls-key-file",
                          pki_file("good.key"),
                          "--tls-ca-cert-file",
                          pki_file("ca.pem"),
                          "--tls-auth-clients",
                          "no",
                          NULL};
    for (unsigned i = 0; server_program(i) != NULL; i++) {
        server_start_tls(&f.server, server_program(i), args);
        check_secure(good, bad, crypto);
        link_close();
    }
    weir_crypto_pool_free(&crypto);
    weir_tls_config_unref(&good);
    weir_tls_config_unref(&bad);
    run_script("rm", "-r", pki);
}
END_TEST

/* -- servers that go away, and come back -- */

static void check_killed(void)
{
    struct weir_str key = WEIR_STR("k");
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    ck_assert_str_eq(LINK_ASK("SET", "a", "1"), "OK ");
    ck_assert_int_eq(LINK_SEND(0, "BLPOP", "nothing", "0"), 0);
    run_idle(&f.r);
    server_kill(&f.server);
    RUN_UNTIL(&f.r, f.downs == 1 && f.unsubscribed == 1);
    ck_assert_uint_eq(f.answers, 2); /* the BLPOP */
    ck_assert_int_eq(f.code, WEIR_ECLOSED);
    ck_assert_int_eq(LINK_SEND(0, "PING"), WEIR_ECLOSED);
    ck_assert_int_eq(weir_redis_link_eval(f.link, &echo, &key, 1, NULL, 0, 0, link_answered, &f), WEIR_ECLOSED);
    struct weir_redis_stats stats;
    weir_redis_link_stats(f.link, &stats);
    ck_assert_uint_eq(stats.losses, 1);
    ck_assert_uint_eq(stats.refused, 2);

    server_start_again(&f.server);
    RUN_UNTIL(&f.r, f.ups == 2 && f.subscribed == 2);
    ck_assert_str_eq(LINK_ASK("GET", "a"), " "); /* it came back empty */
    ck_assert_uint_eq(f.downs, 1);
    ck_assert_uint_eq(f.unsubscribed, 1);
}

START_TEST(test_server_is_killed)
{
    link_each_server(check_killed, NULL);
}
END_TEST

static void check_frozen(void)
{
    f.opts.timeout_ms = 100;
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    server_freeze(&f.server, true);
    ck_assert_int_eq(LINK_SEND(0, "PING"), 0);
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert_int_eq(f.code, WEIR_ETIMEOUT);
    RUN_UNTIL(&f.r, f.downs == 1 && f.unsubscribed == 1); /* each noticed its own silence */
    ck_assert_ptr_nonnull(strstr(f.why, "silent for"));
    server_freeze(&f.server, false);
    RUN_UNTIL(&f.r, f.ups == 2 && f.subscribed == 2);
    ck_assert_str_eq(LINK_ASK("PING"), "PONG ");
    ck_assert_uint_eq(f.answers, 2);
}

START_TEST(test_server_is_frozen)
{
    link_each_server(check_frozen, NULL);
}
END_TEST

static void check_demoted(void)
{
    char answer[256];
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1);
    server_ask(&f.server, "REPLICAOF 127.0.0.1 1", answer, sizeof answer);
    ck_assert_int_eq(LINK_SEND(0, "SET", "a", "1"), 0);
    RUN_UNTIL(&f.r, f.answers == 1);
    ck_assert_int_eq(f.code, WEIR_ECLOSED);
    ck_assert_uint_eq(f.downs, 1);
    ck_assert_ptr_nonnull(strstr(f.why, "READONLY"));
    struct weir_redis_stats stats;
    do { /* it is tried again, is a replica each time, and nobody is told twice */
        uv_run(&f.r.loop, UV_RUN_ONCE);
        weir_redis_link_stats(f.link, &stats);
    } while (stats.calls < 10);
    ck_assert_uint_eq(f.downs, 1);
    ck_assert_uint_eq(f.ups, 1);
    server_ask(&f.server, "REPLICAOF NO ONE", answer, sizeof answer);
    RUN_UNTIL(&f.r, f.ups == 2);
    ck_assert_str_eq(LINK_ASK("SET", "a", "1"), "OK ");
}

START_TEST(test_server_is_demoted)
{
    link_each_server(check_demoted, NULL);
}
END_TEST

/* A full server refuses writes, and says so to whoever asks; it is not away. */
static void check_full(void)
{
    struct weir_redis_script write = {"write", "return redis.call('SET', KEYS[1], ARGV[1])", 42,
                                      "d8f2fad9f8e86a53d2a6ebd960b33c4972cacc37"};
    struct weir_str key = WEIR_STR("k"), value = WEIR_STR("v");
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1);
    ck_assert_str_eq(LINK_ASK("CONFIG", "SET", "maxmemory", "1"), "OK ");
    ck_assert_ptr_nonnull(strstr(LINK_ASK("SET", "a", "1"), "OOM"));
    unsigned before = f.answers;
    ck_assert_int_eq(weir_redis_link_eval(f.link, &write, &key, 1, &value, 1, 0, link_answered, &f), 0);
    RUN_UNTIL(&f.r, f.answers > before);
    ck_assert_ptr_nonnull(strstr(f.last, "OOM"));
    ck_assert_uint_eq(f.downs, 0);
}

START_TEST(test_server_is_full)
{
    link_each_server(check_full, NULL);
}
END_TEST

/* Nobody listens at first. */
START_TEST(test_down_from_the_beginning)
{
    char url[64];
    server_start(&f.server, server_program(0), NULL);
    server_kill(&f.server);
    snprintf(url, sizeof url, "redis://127.0.0.1:%u", f.server.port);
    link_open(url);
    RUN_UNTIL(&f.r, f.downs == 1);
    ck_assert_ptr_nonnull(strstr(f.why, url + strlen("redis://")));
    server_start_again(&f.server);
    RUN_UNTIL(&f.r, f.ups == 1 && f.subscribed == 1);
    ck_assert_uint_eq(f.unsubscribed, 0);
}
END_TEST

/* A value larger than any buffer on the way, there and back. */
static void check_large(void)
{
    size_t len = 3000000;
    char *large = malloc(len);
    memset(large, 'x', len);
    struct weir_str args[] = {WEIR_STR("SET"), WEIR_STR("large"), {large, len}};
    link_open_to_server();
    RUN_UNTIL(&f.r, f.ups == 1);
    ck_assert_int_eq(weir_redis_link_call(f.link, args, 3, 10000, link_answered, &f), 0);
    RUN_UNTIL(&f.r, f.answers == 1);
    free(large);
    ck_assert_str_eq(f.last, "OK ");
    ck_assert_str_eq(LINK_ASK("STRLEN", "large"), "3000000 ");
    LINK_ASK("GET", "large");
    ck_assert_int_eq(f.code, 0);
    ck_assert_uint_eq(strspn(f.last, "x"), sizeof f.last - 1);
}

START_TEST(test_large_values)
{
    link_each_server(check_large, NULL);
}
END_TEST

CHECK_MAIN("redis", link_setup, link_teardown, test_calls, test_script, test_unix_socket, test_host_name, test_user,
           test_password, test_tls, test_server_is_killed, test_server_is_frozen, test_server_is_demoted,
           test_server_is_full, test_down_from_the_beginning, test_large_values)
