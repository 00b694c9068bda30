/* Every way in which a file can be wrong, with the exact words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "helper_config.h"

static struct config_case k;

static void setup(void)
{
    config_case_env = NULL;
}

static void teardown(void)
{
    config_case_end(&k);
}

#define P "providers: {p: {base_url: 'http://127.0.0.1:1'}}\n"

/* The text gives exactly this one problem, and is refused if that is an error. */
static void only(const char *text, const char *problem)
{
    config_case_end(&k);
    k = config_parse(text);
    config_expect(&k, problem);
    ck_assert_msg(k.problems.count == 1, "%s: %zu problems", problem, k.problems.count);
    bool error = strstr(problem, " error: ") != NULL;
    ck_assert_msg((k.c == NULL) == error, "%s", problem);
    ck_assert_int_eq(k.code, error ? WEIR_EINVAL : WEIR_OK);
}

struct pair {
    const char *text, *problem;
};

static void each(const struct pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        only(pairs[i].text, pairs[i].problem);
}

#define EACH(pairs) each(pairs, sizeof(pairs) / sizeof((pairs)[0]))

START_TEST(test_keys)
{
    static const struct pair cases[] = {
        {P "servr: {}\n", "f.yaml:2: error: servr: unknown key; the nearest known one is \"server\""},
        {P "http_client:\n  max_conections: 5\n",
         "f.yaml:3: error: http_client.max_conections: unknown key; the nearest known one is \"max_connections\""},
        {P "http_client: {pool_limits: {timeout: 3}}\n",
         "f.yaml:2: error: http_client.pool_limits.timeout: unknown key; the nearest known one is \"max_pending\""},
        {"providers:\n  p:\n    base_url: http://127.0.0.1:1\n    api_kye: x\n",
         "f.yaml:4: error: providers.p.api_kye: unknown key; the nearest known one is \"api_key\""},
        {P "server: {workers: 1, workers: 2}\n",
         "f.yaml:2: error: server.workers: given twice, the first time in line 2"},
        {P "server:\n  admin:\n    token: a\n  admin:\n    token: b\n",
         "f.yaml:5: error: server.admin: given twice, the first time in line 3"},
        {P "production:\n  http_client:\n    max_conections: 5\n",
         "f.yaml:4: error: production.http_client.max_conections: unknown key; the nearest known one is "
         "\"max_connections\""},
        {P "production: {environment: development}\n",
         "f.yaml:2: error: production.environment: an overlay cannot choose an overlay"},
        {P "production: {development: {}}\n",
         "f.yaml:2: error: production.development: unknown key; the nearest known one is \"environment\""},
    };
    EACH(cases);
}
END_TEST

