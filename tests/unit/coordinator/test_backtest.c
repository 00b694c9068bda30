/* The two forms of a backtest's result, byte for byte. */
#include "coordinator/backtest.h"

#include <math.h>

#include "check_main.h"

static const struct weir_series series = {.step_s = 60, .count = 10080, .gaps = 12};
static const struct weir_backtest result = {
    .origins = 90,
    .methods = {{1.25, 0.03125, 0.890625, 0.25, 0.015625}, {1.5, 0.0625, 0.875, 0.5, 0.125}, {2, 0.25, 1, 12.5, 0}}};
static struct weir_textbuf out;

static void setup(void)
{
    weir_textbuf_init(&out, 65536);
}

static void teardown(void)
{
    weir_textbuf_close(&out);
}

static void is(const char *expected)
{
    weir_textbuf_char(&out, '\0');
    ck_assert(!out.failed);
    ck_assert_str_eq(out.ptr, expected);
}

START_TEST(test_table)
{
    weir_backtest_table(&out, "chat", &series, 60, &result);
    is("chat: 10080 steps of 60 s, 12 of them gaps\n"
       "60 steps ahead (60 min), from 90 origins in the last third\n"
       "\n"
       "method    MASE  pinball 0.9 %  covered %   spare %   short %\n"
       "weir     1.250           3.12       89.1      25.0      1.56\n"
       "ses_e    1.500           6.25       87.5      50.0     12.50\n"
       "naive    2.000          25.00      100.0    1250.0      0.00\n"
       "\n"
       "MASE: error of the middle, in mean steps of the history. covered: values under the 0.9 band (90 is\n"
       "right). Pinball loss of the band, and what exactly the band would have cost as capacity: what nobody\n"
       "used (spare) and what was missing (short), are shares of the mean load.\n");
}
END_TEST

START_TEST(test_json)
{
    weir_backtest_json(&out, "chat \"a\"", &series, 12, &result);
    is("{\n"
       "  \"series\": \"chat \\\"a\\\"\",\n"
       "  \"step\": 60,\n"
       "  \"horizon\": 12,\n"
       "  \"origins\": 90,\n"
       "  \"methods\": {\n"
       "    \"weir\": {\n"
       "      \"mase\": 1.25,\n"
       "      \"pinball90_rel\": 0.03125,\n"
       "      \"coverage90\": 0.890625\n"
       "    },\n"
       "    \"ses_e\": {\n"
       "      \"mase\": 1.5,\n"
       "      \"pinball90_rel\": 0.0625,\n"
       "      \"coverage90\": 0.875\n"
       "    },\n"
       "    \"naive\": {\n"
       "      \"mase\": 2.0,\n"
       "      \"pinball90_rel\": 0.25,\n"
       "      \"coverage90\": 1.0\n"
       "    }\n"
       "  }\n"
       "}\n");
}
END_TEST

START_TEST(test_what_has_no_measure)
{
    struct weir_backtest none = result;
    for (unsigned m = 0; m < WEIR_BACKTEST_METHODS; m++)
        none.methods[m] = (struct weir_backtest_score){NAN, NAN, 1, NAN, NAN};
    weir_backtest_table(&out, "idle", &series, 60, &none);
    ck_assert_ptr_nonnull(
        memmem(out.ptr, out.len, "weir         -              -      100.0         -         -\n", 61));
    weir_backtest_json(&out, "idle", &series, 60, &none);
    ck_assert_ptr_nonnull(memmem(out.ptr, out.len, "\"mase\": null", 12));
}
END_TEST

CHECK_MAIN("backtest", setup, teardown, test_table, test_json, test_what_has_no_measure)
