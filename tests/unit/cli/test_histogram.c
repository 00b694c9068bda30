#include "cli/histogram.h"

#include "check_main.h"

static struct ctl_histogram h;

static void setup(void)
{
    h = (struct ctl_histogram){0};
}

START_TEST(test_empty)
{
    ck_assert_uint_eq(ctl_histogram_at(&h, 0.5), 0);
}
END_TEST

START_TEST(test_one)
{
    ctl_histogram_add(&h, 1234);
    ck_assert_uint_eq(ctl_histogram_at(&h, 0), 1234);
    ck_assert_uint_eq(ctl_histogram_at(&h, 0.5), 1234);
    ck_assert_uint_eq(ctl_histogram_at(&h, 1), 1234);
}
END_TEST

/* A bucket is 7 % wide: so near are percentiles to the truth. */
START_TEST(test_percentiles)
{
    for (uint64_t us = 1; us <= 10000; us++)
        ctl_histogram_add(&h, us);
    static const double parts[] = {0.1, 0.5, 0.9, 0.99};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        double truth = parts[i] * 10000, at = (double)ctl_histogram_at(&h, parts[i]);
        ck_assert_msg(at >= truth * 0.99 && at <= truth * 1.08, "%g: %g", parts[i], at);
    }
    ck_assert_uint_eq(h.min_us, 1);
    ck_assert_uint_eq(ctl_histogram_at(&h, 1), 10000);
}
END_TEST

START_TEST(test_the_picture)
{
    const struct ctl_style style = {0};
    struct weir_textbuf out;
    for (int i = 0; i < 40; i++)
        ctl_histogram_add(&h, 1000);
    ctl_histogram_add(&h, 1100);
    ctl_histogram_add(&h, UINT64_MAX); /* beyond the last bucket */
    weir_textbuf_init(&out, 65536);
    ctl_histogram_show(&h, &out, &style);
    ck_assert(!out.failed && out.len > 0);
    weir_textbuf_close(&out);
}
END_TEST

START_TEST(test_times)
{
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {{0, "0 us"}, {999, "999 us"}, {1000, "1.00 ms"}, {12345, "12.3 ms"}, {3200000, "3.20 s"}};
    char text[CTL_TIME_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_str_eq(ctl_time(text, cases[i].us), cases[i].text);
}
END_TEST

CHECK_MAIN("histogram", setup, NULL, test_empty, test_one, test_percentiles, test_the_picture, test_times)
