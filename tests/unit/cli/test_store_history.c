/* The history in the store, added up from its three series. */
#include "cli/store_history.h"

#include "check_main.h"
#include "cli/show.h"

#define HOUR_MS 3600000u
#define NOW_MS  (UINT64_C(1000) * HOUR_MS)

static struct ctl_store_history h;

static const char reused[] =
    "weir-load 1 slot=1 nodes=2 utilization_pct=40\nprovider x requests=10 leases=10 reused=9\n";

/* Points from first on, of which the series has as many as newest says. */
static void answer(uint32_t step_ms, uint64_t first, uint32_t count, uint64_t newest, const char *text)
{
    struct weir_coord_entry at[8];
    struct weir_coord_reply r = {.op = WEIR_COORD_SERIES, .now_us = NOW_MS * 1000};
    for (uint32_t i = 0; i < count; i++)
        at[i] = (struct weir_coord_entry){first + i, weir_str_of(text)};
    r.entries = (struct weir_coord_entries_reply){
        .newest = newest, .upto = count > 0 ? first + count - 1 : newest, .step_ms = step_ms, .count = count, .at = at};
    ctl_store_history_take(&h, &r);
}

static double number(const char *key)
{
    double n;
    json_t *page = ctl_store_history_page(&h);
    const json_t *p = json_array_get(json_object_get(page, "providers"), 0);
    if (!ctl_number(page, key, &n))
        ctl_number(p, key, &n);
    json_decref(page);
    return n;
}

START_TEST(test_longest_step_first)
{
    const uint32_t ten = 600000, one = 60000, slot = 10000;
    const uint64_t first = NOW_MS / ten - 3; /* thirty minutes ago */
    ctl_store_history_begin(&h, UINT64_C(48) * HOUR_MS);
    ck_assert_uint_eq(h.next.step, 2);
    answer(ten, first, 1, first + 1, reused);
    ck_assert_uint_eq(h.next.step, 2); /* there is more of it */
    ck_assert_uint_eq(h.next.after, first);
    answer(ten, first + 1, 1, first + 1, reused);
    ck_assert_uint_eq(h.next.step, 1);
    ck_assert_uint_eq(h.next.after, 0);
    answer(one, NOW_MS / one - 12, 4, NOW_MS / one - 9, reused); /* of which two are in the step of ten minutes */
    ck_assert_uint_eq(h.next.step, 0);
    ck_assert(!h.over);
    answer(slot, NOW_MS / slot - 2, 1, NOW_MS / slot - 2, reused);
    ck_assert(h.over);
    ck_assert_double_eq(number("told_seconds"), 600 * 2 + 60 * 2 + 10);
    ck_assert_double_eq(number("requests"), 50);
    ck_assert_double_eq(number("reused"), 45);
    ck_assert_double_eq(number("utilization_percent_peak"), 40);
}
END_TEST

START_TEST(test_what_is_older_or_broken)
{
    ctl_store_history_begin(&h, HOUR_MS);
    ck_assert_uint_eq(h.next.step, 0);
    answer(10000, NOW_MS / 10000 - 361, 2, NOW_MS / 10000 - 360, reused);
    ck_assert(h.over);
    ck_assert_double_eq(number("requests"), 10); /* one is older than an hour */
    ctl_store_history_begin(&h, HOUR_MS);
    answer(10000, NOW_MS / 10000 - 9, 3, NOW_MS / 10000 - 7, "weir-load 1 slot=x");
    answer(10000, UINT64_MAX - 3, 2, UINT64_MAX, reused);
    answer(0, 3, 2, 4, reused);
    ck_assert_double_eq(number("told_seconds"), 0);
}
END_TEST

START_TEST(test_a_store_that_does_not_go_on)
{
    ctl_store_history_begin(&h, HOUR_MS);
    answer(10000, 0, 0, 0, reused);
    ck_assert(h.over);
    ctl_store_history_begin(&h, 20 * HOUR_MS);
    const struct weir_coord_reply r = {.op = WEIR_COORD_SERIES, .entries = {.newest = 9, .upto = 0, .step_ms = 60000}};
    ctl_store_history_take(&h, &r); /* says that there is more, and gives nothing */
    ck_assert_uint_eq(h.next.step, 0);
    ctl_store_history_take(&h, &r);
    ck_assert(h.over);
}
END_TEST

CHECK_MAIN("store_history", NULL, NULL, test_longest_step_first, test_what_is_older_or_broken,
           test_a_store_that_does_not_go_on)
