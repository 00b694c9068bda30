/* Which addresses of a name are avoided, in what order the rest is dialed, and what a change of addresses means. */
#include "node/addresses.h"

#include <string.h>

#include "check_main.h"

#define COUNT 5

static struct {
    struct weir_addresses as;
    struct weir_address *at[COUNT];
    struct weir_addr addrs[COUNT];
} f;

static struct weir_addr literal(const char *text)
{
    struct weir_addr a;
    ck_assert(weir_addr_literal(&a, weir_str_of(text), 80));
    return a;
}

static struct weir_address_list list(unsigned count)
{
    return (struct weir_address_list){f.at, count};
}

static void setup(void)
{
    static const char *const texts[COUNT] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"};
    memset(&f, 0, sizeof f);
    weir_addresses_init(&f.as);
    weir_addresses_configure(&f.as, 3, 1000);
    for (unsigned i = 0; i < COUNT; i++) {
        f.addrs[i] = literal(texts[i]);
        f.at[i] = weir_address_new(&f.as, &f.addrs[i]);
        ck_assert_ptr_nonnull(f.at[i]);
    }
}

static void teardown(void)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (f.at[i] != NULL)
            weir_address_unref(f.at[i]);
    ck_assert_uint_eq(f.as.used, 0);
    ck_assert_uint_eq(f.as.out, 0);
}

static void take_effect(unsigned count)
{
    weir_addresses_take_effect(&f.as, list(count), (struct weir_address_list){0});
}

static enum weir_address_change failing(unsigned i, unsigned times, uint64_t now_ms)
{
    enum weir_address_change change = WEIR_ADDRESS_SAME;
    for (unsigned n = 0; n < times; n++) {
        ck_assert_int_eq(change, WEIR_ADDRESS_SAME);
        change = weir_address_tried(f.at[i], false, now_ms);
    }
    return change;
}

/* Indexes into f.addrs, as digits. */
static const char *order(unsigned count, const struct weir_addr *avoid, uint64_t now_ms)
{
    static char text[WEIR_ADDRESSES_MAX + 1];
    struct weir_addr out[WEIR_ADDRESSES_MAX];
    weir_addresses_order(&f.as, out, f.addrs, count, list(count), avoid, now_ms);
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < COUNT; k++)
            if (weir_addr_eq(&out[i], &f.addrs[k]))
                text[i] = (char)('0' + k);
    text[count] = '\0';
    return text;
}

START_TEST(test_failures_in_a_row_put_it_out_for_a_time)
{
    take_effect(3);
    ck_assert_int_eq(failing(0, 2, 100), WEIR_ADDRESS_SAME);
    ck_assert_int_eq(weir_address_tried(f.at[0], true, 100), WEIR_ADDRESS_SAME);
    ck_assert_int_eq(failing(0, 2, 100), WEIR_ADDRESS_SAME); /* a success between: from the start again */
    ck_assert(!weir_address_out(f.at[0], 100));
    ck_assert_int_eq(failing(0, 1, 100), WEIR_ADDRESS_OUT);
    ck_assert(weir_address_out(f.at[0], 100));
    ck_assert(weir_address_out(f.at[0], 1099));
    ck_assert(!weir_address_out(f.at[0], 1100));
}
END_TEST

START_TEST(test_on_probation_one_failure_is_enough_and_one_success_clears)
{
    take_effect(3);
    failing(0, 3, 0);
    ck_assert(!weir_address_out(f.at[0], 1000));
    ck_assert_int_eq(failing(0, 1, 1000), WEIR_ADDRESS_SAME); /* out again, which is no news */
    ck_assert(weir_address_out(f.at[0], 1500));
    ck_assert_int_eq(weir_address_tried(f.at[0], true, 1500), WEIR_ADDRESS_BACK);
    ck_assert(!weir_address_out(f.at[0], 1500));
    ck_assert_int_eq(failing(0, 2, 1500), WEIR_ADDRESS_SAME);
    ck_assert(!weir_address_out(f.at[0], 1500));
    ck_assert_int_eq(weir_address_tried(f.at[0], true, 1500), WEIR_ADDRESS_SAME);
}
END_TEST

START_TEST(test_what_fails_while_it_is_out_does_not_prolong_it)
{
    take_effect(3);
    failing(0, 3, 0);
    failing(0, 1, 900);
    ck_assert(!weir_address_out(f.at[0], 1000));
}
END_TEST

START_TEST(test_at_most_half_are_out)
{
    take_effect(4);
    ck_assert_int_eq(failing(0, 3, 0), WEIR_ADDRESS_OUT);
    ck_assert_int_eq(failing(1, 3, 0), WEIR_ADDRESS_OUT);
    ck_assert_int_eq(failing(2, 9, 0), WEIR_ADDRESS_SAME);
    ck_assert(!weir_address_out(f.at[2], 1));
    ck_assert_int_eq(weir_address_tried(f.at[2], true, 0), WEIR_ADDRESS_SAME); /* it never was out */
    ck_assert_int_eq(weir_address_tried(f.at[0], true, 0), WEIR_ADDRESS_BACK);
    ck_assert_int_eq(failing(2, 3, 0), WEIR_ADDRESS_OUT); /* there is room for it now */
}
END_TEST