START_TEST(test_types_and_ranges)
{
    static const struct pair cases[] = {
        {P "server: {workers: many}\n", "f.yaml:2: error: server.workers: \"many\" is not a whole number"},
        {P "server: {workers: '2'}\n", "f.yaml:2: error: server.workers: \"2\" in quotes is not a whole number"},
        {P "server: {workers: [2]}\n", "f.yaml:2: error: server.workers: a list where a single value is wanted"},
        {P "server: {workers: 5000}\n", "f.yaml:2: error: server.workers: 5000 is out of range: 0 to 1024"},
        {P "server: {workers: -1}\n", "f.yaml:2: error: server.workers: \"-1\" is not a whole number"},
        {P "server: 5\n", "f.yaml:2: error: server: a single value where a mapping is wanted"},
        {P "server: [1]\n", "f.yaml:2: error: server: a list where a mapping is wanted"},
        {P "server: {trusted_proxies: 10.0.0.0/8}\n",
         "f.yaml:2: error: server.trusted_proxies: a single value where a list is wanted"},
        {P "server: {trusted_proxies: {a: b}}\n",
         "f.yaml:2: error: server.trusted_proxies: a mapping where a list is wanted"},
        {P "server: {head_bytes_max: 12}\n",
         "f.yaml:2: error: server.head_bytes_max: 12 is out of range: 1024 to 1048576 bytes"},
        {P "server: {idle_timeout: soon}\n",
         "f.yaml:2: error: server.idle_timeout: \"soon\" is not a duration (30 is seconds; 10s, 250ms, 5m)"},
        {P "server: {idle_timeout: 0}\n",
         "f.yaml:2: error: server.idle_timeout: 0 is out of range: 0.001 to 86400 seconds"},
        {P "server: {proxy_protocol: maybe}\n",
         "f.yaml:2: error: server.proxy_protocol: \"maybe\" is not true or false"},
        {P "logging: {level: warn}\n",
         "f.yaml:2: error: logging.level: \"warn\" is none of debug, info, warning, error; the nearest is \"warning\""},
        {P "http_client: {retry: {retry_status_codes: [429, 600], enabled: false}}\n",
         "f.yaml:2: error: http_client.retry.retry_status_codes[1]: 600 is out of range: 100 to 599"},
        {P "http_client: {retry: {retry_on_exceptions: [ReadError], enabled: false}}\n",
         "f.yaml:2: error: http_client.retry.retry_on_exceptions[0]: \"ReadError\" is neither ConnectError nor "
         "TimeoutException"},
        {"providers: [a]\n", "f.yaml:1: error: providers: a mapping of names to providers is wanted"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', headers: [a]}}\n",
         "f.yaml:1: error: providers.p.headers: a mapping of names to values is wanted"},
        {P "routes: {a: b}\n", "f.yaml:2: error: routes: a mapping where a list is wanted"},
        {P "routes: [x]\n", "f.yaml:2: error: routes[0]: a single value where a mapping is wanted"},
        {P "environment: staging\n", "f.yaml:2: error: environment: \"staging\" is neither development nor production"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_case_end(&k);
        k = config_parse(cases[i].text);
        config_expect(&k, cases[i].problem);
        ck_assert_ptr_null(k.c);
    }
}
END_TEST

START_TEST(test_urls_addresses_and_names)
{
    static const struct pair cases[] = {
        {"providers: {p: {base_url: 'ftp://x'}}\n",
         "f.yaml:1: error: providers.p.base_url: \"ftp://x\" is not an http:// or https:// URL"},
        {"providers: {p: {base_url: 'http://u:secret@x'}}\n",
         "f.yaml:1: error: providers.p.base_url: holds credentials: use api_key or headers"},
        {"providers: {p: {endpoints: [{url: 'http://127.0.0.1:1'}, {weight: 2}]}}\n",
         "f.yaml:1: error: providers.p.endpoints[1]: url is missing"},
        {"providers: {p: {endpoints: [{url: 'http://127.0.0.1:1'}, {url: 'http://127.0.0.1:1/x'}]}}\n",
         "f.yaml:1: error: providers.p.endpoints[1].url: http://127.0.0.1:1 is listed twice"},
        {"providers: {p: {endpoints: []}}\n",
         "f.yaml:1: error: providers.p.endpoints: is empty: a provider has at least one"},
        {"providers: {p: {}}\n", "f.yaml:1: error: providers.p: base_url is missing (or endpoints)"},
        {"providers: {p: }\n", "f.yaml:1: error: providers.p: base_url is missing (or endpoints)"},
        {"providers: {a/b: {base_url: 'http://127.0.0.1:1'}}\n",
         "f.yaml:1: error: providers.a/b: the name is not a name: letters, digits, dot, dash and underscore only"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', headers: {Host: x}}}\n",
         "f.yaml:1: error: providers.p.headers.Host: is set by weir itself"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', headers: {X-A: \"a\\nb\"}}}\n",
         "f.yaml:1: error: providers.p.headers.X-A: holds a control character"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key: \"secret\\nx: y\"}}\n",
         "f.yaml:1: error: providers.p.api_key: holds a control character"},
        {P "server: {listen: 8000}\n",
         "f.yaml:2: error: server.listen: \"8000\" is not address:port (127.0.0.1:8000, [::1]:8000)"},
        {P "server: {listen: ['127.0.0.1:1', 'example.com:1']}\n",
         "f.yaml:2: error: server.listen[1]: \"example.com:1\" is not address:port: a listener has an address (0.0.0.0 "
         "for "
         "all), no name"},
        {P "server:\n  listen: ['127.0.0.1:1', '127.0.0.1:1']\n",
         "f.yaml:3: error: server: 127.0.0.1:1 is listened on twice"},
        {P "server: {listen: []}\n", "f.yaml: error: server.listen: is empty: a node listens somewhere"},
        {P "server: {listen: [{proxy_protocol: true}]}\n", "f.yaml:2: error: server.listen[0]: address is missing"},
        {P "server: {trusted_proxies: [10.0.0.1/8]}\n",
         "f.yaml:2: error: server.trusted_proxies[0]: '10.0.0.1/8' has bits set behind its prefix; the network is "
         "10.0.0.0/8"},
        {P "dns: {servers: ['resolver:53']}\n",
         "f.yaml:2: error: dns.servers[0]: \"resolver:53\" is not address:port (127.0.0.1:8000, [::1]:8000)"},
    };
    EACH(cases);
}
END_TEST

START_TEST(test_conditions)
{
    static const struct pair cases[] = {
        {P "alerts:\n  - name: n\n    condition: pending_requests >\n",
         "f.yaml:4: error: alerts[0].condition: column 19: ends where a name, a number or \"(\" is wanted"},
        {P "alerting: {connection_pool: [{name: n, condition: pending_request > 5}]}\n",
         "f.yaml:2: error: alerting.connection_pool[0].condition: column 1: unknown name \"pending_request\"; the "
         "nearest "
         "known one is \"pending_requests\""},
        {P "alerts: [{name: n, condition: error_rate > 5%}]\n",
         "f.yaml:2: error: alerts[0].condition: column 15: \"%\" has no place in a condition"},
        {P "alerts: [{name: n, condition: ''}]\n", "f.yaml:2: error: alerts[0].condition: is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_case_end(&k);
        k = config_parse(cases[i].text);
        config_expect(&k, cases[i].problem);
        ck_assert_uint_eq(k.problems.error_count, 1);
        ck_assert_ptr_null(k.c);
    }
}
END_TEST

START_TEST(test_store)
{
    k = config_parse(P "distributed_pool: {redis_url: 'redis://:hush@store:99999'}\n");
    config_expect(&k,
                  "f.yaml:2: error: distributed_pool.redis_url: is not a store's URL: its host must be a name or an "
                  "address (IPv6 in brackets), its port 1 to 65535");
    ck_assert_ptr_null(k.c);
}
END_TEST

START_TEST(test_webhooks)
{
    static const struct pair cases[] = {
        {P "alerting: {webhook_url: 'http://u:pw@alerts.example/'}\n",
         "f.yaml:2: error: alerting.webhook_url: holds credentials: a token belongs into its path or query"},
        {P "alerting: {webhook_url: 'http://alerts.example:99999/'}\n",
         "f.yaml:2: error: alerting.webhook_url: is not a URL: its port must be 1 to 65535, an IPv6 address stands in "
         "brackets"},
        {P "alerting: {webhook_url: 'http://alerts.example?x=1'}\n",
         "f.yaml:2: error: alerting.webhook_url: has no path before its query or fragment"},
        {P "alerting: {webhook_url: \"http://alerts.example/a b\"}\n",
         "f.yaml:2: error: alerting.webhook_url: holds a fragment, or a character that no URL has: write it as %XX"},
        {P "alerting: {webhook_url: \"http://alerts.example/a#b\"}\n",
         "f.yaml:2: error: alerting.webhook_url: holds a fragment, or a character that no URL has: write it as %XX"},
        {P "alerts:\n  - {name: n, condition: 'error_rate > 1', action: webhook}\n",
         "f.yaml:3: error: alerting.webhook_url: is not set, and the rule n is to be posted there"},
    };
    EACH(cases);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_case_end(&k);
        k = config_parse(cases[i].text);
        ck_assert_ptr_null(k.c);
    }
    config_case_end(&k);
    k = config_parse(P "alerting: {webhook_url: 'http://[2001:db8::1]:9093/hook?token=a%20b'}\n"
                       "alerts: [{name: n, condition: 'weir_retries_total > 1', action: webhook}]\n");
    config_expect_valid(&k, 0);
}
END_TEST

START_TEST(test_references_and_contradictions)
{
    static const struct pair cases[] = {
        {P "routes: [{provider: q}]\n",
         "f.yaml:2: error: routes[0].provider: no provider \"q\"; the nearest known one is \"p\""},
        {P "routes:\n  - {path_prefix: /v1}\n", "f.yaml:3: error: routes[0]: provider is missing"},
        {P "routes: [{provider: p, header: {value: x}}]\n", "f.yaml:2: error: routes[0].header: name is missing"},
        {P "routes: [{provider: p, strip_prefix: true}]\n",
         "f.yaml:2: warning: routes[0].strip_prefix: there is no path_prefix to strip"},
        {P "http_client:\n  max_connections: 100\n  pool_limits:\n    max_connections: 200\n",
         "f.yaml:5: error: http_client.pool_limits.max_connections: says otherwise than http_client.max_connections in "
         "line "
         "3"},
        {"providers:\n  p:\n    base_url: 'http://127.0.0.1:1'\n    timeout: {read: 20}\n    connection_pool: "
         "{timeout: 25}\n",
         "f.yaml:5: error: providers.p.connection_pool.timeout: says otherwise than providers.p.timeout.read in line "
         "4"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', endpoints: [{url: 'http://127.0.0.1:2'}]}}\n",
         "f.yaml:1: error: providers.p.endpoints: says otherwise than providers.p.base_url in line 1"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key: a, api_key_file: /key}}\n",
         "f.yaml:1: error: providers.p.api_key_file: given beside providers.p.api_key in line 1: one of the two"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key_header: x-api-key}}\n",
         "f.yaml:1: warning: providers.p: api_key_header without an api_key sends nothing"},
        {P "analytics: {scaling_prediction_window: 60}\n",
         "f.yaml:2: warning: analytics: has no effect without distributed_pool: the history is kept in the cluster's "
         "store"},
        {P "distributed_pool: {}\nanalytics: {collect_performance_metrics: false}\n",
         "f.yaml:3: warning: analytics.collect_performance_metrics: enable_predictive_scaling has no history to "
         "forecast from without it"},
    };
    EACH(cases);
}
END_TEST

