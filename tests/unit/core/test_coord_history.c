/* What the store keeps of the cluster's load, and the leader's advice: bounds, clocks and the fence. That requests
 * arrive at all kinds of stores is tested in tests/unit/store. */
#include <stdio.h>

#include "check_main.h"
#include "helper/core_coord.h"
#include "helper/core_failmalloc.h"

#define LEASE_MS 3000u
#define STEP_MS  10000u

static struct coord_fixture f;
static uint64_t token;

static void setup(void)
{
    coord_setup(&f);
    struct weir_coord_request q = coord_lead("c", 0, LEASE_MS);
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_OK);
    token = f.reply.lead.led.token;
}

static void teardown(void)
{
    coord_teardown(&f);
}

static void pass_ms(int64_t ms)
{
    f.now_us = (uint64_t)((int64_t)f.now_us + ms * 1000);
}

static void append(const char *text)
{
    struct weir_coord_request q = {.op = WEIR_COORD_APPEND, .append = weir_str_of(text)};
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_OK);
}

static const struct weir_coord_entries_reply *loads(uint64_t after, uint32_t count)
{
    struct weir_coord_request q = {.op = WEIR_COORD_LOADS, .loads = {after, count}};
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_OK);
    return &f.reply.entries;
}

static const struct weir_coord_entries_reply *series(uint32_t step, uint64_t after)
{
    struct weir_coord_request q = {.op = WEIR_COORD_SERIES, .series = {step, after, WEIR_COORD_ENTRIES_MAX}};
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_OK);
    return &f.reply.entries;
}

/* The point that the time now belongs to, of steps of that length. */
static uint64_t under_way(uint32_t step_ms)
{
    return f.now_us / 1000 / step_ms;
}

static enum weir_coord_word fold(uint32_t step, uint32_t step_ms, uint64_t number)
{
    struct weir_coord_fold q = {
        .id = "c", .token = token, .step = step, .step_ms = step_ms, .number = number, .text = WEIR_STR("requests=1")};
    return coord_do(&f, &(struct weir_coord_request){.op = WEIR_COORD_FOLD, .fold = q});
}

START_TEST(test_records_have_rising_ids_whatever_the_clock_does)
{
    append("first");
    append("at the same time");
    pass_ms(-5000);
    append("earlier");
    uint64_t last = loads(0, 9)->newest;
    ck_assert_uint_eq(f.reply.entries.count, 3);
    for (uint32_t i = 1; i < 3; i++)
        ck_assert_uint_eq(f.reply.entries.at[i].id, f.reply.entries.at[i - 1].id + 1);
    pass_ms(60000);
    append("later");
    ck_assert_uint_eq(loads(last, 9)->at[0].id, f.now_us);
}
END_TEST

START_TEST(test_old_records_go)
{
    append("a");
    pass_ms(1);
    append("b");
    pass_ms(WEIR_COORD_LOADS_KEPT_MS - 1);
    append("c");
    ck_assert_uint_eq(loads(0, 9)->count, 3);
    pass_ms(1);
    append("d");
    ck_assert_uint_eq(loads(0, 9)->count, 3);
    ck_assert(weir_str_eq(f.reply.entries.at[0].text, WEIR_STR("b")));
}
END_TEST

START_TEST(test_records_are_bounded)
{
    char text[16];
    uint64_t after = 0;
    unsigned count = 0, first = 3;
    for (unsigned i = 0; i < WEIR_COORD_LOADS_MAX + first; i++) {
        snprintf(text, sizeof text, "%u", i);
        append(text);
    }
    do {
        const struct weir_coord_entries_reply *r = loads(after, UINT32_MAX);
        for (uint32_t i = 0; i < r->count; i++, count++) {
            snprintf(text, sizeof text, "%u", first + count);
            ck_assert(weir_str_eq(r->at[i].text, weir_str_of(text)));
        }
        after = r->upto;
    } while (after < f.reply.entries.newest);
    ck_assert_uint_eq(count, WEIR_COORD_LOADS_MAX);
}
END_TEST

