/* What the model holds after reading: defaults, forms, layers, providers, variables, derived values. */
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

#define ONE_PROVIDER "providers: {p: {base_url: 'http://127.0.0.1:9001'}}\n"

static const struct weir_config *parse(const char *text)
{
    config_case_end(&k);
    k = config_parse(text);
    char line[512] = "";
    if (k.c == NULL && k.problems.count > 0)
        weir_config_problem_text(&k.problems.at[0], line, sizeof line);
    ck_assert_msg(k.c != NULL, "%s", line);
    return k.c;
}

START_TEST(test_the_smallest_file)
{
    const struct weir_config *c = parse("server: {listen: \"127.0.0.1:8000\"}\n"
                                        "providers:\n"
                                        "  openai: {base_url: \"http://127.0.0.1:9001\"}\n");
    config_expect_valid(&k, 0);
    ck_assert_uint_eq(c->server.listen.count, 1);
    ck_assert_str_eq(c->server.listen.at[0].host, "127.0.0.1");
    ck_assert_uint_eq(c->server.listen.at[0].port, 8000);
    ck_assert_uint_eq(c->provider_count, 1);
    ck_assert_str_eq(c->providers[0].name, "openai");
    ck_assert_uint_eq(c->providers[0].endpoint_count, 1);
    ck_assert_str_eq(c->providers[0].endpoints[0].id, "http://127.0.0.1:9001");
    ck_assert_uint_eq(c->providers[0].endpoints[0].weight, 1);
    ck_assert_uint_eq(c->providers[0].endpoints[0].line, 3);
    ck_assert(c->routes_default);
    ck_assert_uint_eq(c->route_count, 1);
    ck_assert_ptr_null(c->routes[0].path_prefix);
}
END_TEST

START_TEST(test_defaults)
{
    const struct weir_config *c = parse(ONE_PROVIDER);
    const struct weir_config_http *h = &c->providers[0].http;
    ck_assert_str_eq(c->server.listen.at[0].text, "127.0.0.1:8000");
    ck_assert_uint_eq(c->server.head_bytes_max, 16384);
    ck_assert_uint_eq(c->server.headers_max, 100);
    ck_assert_uint_eq(c->server.body_bytes_max, 64ull << 20);
    ck_assert_uint_eq(c->server.header_timeout_ms, 10000);
    ck_assert_uint_eq(c->server.idle_timeout_ms, 75000);
    ck_assert_uint_eq(c->server.write_timeout_ms, 60000);
    ck_assert_uint_eq(c->server.drain_delay_ms, 0);
    ck_assert_uint_eq(c->server.drain_timeout_ms, 30000);
    ck_assert_uint_eq(c->server.admin.allow.count, 2);
    ck_assert(h->enabled && c->providers[0].connection_reuse);
    ck_assert_uint_eq(h->pool.max_connections, 200);
    ck_assert_uint_eq(h->pool.max_keepalive_connections, 50);
    ck_assert_uint_eq(h->pool.keepalive_expiry_ms, 30000);
    ck_assert_uint_eq(h->pool.block_timeout_ms, 5000);
    ck_assert_uint_eq(h->pool.max_pending, 1000);
    ck_assert_uint_eq(h->pool.max_connections_cap, 300);
    ck_assert_uint_eq(h->timeout.total_ms, 30000);
    ck_assert_uint_eq(h->timeout.connect_ms, 10000);
    ck_assert_uint_eq(h->timeout.read_ms, 30000);
    ck_assert_uint_eq(h->timeout.write_ms, 30000);
    ck_assert_uint_eq(h->timeout.pool_ms, 5000);
    ck_assert_uint_eq(h->retry.attempts, 3);
    ck_assert_double_eq(h->retry.backoff_factor, 0.5);
    ck_assert_uint_eq(h->retry.backoff_max_delay_ms, 60000);
    ck_assert_uint_eq(h->retry.status_codes.count, 6);
    ck_assert_uint_eq(h->retry.status_codes.at[0], 408);
    ck_assert_uint_eq(h->retry.retry_on, WEIR_CONFIG_RETRY_CONNECT_ERROR | WEIR_CONFIG_RETRY_TIMEOUT);
    ck_assert_uint_eq(h->retry.deadline_ms, 120000);
    ck_assert_uint_eq(h->retry.replay_buffer_bytes, 65536);
    ck_assert_uint_eq(h->circuit_breaker.failure_threshold, 5);
    ck_assert_uint_eq(h->circuit_breaker.recovery_timeout_ms, 60000);
    ck_assert_uint_eq(h->circuit_breaker.recovery_timeout_max_ms, 60000);
    ck_assert_uint_eq(h->health.check_interval_ms, 30000);
    ck_assert_uint_eq(h->health.unhealthy_threshold, 3);
    ck_assert_uint_eq(h->health.health_check_timeout_ms, 5000);
    ck_assert_uint_eq(h->health.cleanup_interval_ms, 300000);
    ck_assert_int_eq(h->follow_redirects, WEIR_CONFIG_REDIRECTS_SAME_ORIGIN);
    ck_assert(h->features.http2_enabled && h->features.dns_cache_enabled && h->features.tcp_keepalive);
    ck_assert(!c->distributed_pool.enabled && !c->analytics.enabled);
    ck_assert_uint_eq(c->analytics.sample_interval_ms, 10000);
    ck_assert_uint_eq(c->analytics.safe_concurrency, 0);
    ck_assert_uint_eq(c->alerting.connection_pool.count, 3);
    ck_assert_uint_eq(c->alerts.count, 0);
    ck_assert_str_eq(c->environment, "");
}
END_TEST

