#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/load_record.h"
#include "core/rng.h"

static struct weir_load_record record, back;
static struct weir_textbuf text;
static struct weir_err err;

static void setup(void)
{
    weir_textbuf_init(&text, 2 * WEIR_LOAD_RECORD_TEXT_MAX);
}

static void teardown(void)
{
    weir_textbuf_close(&text);
}

static struct weir_str printed(const struct weir_load_record *r, uint32_t providers)
{
    weir_textbuf_close(&text);
    ck_assert_uint_eq(weir_load_record_print(&text, r), providers);
    ck_assert(!text.failed && text.len <= WEIR_LOAD_RECORD_TEXT_MAX);
    return (struct weir_str){text.ptr, text.len};
}

static void parse(struct weir_str s)
{
    ck_assert_msg(weir_load_record_parse(&back, s, &err) == WEIR_OK, "%s", err.msg);
}

#define HEAD "weir-load 1 node=node-a slot=176402988 nodes=1 in_flight_peak=31 utilization_pct=42 loop_lag_us=830\n"
#define GOOD \
    HEAD "provider openai requests=118 in_flight_mean=24310 in_flight_peak=31 tokens_out=5 hurting=1\nprovider b\n"

START_TEST(test_the_text_of_the_header)
{
    parse(WEIR_STR(GOOD));
    ck_assert_uint_eq(back.slot, 176402988);
    ck_assert_str_eq(back.node, "node-a");
    ck_assert_uint_eq(back.nodes, 1);
    ck_assert_uint_eq(back.in_flight_peak, 31);
    ck_assert_uint_eq(back.utilization_pct, 42);
    ck_assert_uint_eq(back.loop_lag_us, 830);
    ck_assert_uint_eq(back.count, 2);
    ck_assert_str_eq(back.items[0].provider, "openai");
    ck_assert_uint_eq(back.items[0].point.requests, 118);
    ck_assert_uint_eq(back.items[0].point.in_flight_mean, 24310);
    ck_assert_uint_eq(back.items[0].point.hurting, 1);
    ck_assert_uint_eq(back.items[0].point.refused, 0);
    ck_assert_uint_eq(back.items[0].point.tokens_in, WEIR_LOAD_ABSENT);
    ck_assert_uint_eq(back.items[0].point.tokens_out, 5);
    ck_assert_str_eq(back.items[1].provider, "b");
    ck_assert_uint_eq(back.items[1].point.requests, 0);
    ck_assert_uint_eq(back.items[1].point.tokens_out, WEIR_LOAD_ABSENT);
    ck_assert(weir_str_eq(printed(&back, 2), WEIR_STR(GOOD)));
}
END_TEST

START_TEST(test_any_record_is_read_as_it_was_written)
{
    struct weir_rng rng = {1};
    for (int i = 0; i < 500; i++) {
        memset(&record, 0, sizeof record);
        record.slot = weir_rng_next(&rng) >> 20;
        record.nodes = weir_rng_next(&rng) % 1000;
        record.loop_lag_us = weir_rng_next(&rng) % 3;
        if (i % 2 == 0)
            snprintf(record.node, sizeof record.node, "node-%d", i);
        for (uint64_t n = weir_rng_next(&rng) % 20; n > 0; n--) {
            char name[24];
            snprintf(name, sizeof name, "p%llu", (unsigned long long)n);
            struct weir_load_point *p = &weir_load_record_item(&record, weir_str_of(name))->point;
            p->requests = weir_rng_next(&rng) % 3;
            p->refused = weir_rng_next(&rng) % WEIR_LOAD_NUMBER_MAX;
            p->first_byte_p99_us = weir_rng_next(&rng) % 1000;
            p->tokens_out = weir_rng_next(&rng) % 2 == 0 ? 1 : WEIR_LOAD_ABSENT;
        }
        parse(printed(&record, record.count));
        ck_assert_uint_eq(back.count, record.count);
        ck_assert_uint_eq(back.slot, record.slot);
        ck_assert_uint_eq(back.nodes, record.nodes);
        ck_assert_uint_eq(back.loop_lag_us, record.loop_lag_us);
        ck_assert_str_eq(back.node, record.node);
        ck_assert_int_eq(memcmp(back.items, record.items, record.count * sizeof record.items[0]), 0);
    }
}
END_TEST

/* Tokens that were counted and are none are told by a later number only: 0 reads as absent. */
START_TEST(test_what_is_zero_is_left_out)
{
    memset(&record, 0, sizeof record);
    weir_load_record_item(&record, WEIR_STR("a"))->point.tokens_in = 0;
    ck_assert(weir_str_eq(printed(&record, 1), WEIR_STR("weir-load 1\nprovider a\n")));
    parse((struct weir_str){text.ptr, text.len});
    ck_assert_uint_eq(back.items[0].point.tokens_in, WEIR_LOAD_ABSENT);
}
END_TEST