START_TEST(test_variables_and_secrets)
{
    static const struct pair cases[] = {
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key: '${NOPE}'}}\n",
         "f.yaml:1: error: providers.p.api_key: the environment variable NOPE is not set"},
        {P "server: {workers: '${KEY}'}\n",
         "f.yaml:2: error: server.workers: \"secret-from-env\" is not a whole number"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key: 'a${b-c}'}}\n",
         "f.yaml:1: error: providers.p.api_key: holds ${ that begins no variable: ${NAME}, or $${ for the characters "
         "themselves"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key: '${'}}\n",
         "f.yaml:1: error: providers.p.api_key: holds ${ that begins no variable: ${NAME}, or $${ for the characters "
         "themselves"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key: '${EMPTY}'}}\n",
         "f.yaml:1: error: providers.p.api_key: is empty"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key_file: /nope}}\n",
         "f.yaml:1: error: providers.p.api_key_file: /nope is not there"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key_file: /empty}}\n",
         "f.yaml:1: error: providers.p.api_key_file: /empty is empty"},
        {"providers: {p: {base_url: 'http://127.0.0.1:1', api_key_file: /nul}}\n",
         "f.yaml:1: error: providers.p.api_key_file: /nul holds a NUL character"},
    };
    EACH(cases);
    config_case_env = "prod";
    only(P, "f.yaml: error: WEIR_ENV: \"prod\" is neither development nor production");
}
END_TEST

