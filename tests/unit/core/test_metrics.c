#include "core/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "check_main.h"

struct table {
    const struct weir_metric *rows;
    size_t count;
};
static const struct table tables[] = {
    {weir_node_counter_table, WEIR_NC_COUNT},     {weir_node_gauge_table, WEIR_NG_COUNT},
    {weir_provider_counter_table, WEIR_PC_COUNT}, {weir_provider_gauge_table, WEIR_PG_COUNT},
    {weir_endpoint_counter_table, WEIR_EC_COUNT}, {weir_hist_table, WEIR_H_COUNT},
};
#define TABLES (sizeof tables / sizeof tables[0])

/* Renderers write a family's head when the name changes: rows of one family must stand together, in one table. */
START_TEST(test_families_stand_together)
{
    const char *seen[512];
    size_t count = 0;
    for (size_t t = 0; t < TABLES; t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            const struct weir_metric *m = &tables[t].rows[i];
            if (i > 0 && strcmp(m->name, m[-1].name) == 0) {
                ck_assert_str_eq(m->help, m[-1].help);
                ck_assert_int_eq(m->kind, m[-1].kind);
                ck_assert_int_eq(m->unit, m[-1].unit);
                ck_assert_str_ne(m->labels, m[-1].labels);
                ck_assert_str_ne(m->labels, "");
                continue;
            }
            for (size_t k = 0; k < count; k++)
                ck_assert_str_ne(m->name, seen[k]);
            seen[count++] = m->name;
        }
    ck_assert_uint_gt(count, 40);
}
END_TEST

START_TEST(test_units_show_in_names)
{
    for (size_t t = 0; t < TABLES; t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            const struct weir_metric *m = &tables[t].rows[i];
            ck_assert_int_eq(strncmp(m->name, "weir_", 5), 0);
            ck_assert_msg((strstr(m->name, "_seconds") != NULL) == (m->unit == WEIR_UNIT_US), "%s", m->name);
            ck_assert_msg((strstr(m->name, "_bytes") != NULL) == (m->unit == WEIR_UNIT_BYTES), "%s", m->name);
            const char *end = m->name + strlen(m->name) - 6;
            ck_assert_msg((strcmp(end, "_total") == 0) == (m->kind == WEIR_KIND_COUNTER), "%s", m->name);
        }
}
END_TEST

CHECK_MAIN("metrics", NULL, NULL, test_families_stand_together, test_units_show_in_names)