START_TEST(test_the_basic_form_is_the_advanced_one)
{
    const struct weir_config *c = parse("http_client:\n"
                                        "  max_connections: 100\n"
                                        "  max_keepalive_connections: 30\n"
                                        "  keepalive_expiry: 20.5\n"
                                        "  timeout: 25\n"
                                        "  connect_timeout: 7\n"
                                        "  retry_attempts: 1\n"
                                        "  retry_backoff_factor: 0.25\n" ONE_PROVIDER);
    const struct weir_config_http *h = &c->providers[0].http;
    ck_assert_uint_eq(h->pool.max_connections, 100);
    ck_assert_uint_eq(h->pool.max_keepalive_connections, 30);
    ck_assert_uint_eq(h->pool.keepalive_expiry_ms, 20500);
    ck_assert_uint_eq(h->timeout.total_ms, 25000);
    ck_assert_uint_eq(h->timeout.read_ms, 25000);
    ck_assert_uint_eq(h->timeout.write_ms, 25000);
    ck_assert_uint_eq(h->timeout.connect_ms, 7000);
    ck_assert_uint_eq(h->timeout.pool_ms, 5000);
    ck_assert_uint_eq(h->retry.attempts, 1);
    ck_assert_double_eq(h->retry.backoff_factor, 0.25);
    ck_assert_uint_eq(h->retry.deadline_ms, 50000);
}
END_TEST

START_TEST(test_both_forms_may_agree_in_other_words)
{
    const struct weir_config *c = parse("http_client: {keepalive_expiry: 30.0, pool_limits: {keepalive_expiry: 30s},\n"
                                        "  retry: {status_codes: [429], retry_status_codes: [429]}}\n" ONE_PROVIDER);
    ck_assert_uint_eq(c->http_client.pool.keepalive_expiry_ms, 30000);
    ck_assert_uint_eq(c->http_client.retry.status_codes.count, 1);
}
END_TEST

START_TEST(test_an_overlay_beats_the_file_whatever_the_forms)
{
    static const char text[] = "environment: production\n"
                               "http_client:\n"
                               "  pool_limits: {max_connections: 200, keepalive_expiry: 12}\n"
                               "  timeout: {total: 40, connect: 3}\n"
                               "server: {trusted_proxies: [10.0.0.0/8, 192.168.0.0/16]}\n"
                               "production:\n"
                               "  http_client: {max_connections: 500, timeout: 25}\n"
                               "  server: {trusted_proxies: [172.16.0.0/12]}\n"
                               "  providers: {q: {base_url: 'http://127.0.0.1:2'}, p: {api_key: k}}\n"
                               "development:\n"
                               "  http_client: {max_connections: 20}\n" ONE_PROVIDER;
    const struct weir_config *c = parse(text);
    const struct weir_config_http *h = &c->providers[0].http;
    ck_assert_uint_eq(h->pool.max_connections, 500);
    ck_assert_uint_eq(h->pool.keepalive_expiry_ms, 12000); /* mappings merge */
    ck_assert_uint_eq(h->timeout.total_ms, 25000);
    ck_assert_uint_eq(h->timeout.connect_ms, 3000);
    ck_assert_uint_eq(c->server.trusted_proxies.count, 1); /* lists replace */
    ck_assert_uint_eq(c->provider_count, 2);
    ck_assert_str_eq(c->providers[0].name, "p");
    ck_assert_str_eq(c->providers[0].api_key, "k");
    ck_assert_str_eq(c->providers[0].endpoints[0].id, "http://127.0.0.1:9001");
    ck_assert_str_eq(c->providers[1].name, "q");
    ck_assert_str_eq(c->environment, "production");

    config_case_env = "development"; /* wins over the file's choice */
    c = parse(text);
    ck_assert_uint_eq(c->http_client.pool.max_connections, 20);
    ck_assert_uint_eq(c->provider_count, 1);
    ck_assert_str_eq(c->environment, "development");

    config_case_env = "";
    ck_assert_uint_eq(parse(text)->http_client.pool.max_connections, 500);
}
END_TEST