START_TEST(test_what_is_not_in_this_build)
{
    static const struct pair cases[] = {
        {P "auth: {keys: [{name: a, key: b}]}\n", "f.yaml:2: error: auth: not in this build (client authentication)"},
        {P "routes: [{model: 'gpt-*', provider: p}]\n",
         "f.yaml:2: error: routes[0].model: not in this build (routing by model)"},
    };
    EACH(cases);
    static const char *const silent[] = {
        P "http_client: {retry: {enabled: false}, circuit_breaker: {enabled: no}, health: {enabled: off}}\n",
        P "http_client: {features: {dns_cache_enabled: false, http2_enabled: false, compression: true}}\n",
        P "http_client: {follow_redirects: false, auto_tune: false}\n",
        P "http_client: {follow_redirects: true}\n",
        P "http_client: {retry: {replay_buffer: 1MB}}\n",
        P "alerts: []\ncompression: {downstream: false}\n",
    };
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        config_case_end(&k);
        k = config_parse(silent[i]);
        config_expect_valid(&k, 0);
    }
}
END_TEST

START_TEST(test_clocks_out_of_order_warn_where_they_are_written)
{
    static const struct pair cases[] = {
        {P "http_client:\n  timeout:\n    connect: 20\n    read: 5\n",
         "f.yaml:4: warning: http_client.timeout.connect: 20 s is longer than read's 5 s"},
        {P "http_client: {timeout: {read: 31}}\n",
         "f.yaml:2: warning: http_client.timeout.read: 31 s is longer than total's 30 s"},
        {P "http_client: {timeout: {pool: 31}}\n",
         "f.yaml:2: warning: http_client.timeout.pool: 31 s is longer than total's 30 s"},
        {"providers:\n  p: {base_url: 'http://127.0.0.1:1', connection_pool: {timeout: 2.5}}\n",
         "f.yaml:2: warning: providers.p.timeout.connect: 10 s is longer than read's 2.5 s"},
    };
    config_case_end(&k);
    k = config_parse(cases[0].text);
    config_expect(&k, cases[0].problem);
    for (size_t i = 1; i < 3; i++)
        only(cases[i].text, cases[i].problem);
    config_case_end(&k);
    k = config_parse(cases[3].text);
    config_expect(&k, cases[3].problem);
    ck_assert_ptr_nonnull(k.c);
}
END_TEST