/* Names and numbers of full length: the first providers are told, and what is told can be read. */
START_TEST(test_more_than_fits_is_left_out)
{
    memset(&record, 0, sizeof record);
    memset(record.node, 'n', WEIR_NODE_ID_MAX);
    for (uint32_t i = 0; i < WEIR_LOAD_PROVIDERS_MAX; i++) {
        char name[WEIR_PROVIDER_NAME_MAX + 1];
        snprintf(name, sizeof name, "%064u", i);
        struct weir_load_item *item = weir_load_record_item(&record, weir_str_of(name));
        memset(&item->point, 0x7f, sizeof item->point);
    }
    ck_assert_ptr_null(weir_load_record_item(&record, WEIR_STR("another")));
    ck_assert_ptr_nonnull(weir_load_record_item(&record, weir_str_of(record.items[63].provider)));
    uint32_t told = weir_load_record_print(&text, &record);
    ck_assert_uint_gt(told, 20);
    ck_assert_uint_lt(told, WEIR_LOAD_PROVIDERS_MAX);
    ck_assert(text.len <= WEIR_LOAD_RECORD_TEXT_MAX);
    parse((struct weir_str){text.ptr, text.len});
    ck_assert_uint_eq(back.count, told);
    ck_assert_uint_eq(back.items[told - 1].point.hurting, WEIR_LOAD_NUMBER_MAX);
}
END_TEST

START_TEST(test_fields_of_later_versions_are_passed_over)
{
    parse(WEIR_STR("weir-load 1 slot=7 mood=good nodes=2 x\nprovider a requestsx=9 requests=1 cost=2.5 =3 requests\n"));
    ck_assert_uint_eq(back.slot, 7);
    ck_assert_uint_eq(back.nodes, 2);
    ck_assert_uint_eq(back.items[0].point.requests, 1);
}
END_TEST

START_TEST(test_what_is_refused)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "line 0: not a load record of version 1"},
        {"weir-load 1", "line 0: not a load record of version 1"},
        {"weir-load 2 slot=1\n", "line 1: not a load record of version 1"},
        {"weir-load\n", "line 1: not a load record of version 1"},
        {"weir-load 1 slot=\n", "line 1: not a number"},
        {"weir-load 1 slot=-1\n", "line 1: not a number"},
        {"weir-load 1 slot=1e3\n", "line 1: not a number"},
        {"weir-load 1 slot=1000000000000001\n", "line 1: not a number"},
        {"weir-load 1 slot=99999999999999999999\n", "line 1: not a number"},
        {"weir-load 1 node=\n", "line 1: not a node's id"},
        {"weir-load 1 node=a/b\n", "line 1: not a node's id"},
        {HEAD "provider", "line 1: then not a provider's line"},
        {HEAD "\n", "line 2: then not a provider's line"},
        {HEAD "supplier a\n", "line 2: then not a provider's line"},
        {HEAD "provider\n", "line 2: not a provider's name"},
        {HEAD "provider  requests=1\n", "line 2: not a provider's name"},
        {HEAD "provider a\"b requests=1\n", "line 2: not a provider's name"},
        {HEAD "provider a requests=1x\n", "line 2: not a number"},
        {HEAD "provider a\nprovider a\n", "line 3: a provider that was told already"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(weir_load_record_parse(&back, weir_str_of(bad[i].text), &err), WEIR_EPROTO);
        ck_assert_str_eq(err.msg + strlen("load record, "), bad[i].why);
    }
    ck_assert_int_eq(weir_load_record_parse(&back, (struct weir_str){GOOD, WEIR_LOAD_RECORD_TEXT_MAX + 1}, &err),
                     WEIR_EPROTO);
    char long_name[] = HEAD "provider aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
    ck_assert_int_eq(weir_load_record_parse(&back, weir_str_of(long_name), &err), WEIR_EPROTO);
    weir_textbuf_str(&text, "weir-load 1\n");
    for (int i = 0; i <= (int)WEIR_LOAD_PROVIDERS_MAX; i++)
        weir_textbuf_printf(&text, "provider p%d\n", i);
    ck_assert_int_eq(weir_load_record_parse(&back, (struct weir_str){text.ptr, text.len}, &err), WEIR_EPROTO);
    ck_assert_str_eq(err.msg, "load record, line 66: too many providers");
}
END_TEST

/* Bytes by chance, and good texts with some of them: refused or read, never read beyond. */
START_TEST(test_noise)
{
    struct weir_rng rng = {7};
    for (int i = 0; i < 20000; i++) {
        size_t len = sizeof GOOD - 1 - (size_t)(weir_rng_next(&rng) % 40);
        char *copy = malloc(len);
        memcpy(copy, GOOD, len);
        for (uint64_t n = weir_rng_next(&rng) % 5; n > 0; n--)
            copy[weir_rng_next(&rng) % len] = (char)weir_rng_next(&rng);
        int code = weir_load_record_parse(&back, (struct weir_str){copy, len}, &err);
        ck_assert(code == WEIR_OK || code == WEIR_EPROTO);
        free(copy);
    }
}
END_TEST

CHECK_MAIN("load_record", setup, teardown, test_the_text_of_the_header, test_any_record_is_read_as_it_was_written,
           test_what_is_zero_is_left_out, test_more_than_fits_is_left_out,
           test_fields_of_later_versions_are_passed_over, test_what_is_refused, test_noise)