START_TEST(test_a_provider_wins_over_http_client_key_by_key)
{
    const struct weir_config *c = parse("http_client: {max_connections: 100, timeout: {total: 50, read: 20}}\n"
                                        "providers:\n"
                                        "  p:\n"
                                        "    base_url: http://127.0.0.1:1\n"
                                        "    connection_pool: {max_connections: 80, timeout: 25.0}\n"
                                        "    features: {connection_reuse: false}\n"
                                        "    retry_attempts: 0\n"
                                        "  q: {base_url: 'http://127.0.0.1:2', timeout: {connect: 1}, enabled: false}\n"
                                        "  r: {base_url: 'http://127.0.0.1:3', http2: off}\n");
    const struct weir_config_provider *p = &c->providers[0], *q = &c->providers[1], *r = &c->providers[2];
    ck_assert_uint_eq(p->http.pool.max_connections, 80);
    ck_assert_uint_eq(p->http.pool.max_connections_cap, 120);
    ck_assert_uint_eq(p->http.timeout.total_ms, 25000);
    ck_assert_uint_eq(p->http.timeout.read_ms, 25000);
    ck_assert(!p->connection_reuse && p->http.enabled);
    ck_assert_uint_eq(p->http.retry.attempts, 0);
    ck_assert_uint_eq(p->http.retry.deadline_ms, 25000);
    ck_assert_uint_eq(q->http.pool.max_connections, 100);
    ck_assert_uint_eq(q->http.timeout.total_ms, 50000);
    ck_assert_uint_eq(q->http.timeout.read_ms, 20000);
    ck_assert_uint_eq(q->http.timeout.connect_ms, 1000);
    ck_assert(!q->connection_reuse);
    ck_assert(r->connection_reuse);
    ck_assert_int_eq(q->http2, WEIR_CONFIG_AUTO);
    ck_assert_int_eq(r->http2, WEIR_CONFIG_OFF);
    ck_assert_uint_eq(c->http_client.timeout.total_ms, 50000);
}
END_TEST

START_TEST(test_the_shorter_wait_for_the_pool_counts)
{
    const struct weir_config *c =
        parse("http_client: {pool_limits: {pool_block_timeout: 4}, timeout: {pool: 2}}\n"
              "providers: {p: {base_url: 'http://127.0.0.1:1'},\n"
              "  q: {base_url: 'http://127.0.0.1:1', connection_pool: {pool_block_timeout: 1}}}\n");
    ck_assert_uint_eq(c->providers[0].http.pool.block_timeout_ms, 2000);
    ck_assert_uint_eq(c->providers[1].http.pool.block_timeout_ms, 1000);
}
END_TEST

START_TEST(test_listeners_and_their_proxy_protocol)
{
    const struct weir_config *c = parse("server:\n"
                                        "  proxy_protocol: true\n"
                                        "  listen:\n"
                                        "    - 127.0.0.1:1\n"
                                        "    - {address: '[::1]:2', proxy_protocol: false}\n"
                                        "    - {address: '0.0.0.0:0'}\n"
                                        "  admin: {listen: '127.0.0.1:3', token: t}\n" ONE_PROVIDER);
    ck_assert_uint_eq(c->server.listen.count, 3);
    ck_assert(c->server.listen.at[0].proxy_protocol);
    ck_assert(!c->server.listen.at[1].proxy_protocol);
    ck_assert_str_eq(c->server.listen.at[1].host, "::1");
    ck_assert(c->server.listen.at[2].proxy_protocol);
    ck_assert_uint_eq(c->server.listen.at[2].line, 6);
    ck_assert_uint_eq(c->server.admin.listen.count, 1);
    ck_assert(!c->server.admin.listen.at[0].proxy_protocol);
    ck_assert_str_eq(c->server.admin.token, "t");
}
END_TEST