START_TEST(test_plain_http_outside_this_machine)
{
    only("providers: {p: {base_url: 'http://example.com'}}\n",
         "f.yaml:1: warning: providers.p.base_url: http://example.com is plain http:// outside this machine");
    only("providers: {p: {base_url: 'http://10.0.0.1'}}\ntls: {required: true}\n",
         "f.yaml:1: error: providers.p.base_url: http://10.0.0.1 is plain http:// outside this machine, and "
         "tls.required is "
         "true");
    config_case_end(&k);
    k = config_parse(P "tls: {required: true}\n");
    config_expect_valid(&k, 0);
}
END_TEST

START_TEST(test_yaml)
{
    static const struct pair cases[] = {
        {"a: [1,\nb: 2",
         "f.yaml:3: error: a: not YAML: did not find expected ',' or ']' in column 1, while parsing a flow "
         "sequence from line 1 on"},
        {"server:\n\tworkers: 1\n", "f.yaml:2: error: not YAML: found character that cannot start any token in "
                                    "column 1, while scanning for the next token from line 2 on"},
        {"a: *b\n", "f.yaml:1: error: no anchor \"b\" before this alias"},
        {"a: &a [*a]\n", "f.yaml:1: error: a: an alias inside what it stands for"},
        {"a: 1\n---\nb: 2\n", "f.yaml:2: error: a second YAML document: one file holds one"},
        {"- a\n", "f.yaml:1: error: not a mapping of keys to values"},
        {"hello\n", "f.yaml:1: error: not a mapping of keys to values"},
        {"a: \"x\\0y\"\n", "f.yaml:1: error: a NUL character"},
        {"a: !x b\n", "f.yaml:1: error: tags of one's own are not read"},
        {"{a: 1}: b\n", "f.yaml:1: error: a key must be plain text"},
        {"a: &a {b: 1}\nc:\n  <<: *a\n", "f.yaml:3: error: c: merge keys (<<) are not read: write the keys out"},
        {"a: \xff\n", "f.yaml:1: error: not YAML: invalid leading UTF-8 octet at byte 3"},
    };
    EACH(cases);
    config_case_end(&k);
    k = config_parse_bytes("a: \0", 4);
    config_expect(&k, "f.yaml:1: error: not YAML: control characters are not allowed at byte 3");
}
END_TEST

START_TEST(test_an_alias_bomb_is_bounded)
{
    char text[2048] = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    size_t len = strlen(text);
    for (int i = 1; i < 12; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            len += (size_t)snprintf(text + len, sizeof text - len, "*a%d, ", i - 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "]\n");
    }
    k = config_parse(text);
    config_expect(&k, "f.yaml:5: error: a4: more than 100000 values, each alias counted as often as it is used");
    ck_assert_uint_eq(k.problems.count, 1);
}
END_TEST

START_TEST(test_depth_is_bounded)
{
    static char text[4096];
    memset(text, '[', sizeof text - 1);
    memcpy(text, "a: ", 3);
    k = config_parse(text);
    ck_assert_ptr_null(k.c);
    ck_assert_uint_eq(k.problems.count, 1);
    ck_assert_str_eq(k.problems.at[0].sentence, "nested too deep");
}
END_TEST

START_TEST(test_a_large_file_is_refused_whole)
{
    char *text = malloc(WEIR_CONFIG_FILE_BYTES_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, '\n', WEIR_CONFIG_FILE_BYTES_MAX + 1);
    k = config_parse_bytes(text, WEIR_CONFIG_FILE_BYTES_MAX + 1);
    config_expect(&k, "f.yaml: error: is larger than 1024 KB");
    config_case_end(&k);
    k = config_parse_bytes(text, WEIR_CONFIG_FILE_BYTES_MAX);
    config_expect_valid(&k, 1);
    free(text);
}
END_TEST

