#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/affinity.h"
#include "core/hash.h"
#include "helper/core_failmalloc.h"

static struct weir_arena arena;
static struct weir_fields fields;
static struct weir_affinity *list;
static struct weir_affinity_search search;
static struct weir_err err;
static const char *address;

static void setup(void)
{
    weir_arena_init(&arena);
    fields = (struct weir_fields){0};
    address = "192.0.2.1";
}

static void teardown(void)
{
    weir_affinity_free(&list);
    weir_arena_reset(&arena);
}

/* The list from here on; fewer end in NULL. */
static void sources(const char *a, const char *b, const char *c, const char *d)
{
    const char *texts[] = {a, b, c, d};
    size_t count = 0;
    while (count < 4 && texts[count] != NULL)
        count++;
    weir_affinity_free(&list);
    ck_assert_int_eq(weir_affinity_new(&list, texts, count, &err), WEIR_OK);
}

static void field(const char *name, const char *value)
{
    ck_assert(weir_fields_add(&fields, &arena, weir_str_of(name), weir_str_of(value)));
    fields.at[fields.count - 1].id = weir_field_id_of(weir_str_of(name));
}

static void no_fields(void)
{
    fields.count = 0;
}

static struct weir_affinity_key key(const char *body, size_t step)
{
    bool decided = weir_affinity_begin(&search, list, &fields, weir_str_of(address), 1000);
    for (size_t i = 0, len = strlen(body); !decided && i < len; i += step)
        decided = weir_affinity_body(&search, (struct weir_str){body + i, len - i < step ? len - i : step});
    return weir_affinity_end(&search);
}

/* The key is that value from that source, however the body is cut. */
static void expect_with(const char *body, const char *source, const char *value)
{
    for (size_t step = 1; step <= strlen(body) + 1; step++) {
        struct weir_affinity_key k = key(body, step);
        ck_assert(k.there);
        ck_assert(weir_str_eq(k.source, weir_str_of(source)));
        ck_assert_uint_eq(k.hash, weir_hash64_str(weir_str_of(value), weir_hash64_str(weir_str_of(source), 0)));
    }
}

static void expect(const char *source, const char *value)
{
    expect_with("", source, value);
}

START_TEST(test_the_first_that_is_there)
{
    sources("header:X-Session-Id", "json:user", "api_key", "address");
    field("x-session-id", " s1 ");
    field("authorization", "Bearer sk-1");
    expect_with("{\"user\":\"u\"}", "header:x-session-id", "s1");
    ck_assert(weir_affinity_begin(&search, list, &fields, weir_str_of(address), 1000)); /* no body is waited for */
    no_fields();
    field("authorization", "Bearer sk-1");
    ck_assert(!weir_affinity_begin(&search, list, &fields, weir_str_of(address), 1000));
    expect_with("{\"user\":\"u\",\"x\":1}", "json:user", "u");
    expect_with("{\"user\":7}", "json:user", "7");
    expect_with("{\"user\":\"\"}", "api_key", "sk-1");
    expect_with("{\"user\":null}", "api_key", "sk-1");
    expect_with("no json", "api_key", "sk-1");
    expect("api_key", "sk-1");
    no_fields();
    expect("address", "192.0.2.1");
    address = "";
    ck_assert(!key("{}", 1).there);
}
END_TEST

START_TEST(test_headers)
{
    sources("header:x-a", "address", NULL, NULL);
    field("x-a", "");
    field("x-ab", "other");
    field("x-a", "second");
    field("x-a", "third");
    expect("header:x-a", "second");
}
END_TEST

