#include "check_main.h"
#include "core/retry_after.h"

#define NOON_S UINT64_C(1795435200) /* 2026-11-23 12:00:00 UTC */

static uint64_t date(const char *text)
{
    uint64_t s = 0;
    ck_assert_msg(weir_http_date_parse(weir_str_of(text), NOON_S, &s), "refused: %s", text);
    return s;
}

START_TEST(test_the_three_forms)
{
    ck_assert_uint_eq(date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    ck_assert_uint_eq(date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    ck_assert_uint_eq(date("Sun Nov  6 08:49:37 1994"), 784111777);
    ck_assert_uint_eq(date("Wed Nov 16 08:49:37 1994"), 784111777 + 10 * 86400);
}
END_TEST

START_TEST(test_the_calendar)
{
    ck_assert_uint_eq(date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    ck_assert_uint_eq(date("Tue, 29 Feb 2000 00:00:00 GMT"), 951782400);
    ck_assert_uint_eq(date("Mon, 23 Nov 2026 12:00:00 GMT"), NOON_S);
    ck_assert_uint_eq(date("Thu, 31 Dec 2099 23:59:60 GMT"), 4102444800); /* a leap second is the next minute */
    ck_assert_uint_eq(date("Mon, 01 Mar 2100 00:00:00 GMT"), 4107542400); /* 2100 is no leap year */
    ck_assert_uint_eq(date("Fri, 31 Dec 9999 23:59:59 GMT"), 253402300799);
}
END_TEST

/* RFC 9110 5.6.7: more than 50 years in the future is the most recent year in the past with the same digits. */
START_TEST(test_two_digit_years)
{
    ck_assert_uint_eq(date("Monday, 23-Nov-26 12:00:00 GMT"), NOON_S);
    ck_assert_uint_eq(date("Wednesday, 01-Jan-76 00:00:00 GMT"), 3345062400); /* 2076 */
    ck_assert_uint_eq(date("Saturday, 01-Jan-77 00:00:00 GMT"), 220924800);   /* 1977 */
    ck_assert_uint_eq(date("Saturday, 01-Jan-00 00:00:00 GMT"), 946684800);
}
END_TEST

START_TEST(test_what_is_no_date)
{
    static const char *const bad[] = {
        "",
        "GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 GMTx",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1994 08:49:37 GMT",
        "Sun, 29 Feb 2100 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 -8:49:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  16 08:49:37 1994",
    };
    uint64_t s = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!weir_http_date_parse(weir_str_of(bad[i]), NOON_S, &s), "taken: %s", bad[i]);
    ck_assert_uint_eq(s, 7);
}
END_TEST

/* Each text cut short at every length is refused and not read beyond (the copy's end is the allocation's). */
START_TEST(test_cut_short)
{
    static const char *const texts[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};
    uint64_t s;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t n = 0; n < strlen(texts[i]); n++) {
            char *copy = malloc(n + (n == 0));
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, texts[i], n);
            ck_assert(!weir_http_date_parse((struct weir_str){copy, n}, NOON_S, &s));
            free(copy);
        }
}
END_TEST

static uint64_t wait_at(const char *text, uint64_t unix_ms)
{
    uint64_t ms = 0;
    ck_assert_msg(weir_retry_after_parse(weir_str_of(text), unix_ms, &ms), "refused: %s", text);
    return ms;
}

START_TEST(test_seconds)
{
    ck_assert_uint_eq(wait_at("0", 1), 0);
    ck_assert_uint_eq(wait_at("120", 1), 120000);
    ck_assert_uint_eq(wait_at(" 5\t", 1), 5000);
    ck_assert_uint_eq(wait_at("007", 1), 7000);
    ck_assert_uint_eq(wait_at("86400", 1), WEIR_RETRY_AFTER_MS_MAX);
    ck_assert_uint_eq(wait_at("86401", 1), WEIR_RETRY_AFTER_MS_MAX);
    ck_assert_uint_eq(wait_at("18446744073709551", 1), WEIR_RETRY_AFTER_MS_MAX);
    ck_assert_uint_eq(wait_at("99999999999999999999999999", 1), WEIR_RETRY_AFTER_MS_MAX);
}
END_TEST

START_TEST(test_dates_from_now)
{
    ck_assert_uint_eq(wait_at("Mon, 23 Nov 2026 12:00:30 GMT", NOON_S * 1000), 30000);
    ck_assert_uint_eq(wait_at("Mon, 23 Nov 2026 12:00:30 GMT", NOON_S * 1000 + 250), 29750);
    ck_assert_uint_eq(wait_at("Mon, 23 Nov 2026 12:00:00 GMT", NOON_S * 1000 + 1), 0);
    ck_assert_uint_eq(wait_at("Sun, 06 Nov 1994 08:49:37 GMT", NOON_S * 1000), 0);
    ck_assert_uint_eq(wait_at("Fri, 31 Dec 9999 23:59:59 GMT", NOON_S * 1000), WEIR_RETRY_AFTER_MS_MAX);
}
END_TEST

START_TEST(test_neither)
{
    static const char *const bad[] = {"", " ", "-1", "+1", "1.5", "5s", "1 2", "soon", "0x10"};
    uint64_t ms = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!weir_retry_after_parse(weir_str_of(bad[i]), NOON_S * 1000, &ms), "taken: %s", bad[i]);
    ck_assert_uint_eq(ms, 7);
}
END_TEST

CHECK_MAIN("retry_after", NULL, NULL, test_the_three_forms, test_the_calendar, test_two_digit_years,
           test_what_is_no_date, test_cut_short, test_seconds, test_dates_from_now, test_neither)
