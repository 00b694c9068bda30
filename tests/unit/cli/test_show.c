/* Each verb's output against a file in golden/. WEIR_GOLDEN_WRITE=1 writes the files anew, to be looked at and kept. */
#include "cli/show.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"

#define TEXT_MAX 65536

static size_t read_file(const char *name, char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/unit/cli/golden/%s", WEIR_TESTS_DIR, name);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    size_t n = fread(text, 1, TEXT_MAX, file);
    ck_assert(n < TEXT_MAX);
    fclose(file);
    return n;
}

static void write_file(const char *name, const struct weir_textbuf *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/unit/cli/golden/%s", WEIR_TESTS_DIR, name);
    FILE *file = fopen(path, "w");
    ck_assert(file != NULL && fwrite(text->ptr, 1, text->len, file) == text->len);
    fclose(file);
}

static json_t *read_answer(const char *page)
{
    static char text[TEXT_MAX];
    char name[64];
    json_error_t error;
    snprintf(name, sizeof name, "%s.json", page);
    json_t *answer = json_loadb(text, read_file(name, text), 0, &error);
    ck_assert_msg(answer != NULL, "%s:%d: %s", name, error.line, error.text);
    return answer;
}

static void compare(const char *name, const struct weir_textbuf *out)
{
    static char wanted[TEXT_MAX];
    ck_assert(!out->failed);
    if (getenv("WEIR_GOLDEN_WRITE") != NULL)
        write_file(name, out);
    size_t n = read_file(name, wanted);
    ck_assert_msg(n == out->len && memcmp(wanted, out->ptr, n) == 0, "%s: shown instead:\n%.*s", name, (int)out->len,
                  out->ptr);
}

/* golden/PAGE.FORM from golden/PAGE.json. */
static void check(enum ctl_verb verb, const char *page, const char *form, enum ctl_output output, bool colour)
{
    const struct ctl_options o = {.verb = verb, .output = output};
    const struct ctl_style style = {.colour = colour, .wide = output == CTL_WIDE};
    struct weir_textbuf out;
    char name[64];
    json_t *answer = read_answer(page);
    weir_textbuf_init(&out, TEXT_MAX);
    ck_assert(ctl_show(&out, &o, &style, answer));
    snprintf(name, sizeof name, "%s.%s", page, form);
    compare(name, &out);
    weir_textbuf_close(&out);
    json_decref(answer);
}

static const struct {
    enum ctl_verb verb;
    const char *page;
} pages[] = {{CTL_STATUS, "state"},      {CTL_NODES, "nodes"},   {CTL_SHARDS, "shards"},
             {CTL_BREAKERS, "breakers"}, {CTL_LIMITS, "limits"}, {CTL_EVENTS, "events"},
             {CTL_POOLS, "pools"},       {CTL_HINTS, "hints"},   {CTL_ALERTS, "alerts"}};
#define PAGES (sizeof pages / sizeof pages[0])

START_TEST(test_tables)
{
    for (size_t i = 0; i < PAGES; i++)
        check(pages[i].verb, pages[i].page, "table", CTL_TABLE, false);
}
END_TEST

START_TEST(test_wide)
{
    for (size_t i = 0; i < PAGES; i++)
        check(pages[i].verb, pages[i].page, "wide", CTL_WIDE, false);
}
END_TEST

START_TEST(test_colours)
{
    check(CTL_NODES, "nodes", "colour", CTL_TABLE, true);
    check(CTL_EVENTS, "events", "colour", CTL_TABLE, true);
}
END_TEST