START_TEST(test_all_errors_in_one_run_in_the_order_of_lines)
{
    k = config_parse("routes:\n"
                     "  - {provider: nope}\n"
                     "server: {workers: many, lsiten: x}\n"
                     "http_client: {max_connections: 0}\n"
                     "providers:\n"
                     "  p: {base_url: nope, api_key: '${NOPE}'}\n"
                     "  q: {base_url: 'http://127.0.0.1:1'}\n"
                     "production: {logging: {access: 3}}\n");
    static const char *const lines[] = {
        "f.yaml:2: error: routes[0].provider: no provider \"nope\"; the nearest known one is \"p\"",
        "f.yaml:3: error: server.workers: \"many\" is not a whole number",
        "f.yaml:3: error: server.lsiten: unknown key; the nearest known one is \"listen\"",
        "f.yaml:4: error: http_client.max_connections: 0 is out of range: 1 to 1048576",
        "f.yaml:6: error: providers.p.base_url: \"nope\" is not an http:// or https:// URL",
        "f.yaml:6: error: providers.p.api_key: the environment variable NOPE is not set",
        "f.yaml:8: error: production.logging.access: \"3\" is not true or false",
    };
    ck_assert_uint_eq(k.problems.count, 7);
    ck_assert_uint_eq(k.problems.error_count, 7);
    for (size_t i = 0; i < 7; i++) {
        char line[512];
        weir_config_problem_text(&k.problems.at[i], line, sizeof line);
        ck_assert_str_eq(line, lines[i]);
    }
}
END_TEST

START_TEST(test_problems_are_bounded)
{
    char text[8192] = P "server: {trusted_proxies: [";
    size_t len = strlen(text);
    for (int i = 0; i < 1000; i++, len += 2)
        memcpy(text + len, "x,", 3);
    memcpy(text + len, "]}\n", 4);
    k = config_parse(text);
    ck_assert_uint_eq(k.problems.count, WEIR_CONFIG_PROBLEMS_MAX);
    ck_assert_uint_eq(k.problems.error_count, 1000);
    ck_assert_uint_eq(k.problems.dropped_count, 1000 - WEIR_CONFIG_PROBLEMS_MAX);
}
END_TEST

START_TEST(test_variables_cannot_blow_up)
{
    char *text = calloc(1, 65536);
    ck_assert_ptr_nonnull(text);
    size_t len = (size_t)snprintf(text, 65536, "%s", P "server: {admin: {token: '");
    for (int i = 0; i < 5000; i++) {
        memcpy(text + len, "${LONG}", 7);
        len += 7;
    }
    memcpy(text + len, "'}}", 3);
    k = config_parse(text);
    config_expect(&k, "f.yaml:2: error: server.admin.token: too long once the variables are filled in");
    free(text);
}
END_TEST

START_TEST(test_affinity_keys)
{
    k = config_parse(P
                     "distributed_pool:\n  affinity:\n    keys: ['json:a', 'json:b', 'json:c', 'json:d', 'json:e']\n");
    config_expect(&k,
                  "f.yaml:4: error: distributed_pool.affinity.keys: has more than 16 sources, or more than 4 in the "
                  "body");
    config_case_end(&k);
    k = config_parse(P "distributed_pool: {affinity: {keys: ['json:a', 'ip', {}]}}\n");
    config_expect(&k, "f.yaml:2: error: distributed_pool.affinity.keys[1]: \"ip\" is not a source of keys: "
                      "header:NAME, cookie:NAME, json:NAME, api_key or address");
    ck_assert_ptr_null(k.c);
}
END_TEST

CHECK_MAIN("config_errors", setup, teardown, test_keys, test_types_and_ranges, test_urls_addresses_and_names,
           test_conditions, test_webhooks, test_store, test_references_and_contradictions, test_affinity_keys,
           test_variables_and_secrets, test_what_is_not_in_this_build,
           test_clocks_out_of_order_warn_where_they_are_written, test_plain_http_outside_this_machine, test_yaml,
           test_an_alias_bomb_is_bounded, test_depth_is_bounded, test_a_large_file_is_refused_whole,
           test_all_errors_in_one_run_in_the_order_of_lines, test_problems_are_bounded, test_variables_cannot_blow_up)
