#include "core/metrics_docs.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"
#include "core/snapshot.h"

static struct weir_textbuf page;

static void setup(void)
{
    weir_textbuf_init(&page, (size_t)1 << 20);
    weir_metrics_print_docs(&page);
    weir_textbuf_char(&page, '\0');
    ck_assert(!page.failed);
}

static void teardown(void)
{
    weir_textbuf_close(&page);
}

static void expect_one_row(const char *name)
{
    char row[128];
    snprintf(row, sizeof row, "\n| `%s` | ", name);
    const char *found = strstr(page.ptr, row);
    ck_assert_msg(found != NULL, "%s is not there", name);
    ck_assert_msg(strstr(found + 1, row) == NULL, "%s is there twice", name);
}

START_TEST(test_every_metric_has_one_row)
{
#define EXPECT(table, count)             \
    for (size_t i = 0; i < (count); i++) \
        expect_one_row((table)[i].name);
    EXPECT(weir_guide_table, WEIR_GUIDE_COUNT)
    EXPECT(weir_node_gauge_table, WEIR_NG_COUNT)
    EXPECT(weir_node_counter_table, WEIR_NC_COUNT)
    EXPECT(weir_provider_gauge_table, WEIR_PG_COUNT)
    EXPECT(weir_provider_counter_table, WEIR_PC_COUNT)
    EXPECT(weir_hist_table, WEIR_H_COUNT)
    EXPECT(weir_endpoint_counter_table, WEIR_EC_COUNT)
#undef EXPECT
}
END_TEST

START_TEST(test_labels_are_told_with_their_values)
{
    ck_assert_ptr_nonnull(
        strstr(page.ptr, "| `weir_timeout_seconds` | gauge | `clock`: `connect`, `read`, `total` | "));
    ck_assert_ptr_nonnull(strstr(page.ptr, "| `weir_requests_active` | gauge |  | Requests in progress. |"));
}
END_TEST

CHECK_MAIN("metrics_docs", setup, teardown, test_every_metric_has_one_row, test_labels_are_told_with_their_values)
