/* The table's own consistency, and what is printed from it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/config_output.h"
#include "core/config_schema.h"
#include "core/config_value.h"
#include "helper_config.h"

static struct config_case k;

static void teardown(void)
{
    config_case_end(&k);
    config_case_env = NULL;
}

#define MEMBER_SIZE(id, member) [WEIR_CONFIG_##id] = sizeof(member),
static const size_t member_sizes[] = {WEIR_CONFIG_TYPE_MAP(MEMBER_SIZE)};

static void check_field(const struct weir_config_section *s, const struct weir_config_field *f)
{
    ck_assert_msg(f->doc != NULL && f->doc[0] != '\0', "%s has no text", f->key);
    if (f->alias_of == NULL || f->type != WEIR_CONFIG_SECTION)
        ck_assert_msg(f->offset + f->size <= s->size, "%s lies outside its struct", f->key);
    if (f->type < WEIR_CONFIG_SECTION)
        ck_assert_msg(f->size == member_sizes[f->type], "%s: its member is no such type", f->key);
    if (f->type == WEIR_CONFIG_COUNT)
        ck_assert_msg(f->max > 0 && f->max <= UINT32_MAX, "%s has no range", f->key);
    if (f->type == WEIR_CONFIG_CHOICE)
        ck_assert_ptr_nonnull(f->choices);
    if (f->type == WEIR_CONFIG_SECRET || f->type == WEIR_CONFIG_SECRET_FILE)
        ck_assert_msg(f->twin != 0, "%s has no twin", f->key);
    ck_assert_msg(f->fallback == NULL || f->alias_of == NULL, "%s: an alias has no default", f->key);
    for (const struct weir_config_field *other = s->fields; other < f; other++)
        ck_assert_msg(other->key == NULL || strcmp(other->key, f->key) != 0, "%s is there twice", f->key);
}

static size_t check_section(const struct weir_config_section *s)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct weir_config_field *f = &s->fields[i];
        if (f->type != WEIR_CONFIG_INCLUDE) {
            check_field(s, f);
            count++;
        }
        if (f->section != NULL)
            count += check_section(f->section);
    }
    return count;
}

START_TEST(test_the_table_fits_the_model)
{
    ck_assert_uint_gt(check_section(&weir_config_root), 150);
}
END_TEST

START_TEST(test_every_basic_form_names_an_advanced_key)
{
    const struct weir_config_section *s = &weir_config_section_http;
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->fields[i].alias_of == NULL)
            continue;
        char path[64];
        snprintf(path, sizeof path, "%s", s->fields[i].alias_of);
        char *dot = strchr(path, '.');
        ck_assert_ptr_nonnull(dot);
        *dot = '\0';
        char *base = NULL;
        const struct weir_config_field *outer = weir_config_field_find(s, path, &base);
        ck_assert_ptr_nonnull(outer);
        const struct weir_config_field *inner = weir_config_field_find(outer->section, dot + 1, &base);
        ck_assert_msg(inner != NULL, "%s", s->fields[i].alias_of);
        ck_assert_uint_eq(outer->offset + inner->offset, s->fields[i].offset);
        ck_assert_int_eq(inner->type, s->fields[i].type);
        ck_assert_double_eq(inner->max, s->fields[i].max);
        count++;
    }
    ck_assert_uint_eq(count, 6);
}
END_TEST

static void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fputs(text, stderr);
    ck_assert_msg(strstr(text, part) != NULL, "no \"%s\"", part);
}

START_TEST(test_where_each_value_came_from)
{
    config_case_env = "production";
    k = config_parse("http_client:\n"
                     "  max_connections: 111\n"
                     "providers:\n"
                     "  p:\n"
                     "    base_url: http://127.0.0.1:1\n"
                     "    timeout: 7\n"
                     "production:\n"
                     "  http_client: {keepalive_expiry: 17}\n");
    char *text = config_text(k.c);
    expect_in(text, "  \"p\": # f.yaml:4\n");
    expect_in(text, "      max_connections: 111 # http_client, f.yaml:2\n");
    expect_in(text, "      keepalive_expiry: 17 # http_client, production overlay, f.yaml:8\n");
    expect_in(text, "      read: 7 # f.yaml:6\n");
    expect_in(text, "      connect: 10 # default\n");
    expect_in(text, "    max_connections_cap: 166 # default: 1.5 x max_connections\n");
    expect_in(text, "    max_connections: 111 # f.yaml:2\n");
    expect_in(text, "    keepalive_expiry: 17 # production overlay, f.yaml:8\n");
    expect_in(text, "      - url: \"http://127.0.0.1:1\" # f.yaml:5\n");
    free(text);
}
END_TEST

START_TEST(test_secrets_are_masked)
{
    k = config_parse("server: {admin: {token: hush-1}}\n"
                     "providers:\n"
                     "  p: {base_url: 'http://127.0.0.1:1', api_key: hush-2, headers: {x-key: hush-3}}\n"
                     "  q: {base_url: 'http://127.0.0.1:1', api_key_file: /key}\n"
                     "  r: {base_url: 'http://127.0.0.1:1', api_key: '${KEY}'}\n"
                     "distributed_pool: {redis_url: 'redis://user:hush-4@h:1/2', peer_secret: hush-5}\n");
    ck_assert_ptr_nonnull(k.c);
    char *text = config_text(k.c);
    ck_assert_ptr_null(strstr(text, "hush"));
    ck_assert_ptr_null(strstr(text, "secret-from"));
    expect_in(text, "api_key_file: \"/key\" # f.yaml:4");
    expect_in(text, "redis_url: \"redis://********@h:1/2\"");
    expect_in(text, "token: \"********\" # f.yaml:1");
    free(text);
    config_case_end(&k);
    k = config_parse("providers: {p: {base_url: 'http://127.0.0.1:1'}}\ndistributed_pool: {redis_url: "
                     "'redis+sentinel://u:hush-6@a,b/m?sentinel_password=hush-7'}\n");
    text = config_text(k.c);
    ck_assert_ptr_null(strstr(text, "hush"));
    expect_in(text, "redis_url: \"redis+sentinel://********@a,b/m?********\"");
    free(text);
}
END_TEST

/* Without the comments: those differ, since everything is written then. */
static char *without_comments(char *text)
{
    char *out = text;
    for (char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        char *mark = memmem(line, len, " # ", 3);
        size_t kept = line[0] == '#' ? 0 : mark != NULL ? (size_t)(mark - line) : len;
        memmove(out, line, kept);
        out += kept;
        *out++ = '\n';
        line += len + (line[len] == '\n');
    }
    *out = '\0';
    return text;
}