START_TEST(test_json_and_yaml)
{
    check(CTL_NODES, "nodes", "yaml", CTL_YAML, false);
    for (size_t i = 0; i < PAGES; i++) {
        const struct ctl_options o = {.verb = pages[i].verb, .output = CTL_JSON};
        const struct ctl_style style = {0};
        struct weir_textbuf out;
        json_t *answer = read_answer(pages[i].page);
        weir_textbuf_init(&out, TEXT_MAX);
        ck_assert(ctl_show(&out, &o, &style, answer));
        json_t *again = json_loadb(out.ptr, out.len, 0, NULL);
        ck_assert_msg(json_equal(answer, again), "%s: %.*s", pages[i].page, (int)out.len, out.ptr);
        weir_textbuf_close(&out);
        json_decref(again);
        json_decref(answer);
    }
}
END_TEST

/* A node that is alone says so, and nothing of a cluster is made up. */
START_TEST(test_alone)
{
    static const struct {
        enum ctl_verb verb;
        const char *answer, *shown;
    } cases[] = {
        {CTL_STATUS,
         "{\"schema\":1,\"node\":\"n:8000\",\"version\":\"0.1.0\",\"state\":\"active\",\"cluster\":null,"
         "\"contact\":null,"
         "\"nodes\":{\"alive\":1,\"total\":1}}",
         "node        n:8000 (active, version 0.1.0)\ncluster     none: distributed_pool is not enabled\n"},
        {CTL_SHARDS, "{\"schema\":1,\"cluster\":null,\"shard_count\":0,\"owners\":[]}",
         "no shards: the node is alone\n"},
        {CTL_LIMITS, "{\"schema\":1,\"cluster\":null,\"limits\":[]}", "no provider has a rate limit\n"},
        {CTL_POOLS, "{\"providers\":{}}", "no providers are configured\n"},
        {CTL_ALERTS, "{\"alerts\":[]}", "no rule is configured\n"},
        {CTL_ALERTS,
         "{\"alerts\":[{\"name\":\"full\",\"state\":\"inactive\"},"
         "{\"name\":\"full\",\"provider\":\"p\",\"state\":\"inactive\"},"
         "{\"name\":\"errors\",\"state\":\"inactive\"}]}",
         "none of 2 rules fires\n"},
        {CTL_HINTS, "{\"schema\":1,\"valid\":false,\"reason\":\"no coordinator\"}",
         "hints       none: no coordinator\n"},
        {CTL_HINTS, /* and no forecast yet: 0 is not what is expected */
         "{\"schema\":1,\"valid\":true,\"age_s\":4,\"leader\":\"c1\",\"providers\":[],\"cluster\":{\"action\":\"hold\","
         "\"nodes\":1,\"desired_nodes\":1,\"reason\":\"too little is known\",\"in_flight\":{\"now\":2,\"peak\":0,"
         "\"peak_high\":0,\"peak_in_s\":0,\"peak_at_unix_ms\":0}}}",
         "advice      hold: 1 nodes, now 1\nwhy         too little is known\nfrom        c1, 4.0 s ago\n\n"
         "PROVIDER  MEASURE     NOW  PEAK  UP TO  WHEN\n"
         "(all)     requests/s    -     -      -  -\n"
         "          in flight   2.0     -      -  -\n"},
        {CTL_EVENTS, "{\"schema\":1,\"cluster\":\"c\",\"events\":[]}", "no events yet\n"},
        {CTL_EVENTS, "{\"schema\":1,\"cluster\":null,\"events\":[]}",
         "no events: the node is alone, and what befalls it is in its log\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ctl_options o = {.verb = cases[i].verb};
        const struct ctl_style style = {0};
        struct weir_textbuf out;
        json_t *answer = json_loads(cases[i].answer, 0, NULL);
        weir_textbuf_init(&out, TEXT_MAX);
        ck_assert(ctl_show(&out, &o, &style, answer));
        weir_textbuf_char(&out, '\0');
        ck_assert_str_eq(out.ptr, cases[i].shown);
        ck_assert(!ctl_store_is_away(answer));
        weir_textbuf_close(&out);
        json_decref(answer);
    }
}
END_TEST

/* Who leads is told apart from who published the map; that nobody does is no news before anybody has. */
START_TEST(test_who_leads)
{
    static const struct {
        const char *fields, *shown;
    } cases[] = {
        {"\"epoch\":3,\"leader\":\"a\",\"lead\":{\"coordinator\":\"b\",\"lease_seconds\":2.5,\"terms\":2}",
         "map         epoch 3, by coordinator a\ncoordinator b leads; its lease runs for 2.5 s unless renewed\n"},
        {"\"epoch\":3,\"lead\":{\"coordinator\":\"b\",\"lease_seconds\":0,\"terms\":2}", "\ncoordinator b leads\n"},
        {"\"epoch\":0,\"lead\":{\"coordinator\":null,\"lease_seconds\":0,\"terms\":1}",
         "\ncoordinator no coordinator leads: the map stays as it is\n"},
        {"\"epoch\":1,\"lead\":{\"coordinator\":null,\"lease_seconds\":0,\"terms\":0}",
         "\ncoordinator no coordinator leads: the map stays as it is\n"},
        {"\"epoch\":0,\"lead\":{\"coordinator\":null,\"lease_seconds\":0,\"terms\":0}",
         "\ncoordinator none has led yet\n"},
        {"\"epoch\":1,\"lead\":null", "\ncoordinator not known without contact to the store\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ctl_options o = {.verb = CTL_STATUS};
        const struct ctl_style style = {0};
        struct weir_textbuf out;
        char text[512];
        snprintf(text, sizeof text, "{\"schema\":1,\"cluster\":\"c\",\"nodes\":{},%s}", cases[i].fields);
        json_t *answer = json_loads(text, 0, NULL);
        weir_textbuf_init(&out, TEXT_MAX);
        ck_assert(ctl_show(&out, &o, &style, answer));
        weir_textbuf_char(&out, '\0');
        ck_assert_msg(strstr(out.ptr, cases[i].shown) != NULL, "%s", out.ptr);
        weir_textbuf_close(&out);
        json_decref(answer);
    }
}
END_TEST

START_TEST(test_not_an_answer)
{
    static const char *const texts[] = {"null",
                                        "[]",
                                        "{}",
                                        "\"x\"",
                                        "{\"schema\":1}",
                                        "{\"schema\":\"1\",\"nodes\":[]}",
                                        "{\"schema\":1,\"nodes\":{}}",
                                        "{\"error\":{\"message\":\"no\"}}"};
    const struct ctl_options o = {.verb = CTL_NODES};
    const struct ctl_style style = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct weir_textbuf out;
        json_t *answer = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        weir_textbuf_init(&out, TEXT_MAX);
        ck_assert_msg(!ctl_show(&out, &o, &style, answer), "%s", texts[i]);
        ck_assert_uint_eq(out.len, 0);
        json_decref(answer);
    }
    struct weir_textbuf out;
    weir_textbuf_init(&out, TEXT_MAX);
    ck_assert(!ctl_show(&out, &o, &style, NULL)); /* what was no JSON at all */
}
END_TEST

/* What a page must have to be shown at all. */
static const struct {
    enum ctl_verb verb;
    const char *member;
    bool object;
} members[] = {{CTL_STATUS, "nodes", true},       {CTL_NODES, "nodes", false},   {CTL_SHARDS, "owners", false},
               {CTL_BREAKERS, "breakers", false}, {CTL_LIMITS, "limits", false}, {CTL_EVENTS, "events", false},
               {CTL_POOLS, "providers", true},    {CTL_ALERTS, "alerts", false}, {CTL_HINTS, "providers", false},
               {CTL_HINTS, "cluster", true}};

/* Of whatever kinds the fields are, something is shown and nothing breaks. */
START_TEST(test_hostile_fields)
{
    static const char *const values[] = {"null", "-1",          "1e300", "\"\\u001b]0;x\\u0007\"", "[[1]]", "{\"a\":1}",
                                         "true", "\"\\u009b\"", "0.5"};
    static const char *const keys[] = {"id",
                                       "node",
                                       "state",
                                       "alive",
                                       "age_ms",
                                       "load",
                                       "count",
                                       "ranges",
                                       "provider",
                                       "event",
                                       "mode",
                                       "msg",
                                       "weight",
                                       "unix_ms",
                                       "endpoint",
                                       "waiting",
                                       "burst",
                                       "cooldown_seconds",
                                       "pool_utilization_percent",
                                       "error_rate",
                                       "name",
                                       "values",
                                       "in_flight",
                                       "timeouts",
                                       "action",
                                       "age_s",
                                       "store",
                                       "since",
                                       "epoch",
                                       "leader",
                                       "shard_count",
                                       "state_seconds",
                                       "cluster",
                                       "contact",
                                       "generation"};
    const struct ctl_style style = {.wide = true};
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
            const struct ctl_options o = {.verb = members[i].verb, .output = CTL_WIDE};
            json_t *value = json_loads(values[v], JSON_DECODE_ANY, NULL), *row = json_object(), *answer = json_object();
            for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
                json_object_set(row, keys[k], value);
                json_object_set(answer, keys[k], value);
            }
            json_object_set_new(answer, "schema", json_integer(1));
            json_object_set_new(answer, "valid", json_true());
            json_object_set_new(answer, members[i].member,
                                members[i].object ? json_pack("{s:O, s:O}", "a", row, "b", value)
                                                  : json_pack("[OO]", row, value));
            struct weir_textbuf out;
            weir_textbuf_init(&out, TEXT_MAX);
            ck_assert(ctl_show(&out, &o, &style, answer));
            ck_assert(!out.failed && out.len > 0);
            for (size_t at = 0; at < out.len; at++)
                ck_assert_msg((unsigned char)out.ptr[at] >= 0x20 || out.ptr[at] == '\n', "%s: %.*s", values[v],
                              (int)out.len, out.ptr);
            weir_textbuf_close(&out);
            json_decref(answer);
            json_decref(row);
            json_decref(value);
        }
}
END_TEST