START_TEST(test_cookies)
{
    static const struct {
        const char *field, *value; /* NULL: none */
    } cases[] = {
        {"sid=abc", "abc"},
        {"a=1; sid=abc; b=2", "abc"},
        {"a=1;sid=abc;b=2", "abc"},
        {" sid = abc ", "abc"},
        {"sid=a=b=", "a=b="},
        {"sid=; sid=x", "x"},
        {"sid=x; sid=y", "x"},
        {"sid=\"q\"", "\"q\""},
        {"xsid=1; sidx=2; SID=3; sid", NULL},
        {"a=sid=4; =5;;;", NULL},
        {"", NULL},
    };
    sources("cookie:sid", "address", NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        no_fields();
        field("cookie", cases[i].field);
        if (cases[i].value != NULL)
            expect("cookie:sid", cases[i].value);
        else
            expect("address", address);
    }
    field("cookie", "sid=in a field of its own");
    expect("cookie:sid", "in a field of its own");
}
END_TEST

START_TEST(test_api_keys)
{
    static const struct {
        const char *authorization, *x_api_key, *value;
    } cases[] = {
        {"Bearer sk-1", "other", "sk-1"}, {"bearer  sk-1 ", "", "sk-1"}, {"", "sk-1", "sk-1"},
        {"Basic dTpw", "sk-1", "sk-1"},   {"Bearer", "sk-1", "sk-1"},    {"Bearer ", "sk-1", "sk-1"},
        {"Bearersk-1", NULL, NULL},       {"Basic dTpw", NULL, NULL},    {"Bearer", "", NULL},
    };
    sources("api_key", "address", NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        no_fields();
        field("authorization", cases[i].authorization);
        if (cases[i].x_api_key != NULL)
            field("x-api-key", cases[i].x_api_key);
        if (cases[i].value != NULL)
            expect("api_key", cases[i].value);
        else
            expect("address", address);
    }
}
END_TEST

/* The first in the list counts, not the first in the body. */
START_TEST(test_the_order_of_members_does_not_matter)
{
    sources("json:prompt_cache_key", "json:user", "address", NULL);
    expect_with("{\"user\":\"u\",\"prompt_cache_key\":\"k\"}", "json:prompt_cache_key", "k");
    expect_with("{\"prompt_cache_key\":\"k\",\"user\":\"u\"}", "json:prompt_cache_key", "k");
    expect_with("{\"user\":\"u\",\"x\":[]}", "json:user", "u");
    expect_with("{\"user\":\"u\",\"prompt_cache_key\":\"\"}", "json:user", "u");
    expect_with("{\"user\":\"u\",\"prompt_cache_key\":{}}", "json:user", "u");
    ck_assert(!weir_affinity_begin(&search, list, &fields, WEIR_STR("1"), 1000));
    ck_assert(!weir_affinity_body(&search, WEIR_STR("{\"user\":\"u\"")));
    ck_assert(weir_affinity_body(&search, WEIR_STR(",\"prompt_cache_key\":\"k\"")));
}
END_TEST

START_TEST(test_bodies_that_are_not_looked_at)
{
    static const struct {
        const char *type;
        bool looked_at;
    } types[] = {
        {"application/json", true},
        {"Application/JSON; charset=utf-8", true},
        {"application/vnd.api+json", true},
        {"text/plain", false},
        {"multipart/form-data; boundary=json", false},
        {"application/x-ndjson", false},
        {"json", false},
        {"", false},
    };
    sources("json:user", "address", NULL, NULL);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        no_fields();
        field("content-type", types[i].type);
        ck_assert_int_eq(weir_affinity_begin(&search, list, &fields, WEIR_STR("1"), 1000), !types[i].looked_at);
    }
    no_fields();
    field("content-encoding", "gzip");
    ck_assert(weir_affinity_begin(&search, list, &fields, WEIR_STR("1"), 1000));
    no_fields();
    ck_assert(weir_affinity_begin(&search, list, &fields, WEIR_STR("1"), 0));
    ck_assert(weir_affinity_end(&search).there);
    ck_assert(!weir_affinity_begin(&search, list, &fields, WEIR_STR("1"), 5));
    ck_assert(weir_affinity_body(&search, WEIR_STR("{\"a\":\"\",\"user\":\"u\"}")));
    ck_assert(weir_str_eq(weir_affinity_end(&search).source, WEIR_STR("address")));
}
END_TEST

