#include "cli/yaml.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"

static void shows(const char *json, const char *yaml)
{
    struct weir_textbuf out;
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    ck_assert(value != NULL);
    weir_textbuf_init(&out, 65536);
    ctl_yaml(&out, value);
    weir_textbuf_char(&out, '\0');
    ck_assert(!out.failed);
    ck_assert_str_eq(out.ptr, yaml);
    weir_textbuf_close(&out);
    json_decref(value);
}

START_TEST(test_scalars)
{
    shows("{\"a\":1,\"b\":-2.5,\"c\":true,\"d\":null,\"e\":\"word\",\"f\":\"v-1.2/x\"}",
          "a: 1\nb: -2.5\nc: true\nd: null\ne: word\nf: v-1.2/x\n");
    shows("7", "7\n");
}
END_TEST

/* What some reader of YAML would take for something else than a string. */
START_TEST(test_strings_that_need_quotes)
{
    static const char *const texts[] = {"",     "yes", "No",  "on",   "null",       "True", "1.5", "1e3",
                                        "0x1f", "-",   "- a", "a: b", "a #b",       " a",   "a ",  "{a}",
                                        "[a]",  "!a",  "&a",  "*a",   "2026-11-28", "~",    "Y"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char json[64], yaml[64];
        snprintf(json, sizeof json, "{\"k\":\"%s\"}", texts[i]);
        snprintf(yaml, sizeof yaml, "k: \"%s\"\n", texts[i]);
        shows(json, yaml);
    }
    shows("{\"\\u007f\":\"a\\u007fb\\u202ec\"}", "\"\\u007F\": \"a\\u007Fb\\u202Ec\"\n");
    shows("{\"no\":\"a\\\"b\\n\\u001b\\u00fc\"}", "\"no\": \"a\\\"b\\n\\u001B\\u00FC\"\n");
}
END_TEST

START_TEST(test_nesting)
{
    shows("{\"a\":{\"b\":{\"c\":1}},\"d\":[]}", "a:\n  b:\n    c: 1\nd: []\n");
    shows("{\"l\":[{\"a\":1,\"b\":[2,3]},{\"c\":{\"d\":4}},[5,[6]],{}]}",
          "l:\n  - a: 1\n    b:\n      - 2\n      - 3\n  - c:\n      d: 4\n  -\n    - 5\n    -\n      - 6\n  - {}\n");
    shows("[1,\"x\"]", "- 1\n- x\n");
}
END_TEST

START_TEST(test_json)
{
    struct weir_textbuf out;
    json_t *value = json_pack("{s:s}", "\177k\177", "a\177\033\u202eb");
    weir_textbuf_init(&out, 65536);
    ctl_json(&out, value, JSON_COMPACT);
    weir_textbuf_char(&out, '\0');
    ck_assert_str_eq(out.ptr, "{\"\\u007Fk\\u007F\":\"a\\u007F\\u001B\\u202Eb\"}");
    weir_textbuf_close(&out);
    json_decref(value);
}
END_TEST

CHECK_MAIN("yaml", NULL, NULL, test_json, test_scalars, test_strings_that_need_quotes, test_nesting)