START_TEST(test_what_is_printed_reads_back_as_the_same)
{
    k = config_parse(
        "environment: development\n"
        "server: {listen: ['127.0.0.1:1', {address: '[::1]:2', proxy_protocol: true}], workers: 3,\n"
        "  trusted_proxies: [10.0.0.0/8, 'fd00::/8'], idle_timeout: 250ms}\n"
        "http_client: {max_connections: 7, retry: {backoff_factor: 0.1, methods: [GET]}}\n"
        "providers:\n"
        "  a: {endpoints: [{url: 'http://127.0.0.1:1/x', weight: 2}, {url: 'http://127.0.0.1:2'}]}\n"
        "  b: {base_url: 'http://127.0.0.1:3', rate_limit: {requests_per_minute: 60}, timeout: 7}\n"
        "routes: [{path_prefix: /a, provider: a, strip_prefix: true, header: {name: x, value: 'a\"$${b}\\\\'}}]\n"
        "alerts: [{name: n, condition: 'pending_requests > 1', for: 5, severity: critical, action: scale_up}]\n"
        "development: {logging: {level: debug}}\n");
    ck_assert_ptr_nonnull(k.c);
    char *first = config_text(k.c);
    config_case_end(&k);
    k = config_parse(first);
    if (k.c == NULL)
        config_expect(&k, "");
    char *second = config_text(k.c);
    ck_assert_str_eq(without_comments(first), without_comments(second));
    free(first);
    free(second);
}
END_TEST

static json_t *schema_load(void)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, (size_t)1 << 24);
    ck_assert(weir_config_print_schema(&text));
    json_error_t error;
    json_t *root = json_loadb(text.ptr, text.len, 0, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    weir_textbuf_close(&text);
    return root;
}

START_TEST(test_the_json_schema)
{
    json_t *root = schema_load();
    ck_assert_str_eq(json_string_value(json_object_get(root, "$schema")),
                     "https://json-schema.org/draft/2020-12/schema");
    json_t *properties = json_object_get(root, "properties");
    for (size_t i = 0; i < weir_config_root.count; i++)
        ck_assert_ptr_nonnull(json_object_get(properties, weir_config_root.fields[i].key));
    ck_assert_ptr_nonnull(json_object_get(properties, "production"));
    json_t *overlay = json_object_get(json_object_get(root, "$defs"), "overlay");
    ck_assert_ptr_null(json_object_get(json_object_get(overlay, "properties"), "environment"));
    json_decref(root);
}
END_TEST

START_TEST(test_the_reference_page_has_every_section)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, (size_t)1 << 20);
    weir_config_print_docs(&text);
    weir_textbuf_char(&text, '\0');
    ck_assert(!text.failed);
    expect_in(text.ptr, "\n## http_client.pool_limits\n");
    expect_in(text.ptr, "\n## providers.NAME\n");
    expect_in(text.ptr, "\n## providers.NAME.endpoints[]\n");
    expect_in(text.ptr, "\n## routes[].header\n");
    expect_in(text.ptr, "| `retry_attempts` | whole number, 0 to 20 | `retry.attempts`'s | Basic form. The same as "
                        "`retry.attempts`. |\n");
    weir_textbuf_close(&text);
}
END_TEST

CHECK_MAIN("config_output", NULL, teardown, test_the_table_fits_the_model, test_every_basic_form_names_an_advanced_key,
           test_where_each_value_came_from, test_secrets_are_masked, test_what_is_printed_reads_back_as_the_same,
           test_the_json_schema, test_the_reference_page_has_every_section)