START_TEST(test_routes)
{
    const struct weir_config *c =
        parse("providers: {a: {base_url: 'http://127.0.0.1:1'}, b: {base_url: 'http://127.0.0.1:2'}}\n"
              "routes:\n"
              "  - {path_prefix: /v1/, provider: b, strip_prefix: true}\n"
              "  - {host: '*.Example.ORG', header: {name: X-Team, value: Red}, provider: a}\n"
              "  - {path_prefix: /, provider: a}\n");
    ck_assert(!c->routes_default);
    ck_assert_uint_eq(c->route_count, 3);
    ck_assert_str_eq(c->routes[0].path_prefix, "/v1");
    ck_assert_uint_eq(c->routes[0].provider, 1);
    ck_assert(c->routes[0].strip_prefix);
    ck_assert_str_eq(c->routes[1].host, "*.example.org");
    ck_assert_str_eq(c->routes[1].header_name, "x-team");
    ck_assert_str_eq(c->routes[1].header_value, "Red");
    ck_assert_ptr_null(c->routes[2].path_prefix);
    ck_assert_uint_eq(c->routes[2].line, 5);
}
END_TEST

START_TEST(test_without_routes_each_of_several_providers_has_its_prefix)
{
    const struct weir_config *c =
        parse("providers: {a: {base_url: 'http://127.0.0.1:1'}, b: {base_url: 'http://127.0.0.1:2'}}\n");
    ck_assert(c->routes_default);
    ck_assert_uint_eq(c->route_count, 2);
    ck_assert_str_eq(c->routes[1].path_prefix, "/b");
    ck_assert(c->routes[1].strip_prefix);
    ck_assert_uint_eq(c->routes[1].provider, 1);
}
END_TEST

START_TEST(test_variables_stand_anywhere_in_a_value)
{
    const struct weir_config *c = parse("providers:\n"
                                        "  p:\n"
                                        "    base_url: http://127.0.0.1:${PORT}/v${PORT}\n"
                                        "    api_key: ${KEY}\n"
                                        "    headers: {X-A: 'a$${b}${EMPTY}$c', X-B: \"${KEY}\"}\n"
                                        "    max_connections: \"${PORT}\"\n");
    const struct weir_config_provider *p = &c->providers[0];
    ck_assert_str_eq(p->endpoints[0].id, "http://127.0.0.1:9123");
    ck_assert_str_eq(p->endpoints[0].path_prefix, "/v9123");
    ck_assert_str_eq(p->api_key, "secret-from-env");
    ck_assert_str_eq(p->headers.at[0].name, "x-a");
    ck_assert_str_eq(p->headers.at[0].value, "a${b}$c");
    ck_assert_uint_eq(p->http.pool.max_connections, 9123);
}
END_TEST

START_TEST(test_an_overlay_not_chosen_needs_no_variables)
{
    parse("production: {providers: {p: {api_key: '${NOT_SET}', base_url: '${NOT_SET}'}}}\n" ONE_PROVIDER);
    config_expect_valid(&k, 0);
}
END_TEST

START_TEST(test_secrets_come_from_files_of_the_last_layer)
{
    const struct weir_config *c = parse("environment: production\n"
                                        "providers:\n"
                                        "  a: {base_url: 'http://127.0.0.1:1', api_key_file: /key}\n"
                                        "  b: {base_url: 'http://127.0.0.1:2', api_key_file: /not-there}\n"
                                        "  c: {base_url: 'http://127.0.0.1:3', api_key: old}\n"
                                        "production:\n"
                                        "  providers: {b: {api_key: new}, c: {api_key_file: /key}}\n"
                                        "  server: {admin: {token_file: /key}}\n");
    ck_assert_str_eq(c->providers[0].api_key, "secret-from-file");
    ck_assert_str_eq(c->providers[1].api_key, "new");
    ck_assert_ptr_null(c->providers[1].api_key_file);
    ck_assert_str_eq(c->providers[2].api_key, "secret-from-file");
    ck_assert_str_eq(c->server.admin.token, "secret-from-file");
}
END_TEST

START_TEST(test_sections_that_are_on_when_present)
{
    const struct weir_config *c = parse("distributed_pool: {shard_count: 64}\nanalytics: {}\n" ONE_PROVIDER);
    ck_assert(c->distributed_pool.enabled && c->analytics.enabled);
    ck_assert_uint_eq(c->distributed_pool.shard_count, 64);
    ck_assert_str_eq(c->distributed_pool.redis_url, "redis://localhost:6379");
    ck_assert_uint_eq(c->distributed_pool.affinity.keys.count, 5);
    c = parse("distributed_pool: {enabled: false}\nanalytics: {enabled: false}\n" ONE_PROVIDER);
    config_expect_valid(&k, 0);
    ck_assert(!c->distributed_pool.enabled && !c->analytics.enabled);
}
END_TEST