START_TEST(test_a_point_is_kept_once_and_in_its_order)
{
    uint64_t n = under_way(STEP_MS);
    ck_assert_int_eq(fold(0, STEP_MS, n), WEIR_COORD_REFUSED);
    ck_assert_int_eq(fold(0, STEP_MS, n - 3), WEIR_COORD_OK);
    ck_assert_int_eq(fold(0, STEP_MS, n - 1), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.fold_newest, n - 1);
    ck_assert_int_eq(fold(0, STEP_MS, n - 1), WEIR_COORD_STALE);
    ck_assert_int_eq(fold(0, STEP_MS, n - 2), WEIR_COORD_STALE);
    ck_assert_uint_eq(f.reply.fold_newest, n - 1);
    ck_assert_uint_eq(series(0, 0)->count, 2);
    ck_assert_uint_eq(f.reply.entries.at[0].id, n - 3);
    ck_assert_uint_eq(series(0, n - 1)->count, 0);
    ck_assert_uint_eq(series(0, n)->count, 2); /* of contents that are gone */
    ck_assert_uint_eq(series(1, 0)->count, 0);
}
END_TEST

START_TEST(test_only_the_leader_folds_and_advises)
{
    uint64_t n = under_way(STEP_MS);
    struct weir_coord_request advise = {.op = WEIR_COORD_ADVISE,
                                        .advise = {.id = "c", .token = token, .hints = WEIR_STR("{}")}};
    ck_assert_int_eq(coord_do(&f, &advise), WEIR_COORD_OK);
    pass_ms(LEASE_MS);
    ck_assert_int_eq(fold(0, STEP_MS, n - 1), WEIR_COORD_STALE);
    ck_assert_int_eq(coord_do(&f, &advise), WEIR_COORD_STALE);
    struct weir_coord_request q = coord_lead("d", 0, LEASE_MS);
    coord_do(&f, &q);
    ck_assert_int_eq(fold(0, STEP_MS, n - 1), WEIR_COORD_STALE);
    ck_assert_int_eq(coord_do(&f, &advise), WEIR_COORD_STALE);
    ck_assert_uint_eq(f.reply.advise_version, 1);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_HINTS], 1);
}
END_TEST

START_TEST(test_a_series_has_steps_of_one_length)
{
    ck_assert_int_eq(fold(2, STEP_MS, under_way(STEP_MS) - 1), WEIR_COORD_OK);
    ck_assert_int_eq(fold(2, 6 * STEP_MS, under_way(6 * STEP_MS) - 1), WEIR_COORD_OK);
    ck_assert_uint_eq(series(2, 0)->count, 1);
    ck_assert_uint_eq(f.reply.entries.step_ms, 6 * STEP_MS);
    ck_assert_int_eq(fold(2, STEP_MS, under_way(STEP_MS) - 1), WEIR_COORD_OK);
    ck_assert_uint_eq(series(2, 0)->count, 1);
    ck_assert_int_eq(fold(2, 0, 1), WEIR_COORD_REFUSED);
    ck_assert_int_eq(fold(2, WEIR_COORD_STEP_MS_MAX + 1, 1), WEIR_COORD_REFUSED);
    ck_assert_int_eq(fold(2, STEP_MS, 0), WEIR_COORD_REFUSED);
}
END_TEST

START_TEST(test_a_clock_set_back_does_not_end_a_series)
{
    uint64_t n = under_way(STEP_MS);
    ck_assert_int_eq(fold(0, STEP_MS, n - 1), WEIR_COORD_OK);
    pass_ms(-(int64_t)STEP_MS); /* the newest point is under way: as after a small correction */
    ck_assert_int_eq(fold(0, STEP_MS, n - 2), WEIR_COORD_STALE);
    pass_ms(-(int64_t)STEP_MS);
    ck_assert_int_eq(fold(0, STEP_MS, n - 3), WEIR_COORD_OK);
    ck_assert_uint_eq(series(0, 0)->count, 1);
    ck_assert_uint_eq(f.reply.entries.at[0].id, n - 3);
}
END_TEST

