#include "cli/table.h"

#include <string.h>

#include "check_main.h"
#include "helper/core_failmalloc.h"

static const struct ctl_column columns[] = {{"NAME", false, false}, {"EXTRA", false, true}, {"N", true, false}};

static void fill(struct weir_textbuf *out, const struct ctl_style *style)
{
    struct ctl_table t;
    ctl_table_begin(&t, columns, 3, style);
    ctl_table_cell(&t, CTL_PLAIN, "a");
    ctl_table_cell(&t, CTL_PLAIN, "more");
    ctl_table_cell(&t, CTL_BAD, "%d", 12345);
    ctl_table_cell(&t, CTL_GOOD, "%s", "müller");
    ctl_table_cell(&t, CTL_PLAIN, "%s", "");
    ctl_table_cell(&t, CTL_PLAIN, "1");
    ctl_table_end(&t, out);
}

static void shows(const struct ctl_style *style, const char *wanted)
{
    struct weir_textbuf out;
    weir_textbuf_init(&out, 65536);
    fill(&out, style);
    weir_textbuf_char(&out, '\0');
    ck_assert(!out.failed);
    ck_assert_str_eq(out.ptr, wanted);
    weir_textbuf_close(&out);
}

START_TEST(test_alignment)
{
    shows(&(struct ctl_style){0}, "NAME        N\n"
                                  "a       12345\n"
                                  "müller      1\n");
    shows(&(struct ctl_style){.wide = true}, "NAME    EXTRA      N\n"
                                             "a       more   12345\n"
                                             "müller             1\n");
}
END_TEST

/* Colours take no room. */
START_TEST(test_colours)
{
    shows(&(struct ctl_style){.colour = true}, "\033[2mNAME\033[0m        \033[2mN\033[0m\n"
                                               "a       \033[31m12345\033[0m\n"
                                               "\033[32mmüller\033[0m      1\n");
}
END_TEST

START_TEST(test_no_space_at_a_line_s_end)
{
    static const struct ctl_column two[] = {{"A", false, false}, {"B", false, false}};
    const struct ctl_style style = {0};
    struct ctl_table t;
    struct weir_textbuf out;
    weir_textbuf_init(&out, 65536);
    ctl_table_begin(&t, two, 2, &style);
    ctl_table_cell(&t, CTL_PLAIN, "long");
    ctl_table_cell(&t, CTL_PLAIN, "%s", "");
    ctl_table_end(&t, &out);
    weir_textbuf_char(&out, '\0');
    ck_assert_str_eq(out.ptr, "A     B\nlong\n");
    weir_textbuf_close(&out);
}
END_TEST

START_TEST(test_harmless)
{
    const struct ctl_style style = {0};
    struct weir_textbuf out;
    weir_textbuf_init(&out, 65536);
    ctl_fact(&out, &style, "x", CTL_PLAIN, "%s", "a\033[31mb\nc\177d\302\233e\303\274");
    ctl_paint(&out, &style, CTL_PLAIN, WEIR_STR("\r\t."));
    ctl_fact(&out, &style, "y\033", CTL_PLAIN, "%s", "\u2029\u202a\u202e\u202f");
    ctl_fact(&out, &style, "\302\220", CTL_PLAIN, "%s", "\u2065\u2066\u2069\u206a");
    weir_textbuf_char(&out, '\0');
    ck_assert_str_eq(out.ptr, "x           a?[31mb?c?d??e\303\274\n??."
                              "y?          \u2029??????\u202f\n"
                              "??          \u2065??????\u206a\n");
    weir_textbuf_close(&out);
}
END_TEST

/* Cut in front of a character that is not whole. */
START_TEST(test_long_cells_are_cut)
{
    static const struct ctl_column one[] = {{"A", false, false}};
    const struct ctl_style style = {0};
    char text[2 * CTL_CELL_BYTES_MAX + 2];
    struct ctl_table t;
    struct weir_textbuf out;
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\303\274", 2);
    text[sizeof text - 1] = text[sizeof text - 2] = '\0';
    weir_textbuf_init(&out, 65536);
    ctl_table_begin(&t, one, 1, &style);
    ctl_table_cell(&t, CTL_PLAIN, "%s", text);
    ctl_table_end(&t, &out);
    ck_assert_uint_eq(out.len, 2 + (CTL_CELL_BYTES_MAX - 1) / 2 * 2 + 1);
    ck_assert_int_eq((unsigned char)out.ptr[out.len - 2], 0xbc);
    weir_textbuf_close(&out);
}
END_TEST

START_TEST(test_out_of_memory)
{
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_textbuf out;
        failmalloc_begin(n);
        weir_textbuf_init(&out, 65536);
        fill(&out, &(struct ctl_style){0});
        bool failed = out.failed;
        weir_textbuf_close(&out);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert(failed == more);
    }
}
END_TEST

CHECK_MAIN("table", NULL, NULL, test_alignment, test_colours, test_no_space_at_a_line_s_end, test_harmless,
           test_long_cells_are_cut, test_out_of_memory)