START_TEST(test_the_only_one_is_never_out)
{
    take_effect(1);
    ck_assert_int_eq(failing(0, 9, 0), WEIR_ADDRESS_SAME);
    ck_assert(!weir_address_out(f.at[0], 0));
}
END_TEST

START_TEST(test_when_the_others_leave_none_counts_as_out)
{
    take_effect(4);
    failing(0, 3, 0);
    failing(1, 3, 0);
    take_effect(3);
    ck_assert(!weir_address_out(f.at[0], 1) && !weir_address_out(f.at[1], 1));
    take_effect(4);
    ck_assert(weir_address_out(f.at[0], 1) && weir_address_out(f.at[1], 1));
}
END_TEST

START_TEST(test_dials_take_turns)
{
    take_effect(3);
    ck_assert_str_eq(order(3, NULL, 0), "012");
    ck_assert_str_eq(order(3, NULL, 0), "120");
    ck_assert_str_eq(order(3, NULL, 0), "201");
    ck_assert_str_eq(order(3, NULL, 0), "012");
}
END_TEST

START_TEST(test_families_alternate_and_each_takes_turns)
{
    take_effect(5);
    ck_assert_str_eq(order(5, NULL, 0), "03142");
    ck_assert_str_eq(order(5, NULL, 0), "14230");
}
END_TEST

START_TEST(test_what_is_out_or_avoided_comes_last)
{
    take_effect(5);
    failing(0, 3, 0);
    failing(3, 3, 0);
    ck_assert_str_eq(order(5, NULL, 0), "14203");
    ck_assert_str_eq(order(5, &f.addrs[1], 0), "24031");
    ck_assert_str_eq(order(5, &f.addrs[0], 0), "14230"); /* avoided even among those that are out */
    ck_assert_str_eq(order(1, &f.addrs[0], 0), "0");
}
END_TEST

START_TEST(test_what_a_name_no_longer_has_is_gone)
{
    struct weir_address *const now[] = {f.at[2], f.at[1]};
    weir_addresses_take_effect(&f.as, list(2), (struct weir_address_list){0});
    weir_addresses_take_effect(&f.as, (struct weir_address_list){now, 2}, list(2));
    ck_assert(f.at[0]->gone);
    ck_assert(!f.at[1]->gone && !f.at[2]->gone);
    ck_assert_int_eq(failing(0, 9, 0), WEIR_ADDRESS_SAME); /* nobody's concern any more */
    /* Another record of the same address cannot tell of that one's end later. */
    struct weir_address *twin = weir_address_new(&f.as, &f.addrs[1]);
    weir_addresses_take_effect(&f.as, (struct weir_address_list){&twin, 1}, (struct weir_address_list){now, 2});
    ck_assert(f.at[1]->gone);
    weir_address_unref(twin);
}
END_TEST

START_TEST(test_more_than_there_are_bits_for_are_never_out)
{
    static struct weir_address *more[64];
    take_effect(3);
    for (unsigned i = 0; i < 64; i++)
        more[i] = weir_address_new(&f.as, &f.addrs[0]);
    ck_assert_uint_eq(more[63]->bit, 0);
    for (unsigned i = 0; i < 9; i++)
        ck_assert_int_eq(weir_address_tried(more[63], false, 0), WEIR_ADDRESS_SAME);
    ck_assert(!weir_address_out(more[63], 0));
    for (unsigned i = 0; i < 64; i++)
        weir_address_unref(more[i]);
}
END_TEST

START_TEST(test_a_bit_that_is_free_again_says_nothing_of_its_next_owner)
{
    take_effect(3);
    failing(0, 3, 0);
    weir_address_unref(f.at[0]);
    f.at[0] = weir_address_new(&f.as, &f.addrs[0]);
    ck_assert(!weir_address_out(f.at[0], 1));
}
END_TEST

CHECK_MAIN("addresses", setup, teardown, test_failures_in_a_row_put_it_out_for_a_time,
           test_on_probation_one_failure_is_enough_and_one_success_clears,
           test_what_fails_while_it_is_out_does_not_prolong_it, test_at_most_half_are_out,
           test_the_only_one_is_never_out, test_when_the_others_leave_none_counts_as_out, test_dials_take_turns,
           test_families_alternate_and_each_takes_turns, test_what_is_out_or_avoided_comes_last,
           test_what_a_name_no_longer_has_is_gone, test_more_than_there_are_bits_for_are_never_out,
           test_a_bit_that_is_free_again_says_nothing_of_its_next_owner)