START_TEST(test_advice_stays_until_there_is_other)
{
    struct weir_coord_request advise = {
        .op = WEIR_COORD_ADVISE,
        .advise = {.id = "c", .token = token, .hints = WEIR_STR("{\"a\":1}"), .analytics = WEIR_STR("{\"b\":2}")}};
    struct weir_coord_request whole = {.op = WEIR_COORD_ADVICE, .advice_whole = true};
    coord_do(&f, &advise);
    ck_assert_uint_eq(f.last.advice_version, 1);
    advise.advise.hints = WEIR_STR("{}");
    advise.advise.analytics = WEIR_STR("");
    coord_do(&f, &advise);
    coord_do(&f, &whole);
    ck_assert_uint_eq(f.reply.advice.version, 2);
    ck_assert_str_eq(f.reply.advice.leader, "c");
    ck_assert_uint_eq(f.reply.advice.unix_ms, f.now_us / 1000);
    ck_assert(weir_str_eq(f.reply.advice.hints, WEIR_STR("{}")));
    ck_assert(weir_str_eq(f.reply.advice.analytics, WEIR_STR("{\"b\":2}")));
    coord_ask(&f, WEIR_COORD_ADVICE);
    ck_assert_uint_eq(f.reply.advice.analytics.len, 0);
    static const char *const odd[] = {"", "[]", "{", "{}\n", "{\n}"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        advise.advise.hints = weir_str_of(odd[i]);
        ck_assert_int_eq(coord_do(&f, &advise), WEIR_COORD_REFUSED);
    }
}
END_TEST

/* Whatever finds no memory is refused and has changed nothing. */
START_TEST(test_without_memory_nothing_changes)
{
    struct weir_coord_fold other = {.id = "c",
                                    .token = token,
                                    .step_ms = 2 * STEP_MS,
                                    .number = under_way(2 * STEP_MS) - 1,
                                    .text = WEIR_STR("requests=2")};
    const struct weir_coord_request requests[] = {
        {.op = WEIR_COORD_APPEND, .append = WEIR_STR("x")},
        {.op = WEIR_COORD_FOLD, .fold = other},
        {.op = WEIR_COORD_ADVISE,
         .advise = {.id = "c", .token = token, .hints = WEIR_STR("{}"), .analytics = WEIR_STR("{}")}},
    };
    ck_assert_int_eq(fold(0, STEP_MS, under_way(STEP_MS) - 1), WEIR_COORD_OK);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        bool failed = true;
        for (unsigned long n = 1; failed; n++) {
            failmalloc_begin(n);
            weir_coord_apply(f.state, f.now_us, &requests[i], &f.reply, NULL, NULL);
            failmalloc_end(&failed);
            ck_assert_int_eq(f.reply.word, failed ? WEIR_COORD_REFUSED : WEIR_COORD_OK);
            if (failed) {
                ck_assert_uint_eq(series(0, 0)->step_ms, i < 2 ? STEP_MS : 2 * STEP_MS);
                coord_ask(&f, WEIR_COORD_ADVICE);
                ck_assert_uint_eq(f.reply.advice.version, 0);
            }
        }
    }
    ck_assert_uint_eq(loads(0, 9)->count, 1);
    ck_assert_uint_eq(series(0, 0)->step_ms, 2 * STEP_MS);
}
END_TEST

CHECK_MAIN("coord_history", setup, teardown, test_records_have_rising_ids_whatever_the_clock_does, test_old_records_go,
           test_records_are_bounded, test_a_point_is_kept_once_and_in_its_order, test_only_the_leader_folds_and_advises,
           test_a_series_has_steps_of_one_length, test_a_clock_set_back_does_not_end_a_series,
           test_advice_stays_until_there_is_other, test_without_memory_nothing_changes)
