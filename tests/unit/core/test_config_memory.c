/* Out of memory at any point of reading, checking and printing: an error, no leak, no crash. libyaml allocates by
 * itself; jansson does so through us. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/config_output.h"
#include "helper/core_failmalloc.h"

static const char text[] =
    "environment: production\n"
    "server: {listen: ['127.0.0.1:1', {address: '[::1]:2'}], admin: {token_file: /key, allow: [10.0.0.0/8]}}\n"
    "http_client: &h {max_connections: 7, timeout: 5, retry: {methods: [GET], status_codes: [500], "
    "retry_on_exceptions: [ConnectError]}, circuit_breaker: {failure_threshold: 3}, health: {path: /h, "
    "expected_status: "
    "[200, 204]}}\n"
    "alerting: {connection_pool: [{name: own, condition: 'error_rate > 0.5', severity: critical, message: m}]}\n"
    "dns: {servers: ['127.0.0.1:53', '[::1]:5353']}\n"
    "providers:\n"
    "  a: {endpoints: [{url: 'http://127.0.0.1:1/x', weight: 2}, {url: 'http://127.0.0.1:2'}], headers: {x-a: "
    "'${V}'}}\n"
    "  b: {base_url: 'http://example.com', api_key: 'k${V}', rate_limit: {requests_per_minute: 60}}\n"
    "routes: [{path_prefix: /a/, host: A.b, header: {name: X}, provider: a}]\n"
    "alerts: [{name: n, condition: 'pending_requests > 1'}]\n"
    "development: {http_client: *h}\n"
    "production: {providers: {a: {api_key: k}, c: {base_url: 'http://127.0.0.1:3'}}}\n";

static const char broken[] = "server: {worker: 1, workers: x, workers: 2}\n"
                             "providers: {p: {base_url: 'http://u:p@x', api_key: '${NONE}'}}\n"
                             "routes: [{provider: q}]\n";

static const char *env_get(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "V") == 0 ? "value" : NULL;
}

static int file_read(void *arg, const char *path, char *buf, size_t cap, size_t *len, struct weir_err *err)
{
    (void)arg;
    (void)path;
    (void)err;
    *len = cap > 3 ? 3 : 0;
    memcpy(buf, "key", *len);
    return WEIR_OK;
}

/* What the linker's --wrap does not reach in a shared library. */
static void *our_malloc(size_t n)
{
    return malloc(n);
}

static void our_free(void *p)
{
    free(p);
}

static void setup(void)
{
    json_set_alloc_funcs(our_malloc, our_free);
    /* jansson seeds its hashes once, from a file. */
    json_object_seed(1);
}

static int parse_once(const char *bytes, struct weir_config **c)
{
    struct weir_config_problems problems = {0};
    const struct weir_config_input in = {
        .file = "f", .bytes = bytes, .len = strlen(bytes), .getenv = env_get, .read_file = file_read};
    int code = weir_config_parse(c, &in, &problems);
    weir_config_problems_reset(&problems);
    return code;
}

static void each_allocation(const char *bytes, int code_wanted)
{
    bool more = true;
    unsigned long n = 1;
    for (; more; n = failmalloc_next(n)) {
        struct weir_config *c = NULL;
        failmalloc_begin(n);
        int code = parse_once(bytes, &c);
        weir_config_free(&c);
        long left = failmalloc_end(&more);
        ck_assert_msg(left == 0, "allocation %lu: %ld blocks left", n, left);
        if (more)
            ck_assert_msg(code == WEIR_ENOMEM, "allocation %lu: code %d", n, code);
        else
            ck_assert_int_eq(code, code_wanted);
    }
    ck_assert_uint_gt(n, 50);
}

START_TEST(test_reading_a_valid_file)
{
    each_allocation(text, WEIR_OK);
}
END_TEST

START_TEST(test_reading_a_broken_file)
{
    each_allocation(broken, WEIR_EINVAL);
}
END_TEST

/* What is printed, each page by itself: a page costs as many rounds as it makes allocations. */
static void print_config(const struct weir_config *c, struct weir_textbuf *out)
{
    weir_config_print(c, out);
}

static void print_docs(const struct weir_config *c, struct weir_textbuf *out)
{
    (void)c;
    weir_config_print_docs(out);
}

static void print_schema(const struct weir_config *c, struct weir_textbuf *out)
{
    (void)c;
    if (!weir_config_print_schema(out))
        out->failed = true;
}

START_TEST(test_printing)
{
    static void (*const pages[])(const struct weir_config *c, struct weir_textbuf *out) = {print_config, print_docs,
                                                                                           print_schema};
    struct weir_config *c = NULL;
    ck_assert_int_eq(parse_once(text, &c), WEIR_OK);
    for (size_t page = 0; page < sizeof pages / sizeof pages[0]; page++) {
        bool more = true;
        for (unsigned long n = 1; more; n = failmalloc_next(n)) {
            struct weir_textbuf out;
            weir_textbuf_init(&out, (size_t)1 << 24);
            failmalloc_begin(n);
            pages[page](c, &out);
            bool ok = !out.failed;
            weir_textbuf_close(&out);
            long left = failmalloc_end(&more);
            ck_assert_msg(left == 0, "page %zu, allocation %lu: %ld blocks left", page, n, left);
            ck_assert_msg(ok == !more, "page %zu, allocation %lu", page, n);
        }
    }
    weir_config_free(&c);
}
END_TEST

CHECK_MAIN("config_memory", setup, NULL, test_reading_a_valid_file, test_reading_a_broken_file, test_printing)