START_TEST(test_store_is_away)
{
    json_t *away = json_loads("{\"cluster\":\"demo\",\"contact\":false}", 0, NULL);
    ck_assert(ctl_store_is_away(away));
    json_object_set_new(away, "contact", json_true());
    ck_assert(!ctl_store_is_away(away));
    ck_assert(!ctl_store_is_away(NULL));
    json_decref(away);
}
END_TEST

START_TEST(test_durations)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0.0 s"},          {9.94, "9.9 s"},     {12.4, "12 s"},     {61, "1 min 1 s"},
                 {3599, "59 min 59 s"}, {3661, "1 h 1 min"}, {90000, "1 d 1 h"}, {1e12, "11574074 d 1 h"}};
    char text[CTL_DURATION_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_str_eq(ctl_duration(text, cases[i].seconds), cases[i].text);
}
END_TEST

START_TEST(test_event_forms)
{
    const struct ctl_style style = {0};
    json_t *event = json_loads("{\"id\":1,\"event\":\"node_left\",\"node\":\"a\"}", 0, NULL);
    struct weir_textbuf out;
    weir_textbuf_init(&out, TEXT_MAX);
    ctl_show_event(&out, CTL_JSON, &style, event);
    ctl_show_event(&out, CTL_YAML, &style, event);
    ctl_show_event(&out, CTL_TABLE, &style, event);
    weir_textbuf_char(&out, '\0');
    ck_assert_str_eq(out.ptr, "{\"id\":1,\"event\":\"node_left\",\"node\":\"a\"}\n"
                              "---\nid: 1\nevent: node_left\nnode: a\n"
                              "- node_left a\n");
    weir_textbuf_close(&out);
    json_decref(event);
}
END_TEST

CHECK_MAIN("show", NULL, NULL, test_tables, test_wide, test_colours, test_json_and_yaml, test_alone, test_who_leads,
           test_not_an_answer, test_hostile_fields, test_store_is_away, test_durations, test_event_forms)