START_TEST(test_keys_are_not_confused)
{
    uint64_t hashes[6];
    static const char *const texts[][2] = {{"header:a", "session-1"}, {"header:a", "session-12"},
                                           {"header:b", "session-1"}, {"cookie:a", "session-1"},
                                           {"json:a", "session-1"},   {"api_key", "session-1"}};
    field("a", "session-1");
    field("b", "session-1");
    field("cookie", "a=session-1");
    field("x-api-key", "session-1");
    for (size_t i = 0; i < 6; i++) {
        sources(texts[i][0], NULL, NULL, NULL);
        fields.at[0].value = weir_str_of(texts[i][1]);
        struct weir_affinity_key k = key("{\"a\":\"session-1\"}", 100);
        ck_assert(k.there);
        hashes[i] = k.hash;
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(hashes[i], hashes[j]);
    }
}
END_TEST

/* The example of docs/sharding.md. */
START_TEST(test_the_published_key)
{
    sources("header:x-session-id", NULL, NULL, NULL);
    field("x-session-id", "session-1");
    ck_assert_uint_eq(key("", 1).hash, UINT64_C(0xc6fdf58dfd4b4225));
    fields.at[0].value = WEIR_STR("session-12");
    ck_assert_uint_eq(key("", 1).hash, UINT64_C(0x44332def8d075bf9));
}
END_TEST

START_TEST(test_lists)
{
    const char *texts[WEIR_AFFINITY_SOURCES_MAX + 1];
    char names[WEIR_AFFINITY_SOURCES_MAX + 1][16];
    for (size_t i = 0; i <= WEIR_AFFINITY_SOURCES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "header:x-%zu", i);
        texts[i] = names[i];
    }
    ck_assert_int_eq(weir_affinity_new(&list, texts, WEIR_AFFINITY_SOURCES_MAX + 1, &err), WEIR_ELIMIT);
    ck_assert_ptr_null(list);
    texts[3] = "header:X-0"; /* the same as the first */
    ck_assert_int_eq(weir_affinity_new(&list, texts, WEIR_AFFINITY_SOURCES_MAX + 1, &err), WEIR_OK);
    weir_affinity_free(&list);
    static const char *const json[] = {"json:a", "json:b", "json:c", "json:d", "json:a", "json:e"};
    ck_assert_int_eq(weir_affinity_new(&list, json, 5, &err), WEIR_OK);
    weir_affinity_free(&list);
    ck_assert_int_eq(weir_affinity_new(&list, json, 6, &err), WEIR_ELIMIT);
    static const char *const bad[] = {"header:", "ip", "json:a b", "", "address:x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(weir_affinity_new(&list, &bad[i], 1, &err), WEIR_EINVAL);
    ck_assert_int_eq(weir_affinity_new(&list, NULL, 0, &err), WEIR_OK);
    ck_assert(weir_affinity_begin(&search, list, &fields, WEIR_STR("1"), 1000) && !weir_affinity_end(&search).there);
}
END_TEST

START_TEST(test_without_memory)
{
    static const char *const texts[] = {"header:a", "cookie:b", "json:c"};
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        failmalloc_begin(n);
        int code = weir_affinity_new(&list, texts, 3, &err);
        bool none = list == NULL;
        weir_affinity_free(&list);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(code, more ? WEIR_ENOMEM : WEIR_OK);
        ck_assert_int_eq(none, more);
    }
}
END_TEST

CHECK_MAIN("affinity", setup, teardown, test_the_first_that_is_there, test_headers, test_cookies, test_api_keys,
           test_the_order_of_members_does_not_matter, test_bodies_that_are_not_looked_at, test_keys_are_not_confused,
           test_the_published_key, test_lists, test_without_memory)
