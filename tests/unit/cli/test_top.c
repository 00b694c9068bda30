/* The picture of `top`, as text: sorted, filtered, with sparklines. */
#include "cli/top.h"

#include <string.h>

#include "check_main.h"

static struct ctl_top t;
static struct weir_textbuf out;

static void setup(void)
{
    t = (struct ctl_top){.ascii = true};
    weir_textbuf_init(&out, 65536);
}

static void teardown(void)
{
    ctl_top_close(&t);
    weir_textbuf_close(&out);
}

#define NODE(id, in_flight) \
    "{\"id\":\"" id "\",\"state\":\"active\",\"alive\":true,\"load\":{\"in_flight\":" in_flight "}}"

static void take(void)
{
    ctl_top_take(
        &t,
        json_loads("{\"node\":\"a\",\"cluster\":\"c\",\"contact\":true,\"epoch\":4,\"nodes\":{\"alive\":2,"
                   "\"total\":2},\"lead\":{\"coordinator\":\"k\",\"lease_seconds\":2,\"terms\":3}}",
                   0, NULL),
        json_loads("{\"nodes\":[" NODE("a", "3") "," NODE("b", "9") "]}", 0, NULL),
        json_loads("{\"providers\":{\"x\":{\"connections_active\":1},\"y\":{\"connections_active\":5}}}", 0, NULL),
        json_loads("{\"valid\":true,\"cluster\":{\"action\":\"hold\",\"in_flight\":{\"peak\":24,\"peak_in_s\":60}"
                   "},\"series\":{\"in_flight\":{\"ahead\":[[1,12,13],[2,24,30]]}}}",
                   0, NULL));
}

static const char *frame(void)
{
    const struct ctl_style style = {0};
    weir_textbuf_close(&out);
    ctl_top_frame(&t, &out, &style, 80);
    weir_textbuf_char(&out, '\0');
    ck_assert(!out.failed);
    return out.ptr;
}

static bool before(const char *text, const char *first, const char *second)
{
    const char *a = strstr(text, first), *b = strstr(text, second);
    ck_assert_msg(a != NULL && b != NULL, "%s", text);
    return a < b;
}

START_TEST(test_a_frame)
{
    take();
    const char *text = frame();
    ck_assert_ptr_nonnull(strstr(text, "weir a, cluster c: 2 of 2 nodes, map 4, k leads  advice: hold\nby name\n"));
    ck_assert_ptr_nonnull(strstr(text, "in flight  = 12\n"));
    ck_assert_ptr_nonnull(strstr(text, "expected   =# 24 in 1 min 0 s\n"));
    ck_assert(before(text, "\na ", "\nb ") && before(text, "\nx ", "\ny "));
}
END_TEST

START_TEST(test_sorted)
{
    take();
    t.sort = CTL_TOP_BY_LOAD;
    ck_assert(before(frame(), "\nb ", "\na ") && before(frame(), "\ny ", "\nx "));
    t.reverse = true;
    ck_assert(before(frame(), "\na ", "\nb "));
}
END_TEST

START_TEST(test_filtered)
{
    take();
    strcpy(t.filter, "b");
    ck_assert_ptr_null(strstr(frame(), "\na "));
    ck_assert_ptr_nonnull(strstr(frame(), "only *b*"));
    ck_assert_ptr_nonnull(strstr(frame(), "no pools"));
}
END_TEST

START_TEST(test_nothing_is_known)
{
    strcpy(t.trouble, "gone");
    ck_assert_ptr_nonnull(strstr(frame(), "gone"));
    ctl_top_take(&t, NULL, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(strstr(frame(), "no forecast"));
}
END_TEST

START_TEST(test_nobody_leads)
{
    ctl_top_take(&t, json_loads("{\"lead\":{\"coordinator\":null,\"terms\":3}}", 0, NULL), NULL, NULL, NULL);
    ck_assert_ptr_nonnull(strstr(frame(), "NO COORDINATOR LEADS"));
    ctl_top_take(&t, json_loads("{\"lead\":{\"coordinator\":null,\"terms\":0}}", 0, NULL), NULL, NULL, NULL);
    ck_assert_ptr_null(strstr(frame(), "LEADS"));
}
END_TEST

START_TEST(test_loads_are_bounded)
{
    for (unsigned i = 0; i < CTL_TOP_LOADS_MAX + 5; i++)
        take();
    ck_assert_uint_eq(t.load_count, CTL_TOP_LOADS_MAX);
    frame();
}
END_TEST

START_TEST(test_sparklines)
{
    static const double values[] = {0, 1, 4, 8};
    ctl_sparkline(&out, values, 4, 4, 8, true);
    ctl_sparkline(&out, values, 4, 2, 8, true); /* the last ones */
    ctl_sparkline(&out, values, 4, 4, 0, true);
    weir_textbuf_char(&out, '\0');
    ck_assert_str_eq(out.ptr, "_.=#=#____");
}
END_TEST

CHECK_MAIN("top", setup, teardown, test_a_frame, test_sorted, test_filtered, test_nothing_is_known, test_nobody_leads,
           test_loads_are_bounded, test_sparklines)