START_TEST(test_bounds_of_adaptive_concurrency)
{
    const struct weir_config *c = parse("http_client: {adaptive_concurrency: {min: 300}}\n"
                                        "providers: {p: {base_url: 'http://127.0.0.1:1'},\n"
                                        "  q: {base_url: 'http://127.0.0.1:1', adaptive_concurrency: {max: 5}}}\n");
    ck_assert_uint_eq(c->http_client.adaptive_concurrency.max, 300);
    ck_assert_uint_eq(c->providers[0].http.adaptive_concurrency.min, 300);
    ck_assert_uint_eq(c->providers[0].http.adaptive_concurrency.max, 300);
    ck_assert_uint_eq(c->providers[1].http.adaptive_concurrency.min, 5);
    ck_assert_uint_eq(c->providers[1].http.adaptive_concurrency.max, 5);
}
END_TEST

START_TEST(test_rate_limits)
{
    const struct weir_config *c =
        parse("providers: {p: {base_url: 'http://127.0.0.1:1', rate_limit: {requests_per_minute: 600}},\n"
              "  q: {base_url: 'http://127.0.0.1:1', rate_limit: {requests_per_minute: 5, fail: closed}},\n"
              "  r: {base_url: 'http://127.0.0.1:1', rate_limit: {requests_per_minute: 60, burst: 9}}}\n");
    ck_assert_uint_eq(c->providers[0].rate_limit.burst, 60);
    ck_assert_uint_eq(c->providers[1].rate_limit.burst, 1);
    ck_assert_int_eq(c->providers[1].rate_limit.fail, WEIR_CONFIG_FAIL_CLOSED);
    ck_assert_uint_eq(c->providers[2].rate_limit.burst, 9);
}
END_TEST

START_TEST(test_anchors_and_empty_values)
{
    const struct weir_config *c = parse("providers:\n"
                                        "  a: &a {base_url: 'http://127.0.0.1:1', retry: , api_key: ~}\n"
                                        "  b: *a\n"
                                        "http_client:\n"
                                        "routes: null\n");
    config_expect_valid(&k, 0);
    ck_assert_uint_eq(c->provider_count, 2);
    ck_assert_ptr_null(c->providers[1].api_key);
    ck_assert(c->routes_default);
}
END_TEST

START_TEST(test_an_empty_file_is_all_defaults)
{
    parse("");
    config_expect_valid(&k, 1);
    config_expect(&k, "f.yaml: warning: providers: there are none: every request gets 503");
    parse("---\n# nothing\n");
    config_expect_valid(&k, 1);
    parse("~\n");
    config_expect_valid(&k, 1);
}
END_TEST

START_TEST(test_networks)
{
    const struct weir_config *c =
        parse("server: {trusted_proxies: [10.0.0.0/8, 'fd00::/8', 192.0.2.7]}\n" ONE_PROVIDER);
    static const uint8_t in[][16] = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3},
                                     {0xfd, 1},
                                     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7}};
    static const uint8_t out[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 11, 1, 2, 3};
    for (size_t i = 0; i < 3; i++)
        ck_assert(weir_config_nets_hold(&c->server.trusted_proxies, in[i]));
    ck_assert(!weir_config_nets_hold(&c->server.trusted_proxies, out));
}
END_TEST

CHECK_MAIN("config_layers", setup, teardown, test_the_smallest_file, test_defaults,
           test_the_basic_form_is_the_advanced_one, test_both_forms_may_agree_in_other_words,
           test_an_overlay_beats_the_file_whatever_the_forms, test_a_provider_wins_over_http_client_key_by_key,
           test_the_shorter_wait_for_the_pool_counts, test_listeners_and_their_proxy_protocol, test_routes,
           test_without_routes_each_of_several_providers_has_its_prefix, test_variables_stand_anywhere_in_a_value,
           test_an_overlay_not_chosen_needs_no_variables, test_secrets_come_from_files_of_the_last_layer,
           test_sections_that_are_on_when_present, test_bounds_of_adaptive_concurrency, test_rate_limits,
           test_anchors_and_empty_values, test_an_empty_file_is_all_defaults, test_networks)
