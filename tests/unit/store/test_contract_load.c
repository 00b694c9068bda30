/* What every kind of store does with records of load, the leader's history and its advice; as test_contract.c. */
#include <stdlib.h>

#include "check_main.h"
#include "helper_store.h"

static struct store_fixture f;

static enum weir_coord_word append(const char *text)
{
    struct weir_coord_request q = {.op = WEIR_COORD_APPEND, .append = weir_str_of(text)};
    return store_ask(&f, &q);
}

static const struct weir_coord_entries_reply *loads(uint64_t after, uint32_t count)
{
    struct weir_coord_request q = {.op = WEIR_COORD_LOADS, .loads = {after, count}};
    ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
    return &f.reply.entries;
}

START_TEST(test_loads_are_read_from_where_one_was)
{
    char *text = calloc(1, WEIR_COORD_RECORD_MAX + 2);
    EACH_STORE(&f)
    {
        ck_assert_uint_eq(loads(0, 10)->newest, 0);
        ck_assert_int_eq(append("node=a\nprovider p requests=1\n"), WEIR_COORD_OK);
        uint64_t now_us = f.reply.now_us;
        append("node=b");
        append("node=c");
        const struct weir_coord_entries_reply *r = loads(0, 2);
        ck_assert_uint_eq(r->count, 2);
        ck_assert_uint_eq(r->at[0].id, now_us);
        ck_assert(weir_str_eq(r->at[0].text, WEIR_STR("node=a\nprovider p requests=1\n")));
        ck_assert_uint_eq(r->upto, r->at[1].id);
        ck_assert_uint_gt(r->newest, r->upto);
        r = loads(r->upto, 2);
        ck_assert_uint_eq(r->count, 1);
        ck_assert(weir_str_eq(r->at[0].text, WEIR_STR("node=c")));
        ck_assert_uint_eq(r->upto, r->newest);
        ck_assert_uint_eq(loads(r->upto, 2)->count, 0);
        ck_assert_uint_eq(loads(r->newest + 1, 9)->count, 3); /* of contents that are gone */

        ck_assert_int_eq(append(""), WEIR_COORD_REFUSED);
        ck_assert_int_eq(append("\x01"), WEIR_COORD_REFUSED);
        memset(text, 'x', WEIR_COORD_RECORD_MAX + 1);
        ck_assert_int_eq(append(text), WEIR_COORD_REFUSED);
        text[WEIR_COORD_RECORD_MAX] = '\0';
        for (unsigned i = 0; i < 70; i++)
            ck_assert_int_eq(append(text), WEIR_COORD_OK);
        r = loads(0, WEIR_COORD_ENTRIES_MAX);
        ck_assert_uint_eq(r->count, 3 + WEIR_COORD_ENTRIES_BYTES_MAX / WEIR_COORD_RECORD_MAX - 1);
        r = loads(r->upto, WEIR_COORD_ENTRIES_MAX);
        ck_assert_uint_eq(r->count, 70 + 1 - WEIR_COORD_ENTRIES_BYTES_MAX / WEIR_COORD_RECORD_MAX);
        ck_assert_uint_eq(r->at[0].text.len, WEIR_COORD_RECORD_MAX);
        weir_arena_reset(&f.arena);
    }
    free(text);
}
END_TEST

static uint64_t lead(const char *id)
{
    struct weir_coord_request q = coord_lead(id, 0, 600000);
    ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
    return f.reply.lead.led.token;
}

static struct weir_coord_request a_fold(uint64_t token, uint32_t step, uint64_t number)
{
    struct weir_coord_fold fold = {
        .id = "c1", .token = token, .step = step, .step_ms = 10000, .number = number, .text = WEIR_STR("requests=7")};
    return (struct weir_coord_request){.op = WEIR_COORD_FOLD, .fold = fold};
}

START_TEST(test_the_leader_keeps_series)
{
    EACH_STORE(&f)
    {
        uint64_t token = lead("c1"), under_way = f.reply.now_us / 10000000;
        struct weir_coord_request q = a_fold(token, 1, under_way - 9);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.fold_newest, under_way - 9);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_STALE);
        ck_assert_uint_eq(f.reply.fold_newest, under_way - 9);
        q = a_fold(token + 1, 1, under_way - 8);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_STALE);
        q = a_fold(token, 1, under_way + 10);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_REFUSED);
        q = a_fold(token, WEIR_COORD_STEPS, under_way - 8);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_REFUSED);
        q = a_fold(token, 1, under_way - 7);
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);

        struct weir_coord_request all = {.op = WEIR_COORD_SERIES, .series = {.step = 1, .count = 10}};
        ck_assert_int_eq(store_ask(&f, &all), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.entries.count, 2);
        ck_assert_uint_eq(f.reply.entries.step_ms, 10000);
        ck_assert_uint_eq(f.reply.entries.at[1].id, under_way - 7);
        ck_assert(weir_str_eq(f.reply.entries.at[1].text, WEIR_STR("requests=7")));
        all.series.after = under_way - 9;
        store_ask(&f, &all);
        ck_assert_uint_eq(f.reply.entries.count, 1);
        all.series = (struct weir_coord_series){.step = 2, .count = 10};
        store_ask(&f, &all);
        ck_assert_uint_eq(f.reply.entries.count, 0);

        q = a_fold(token, 1, under_way * 10 - 70);
        q.fold.step_ms = 1000; /* configured anew */
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        all.series = (struct weir_coord_series){.step = 1, .count = 10};
        store_ask(&f, &all);
        ck_assert_uint_eq(f.reply.entries.count, 1);
        ck_assert_uint_eq(f.reply.entries.step_ms, 1000);
    }
}
END_TEST

