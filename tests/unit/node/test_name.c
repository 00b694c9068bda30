/* When a name is asked again and which addresses it has, with time as an argument. */
#include "node/name.h"

#include <string.h>

#include "check_main.h"
#include "net/dns.h"

#define REFRESH_MS 30000u

static struct weir_name n;
static uint64_t now_ms;

static void setup(void)
{
    now_ms = 1000000;
    weir_name_init(&n, now_ms);
}

static struct weir_addr address(unsigned last)
{
    struct weir_addr a;
    ck_assert(weir_addr_literal(&a, WEIR_STR("192.0.2.0"), 80));
    a.v4.sin_addr.s_addr = htonl(0xc0000200u + last);
    return a;
}

/* An answer with the addresses whose last numbers are the characters of `which`. */
static bool answer(const char *which, uint32_t ttl_s)
{
    struct weir_addr addrs[64];
    size_t count = strlen(which);
    for (size_t i = 0; i < count; i++)
        addrs[i] = address((unsigned char)which[i]);
    return weir_name_answered(&n, addrs, count, ttl_s, REFRESH_MS, now_ms);
}

/* Those in use, as answer() wants them. */
static const char *in_use(void)
{
    static char text[WEIR_ADDRESSES_MAX + 1];
    for (unsigned i = 0; i < n.count; i++)
        text[i] = (char)(ntohl(n.at[i].addr.v4.sin_addr.s_addr) & 0xff);
    text[n.count] = '\0';
    return text;
}

/* Asks when it is due, and gets this. */
static void next(const char *which, uint32_t ttl_s)
{
    now_ms = n.due_ms;
    answer(which, ttl_s);
}

START_TEST(test_due_by_the_time_to_live_within_bounds)
{
    ck_assert_uint_eq(n.due_ms, now_ms);
    answer("a", 2);
    ck_assert_uint_eq(n.due_ms, now_ms + 2000);
    answer("a", 0);
    ck_assert_uint_eq(n.due_ms, now_ms + 1000);
    answer("a", 300);
    ck_assert_uint_eq(n.due_ms, now_ms + REFRESH_MS);
    answer("a", UINT32_MAX - 1);
    ck_assert_uint_eq(n.due_ms, now_ms + REFRESH_MS);
    answer("a", WEIR_DNS_TTL_NONE);
    ck_assert_uint_eq(n.due_ms, now_ms + REFRESH_MS);
}
END_TEST

START_TEST(test_a_refresh_below_a_second_is_meant)
{
    const struct weir_addr a = address('a');
    weir_name_answered(&n, &a, 1, 0, 100, now_ms);
    ck_assert_uint_eq(n.due_ms, now_ms + 100);
    weir_name_failed(&n, 100, now_ms);
    ck_assert_uint_eq(n.due_ms, now_ms + 100);
}
END_TEST

START_TEST(test_failures_wait_longer_each_time_up_to_a_bound_and_lose_nothing)
{
    static const uint64_t waits[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    answer("ab", 5);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        now_ms = n.due_ms;
        ck_assert(weir_name_failed(&n, 86400000, now_ms) == (i == 0)); /* told when it begins */
        ck_assert_uint_eq(n.due_ms - now_ms, waits[i]);
    }
    ck_assert_str_eq(in_use(), "ab");
    ck_assert(answer("ab", 5));
    ck_assert(!answer("ab", 5));
    ck_assert(weir_name_failed(&n, REFRESH_MS, now_ms));
    ck_assert_uint_eq(n.due_ms - now_ms, 1000);
}
END_TEST

START_TEST(test_a_change_takes_effect_with_the_next_answer)
{
    answer("ab", 2);
    next("cd", 2);
    ck_assert_str_eq(in_use(), "cd");
    next("bc", 2);
    ck_assert_str_eq(in_use(), "bc");
}
END_TEST

START_TEST(test_there_and_back_again_is_no_rotation)
{
    answer("a", 2);
    next("b", 2);
    next("a", 2);
    next("b", 2);
    ck_assert_str_eq(in_use(), "b");
    next("a", 2);
    ck_assert_str_eq(in_use(), "a");
}
END_TEST

START_TEST(test_a_rotating_name_keeps_what_it_named_lately)
{
    static const char *const turns[] = {"abc", "bcd", "cda", "dab"};
    answer("abc", 2);
    for (unsigned i = 1; i < 12; i++)
        next(turns[i % 4], 2);
    ck_assert_uint_eq(n.count, 4);
    for (unsigned i = 0; i < 12; i++) {
        next(turns[i % 4], 2);
        ck_assert_uint_eq(n.count, 4);
    }
    /* d leaves for good: it goes once it has not been named for some rounds. */
    unsigned rounds = 0;
    while (n.count == 4 && rounds < 20) {
        next("abc", 2);
        rounds++;
    }
    ck_assert_uint_le(rounds, 6);
    ck_assert_str_eq(in_use(), "abc");
}
END_TEST

START_TEST(test_rotation_is_forgotten)
{
    answer("a", 2);
    for (int i = 0; i < 6; i++) {
        next("b", 2);
        next("a", 2);
    }
    next("b", 2);
    ck_assert_str_eq(in_use(), "ba");
    for (unsigned i = 0; i < WEIR_NAME_MEMORY_MS / 2000 + 10; i++)
        next("b", 2);
    next("c", 2);
    ck_assert_str_eq(in_use(), "c");
}
END_TEST

START_TEST(test_more_addresses_than_are_kept)
{
    answer("abcdefghijklmnopqrstuvwxyz", 2);
    ck_assert_str_eq(in_use(), "abcdefghijklmnop");
    for (int i = 0; i < 10; i++)
        next(i % 2 == 0 ? "qrstuvwxyz" : "abcdefghij", 2);
    ck_assert_uint_le(n.count, WEIR_ADDRESSES_MAX);
    ck_assert_uint_le(n.seen, WEIR_NAME_SEEN_MAX);
}
END_TEST

CHECK_MAIN("name", setup, NULL, test_due_by_the_time_to_live_within_bounds, test_a_refresh_below_a_second_is_meant,
           test_failures_wait_longer_each_time_up_to_a_bound_and_lose_nothing,
           test_a_change_takes_effect_with_the_next_answer, test_there_and_back_again_is_no_rotation,
           test_a_rotating_name_keeps_what_it_named_lately, test_rotation_is_forgotten,
           test_more_addresses_than_are_kept)