START_TEST(test_the_leaders_advice_is_for_all)
{
    char *text = calloc(1, WEIR_COORD_ANALYTICS_MAX + 1);
    memset(text, ' ', WEIR_COORD_ANALYTICS_MAX + 1);
    text[0] = '{';
    EACH_STORE(&f)
    {
        struct weir_coord_request get = {.op = WEIR_COORD_ADVICE, .advice_whole = true};
        ck_assert_int_eq(store_ask(&f, &get), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.advice.version, 0);
        struct weir_coord_request q = {.op = WEIR_COORD_ADVISE, .advise = {.id = "c1", .token = lead("c1")}};
        text[WEIR_COORD_ANALYTICS_MAX - 1] = '}';
        q.advise.hints = WEIR_STR("{\"schema\":1}");
        q.advise.analytics = (struct weir_str){text, WEIR_COORD_ANALYTICS_MAX};
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.advise_version, 1);
        uint64_t now_us = f.reply.now_us;
        RUN_UNTIL(&f.r, f.pushes[WEIR_COORD_PUSH_HINTS] == 1);
        ck_assert_uint_eq(f.push.advice_version, 1);
        struct weir_coord_member m = coord_member("n", 1);
        struct weir_coord_request beat = coord_beat(&m);
        ck_assert_int_eq(store_ask(&f, &beat), WEIR_COORD_OK);
        ck_assert_uint_eq(f.reply.beat.advice_version, 1);
        q.advise.hints = WEIR_STR("{}");
        q.advise.analytics = WEIR_STR("");
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);

        store_ask(&f, &get);
        ck_assert_uint_eq(f.reply.advice.version, 2);
        ck_assert_str_eq(f.reply.advice.leader, "c1");
        ck_assert_uint_ge(f.reply.advice.unix_ms, now_us / 1000);
        ck_assert(weir_str_eq(f.reply.advice.hints, WEIR_STR("{}")));
        ck_assert(weir_str_eq(f.reply.advice.analytics, (struct weir_str){text, WEIR_COORD_ANALYTICS_MAX}));
        get.advice_whole = false;
        store_ask(&f, &get);
        ck_assert_uint_eq(f.reply.advice.analytics.len, 0);

        q.advise.token++;
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_STALE);
        ck_assert_uint_eq(f.reply.advise_version, 2);
        text[WEIR_COORD_ANALYTICS_MAX] = '}';
        q.advise.analytics = (struct weir_str){text, WEIR_COORD_ANALYTICS_MAX + 1};
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_REFUSED);
        q.advise.hints = WEIR_STR("");
        q.advise.analytics = WEIR_STR("");
        ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_REFUSED);
        ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_HINTS], 2);
    }
    free(text);
}
END_TEST

START_TEST(test_series_are_bounded)
{
    EACH_STORE(&f)
    {
        uint64_t token = lead("c1"), first = f.reply.now_us / 10000000 - 2 * WEIR_COORD_SERIES_0_MAX;
        for (uint64_t n = first; n <= first + WEIR_COORD_SERIES_0_MAX; n++) {
            struct weir_coord_request q = a_fold(token, 0, n);
            ck_assert_int_eq(store_ask(&f, &q), WEIR_COORD_OK);
        }
        struct weir_coord_request q = {.op = WEIR_COORD_SERIES, .series = {.count = UINT32_MAX}};
        store_ask(&f, &q);
        ck_assert_uint_eq(f.reply.entries.count, WEIR_COORD_ENTRIES_MAX);
        ck_assert_uint_eq(f.reply.entries.at[0].id, first + 1);
        q.series.after = f.reply.entries.upto;
        store_ask(&f, &q);
        ck_assert_uint_eq(f.reply.entries.count, WEIR_COORD_SERIES_0_MAX - WEIR_COORD_ENTRIES_MAX);
    }
}
END_TEST

CHECK_MAIN("contract_load", NULL, NULL, test_loads_are_read_from_where_one_was, test_the_leader_keeps_series,
           test_the_leaders_advice_is_for_all, test_series_are_bounded)
