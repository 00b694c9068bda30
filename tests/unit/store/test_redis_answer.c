/* Answers of the scripts as they are, and as a server could make them up: refused as a whole, without harm. */
#include "check_main.h"
#include "core/rng.h"
#include "helper_show.h"
#include "store/redis_ask.h"

#define NODES_MAX 64u

static struct weir_arena arena;
static struct weir_redis_reply nodes[NODES_MAX];
static size_t node_count;

static void teardown(void)
{
    weir_arena_reset(&arena);
}

/* -- answers from text: 'string', 17, [ ... ] -- */

static const char *read_node(const char *at, struct weir_redis_reply *out)
{
    *out = (struct weir_redis_reply){.type = WEIR_REDIS_INTEGER};
    if (*at == '\'') {
        const char *end = strchr(at + 1, '\'');
        out->type = WEIR_REDIS_STRING;
        out->str = weir_arena_dup(&arena, (struct weir_str){at + 1, (size_t)(end - at) - 1});
        return end + 1;
    }
    if (*at != '[') {
        char *end;
        out->integer = strtoll(at, &end, 10);
        ck_assert_ptr_ne(end, at);
        return end;
    }
    struct weir_redis_reply list[32];
    out->type = WEIR_REDIS_ARRAY;
    for (at++; *(at += strspn(at, " ")) != ']';) {
        ck_assert_uint_lt(out->count, sizeof list / sizeof list[0]);
        at = read_node(at, &list[out->count++]);
    }
    ck_assert_uint_le(node_count + out->count, NODES_MAX);
    out->element = memcpy(&nodes[node_count], list, out->count * sizeof list[0]);
    node_count += out->count;
    return at + 1;
}

static enum weir_coord_word judge(enum weir_coord_op op, uint32_t count, const struct weir_redis_reply *from,
                                  struct weir_coord_reply *out)
{
    *out = (struct weir_coord_reply){.op = op, .id = 4, .sent_ms = 5};
    weir_redis_answer(out, count, &arena, from);
    ck_assert_uint_eq(out->id, 4);
    ck_assert_uint_eq(out->sent_ms, 5);
    ck_assert((out->word == WEIR_COORD_OK) == (out->why[0] == '\0'));
    return out->word;
}

static enum weir_coord_word judge_text(enum weir_coord_op op, uint32_t count, const char *text)
{
    struct weir_redis_reply from;
    struct weir_coord_reply out;
    node_count = 0;
    read_node(text, &from);
    return judge(op, count, &from, &out);
}

#define RECORD  "instance=5 state=active weight=1 advertise=h:1 version=0.1.0"
#define LOAD    "in_flight=1 connections=2 utilization_pct=3 loop_lag_us=4 requests_per_s=5 errors_per_s=6 epoch_seen=7"
#define CIRCUIT "phase=half-open gen=3 open_until_ms=0 cooldown_until_ms=9 since_ms=8 version=4 by=node-1"

static const struct {
    enum weir_coord_op op;
    uint32_t count;
    const char *text;
} answers[] = {
    {WEIR_COORD_BEAT, 0, "['OK' 10 '' 11 2 3 1 7 'c' 4 'secret' 5 2 'd' 900]"},
    {WEIR_COORD_LEAVE, 0, "['OK' 10 '']"},
    {WEIR_COORD_MEMBERS, 0, "['OK' 10 '' 2 'b' 10 '" RECORD "' '" LOAD "' 'a' 0 '" RECORD "' '" LOAD "']"},
    {WEIR_COORD_MAP, 0, "['OK' 10 '' 3 'c' 'text' 2 'd' 900]"},
    {WEIR_COORD_LEAD, 0, "['OK' 10 '' 1 'c' 3000 2 2]"},
    {WEIR_COORD_PUBLISH, 0, "['STALE' 10 'somebody else leads' 1 'c' 3000 2 2]"},
    {WEIR_COORD_REPORT, 2,
     "['OK' 10 '' ['half-open' 3 1 0 3 [7 99 8 99] ['half_opened' 'recovery_timeout' 3 0 0 0 0]]"
     " ['closed' 1 0 0 0 [] []]]"},
    {WEIR_COORD_CIRCUITS, 0, "['OK' 10 '' 4 'http://e:80' '" CIRCUIT "']"},
    {WEIR_COORD_TOKENS, 2, "['OK' 10 '' 1 2 3 4 5 6 7 8]"},
    {WEIR_COORD_EVENTS, 0, "['OK' 10 '' '{}' '{\"id\":2}']"},
    {WEIR_COORD_APPEND, 0, "['OK' 10 '']"},
    {WEIR_COORD_LOADS, 0, "['OK' 10 '' 9 8 0 3 'node=a' 5 '\x01' 8 'node=b']"},
    {WEIR_COORD_FOLD, 0, "['STALE' 10 'a newer point is kept' 4]"},
    {WEIR_COORD_SERIES, 0, "['OK' 10 '' 8 8 60000 7 'requests=1' 8 'requests=2']"},
    {WEIR_COORD_ADVISE, 0, "['OK' 10 '' 3]"},
    {WEIR_COORD_ADVICE, 0, "['OK' 10 '' 3 'c' 11 '{}' 'x']"},
};
#define ANSWERS (sizeof answers / sizeof answers[0])

START_TEST(test_whole_answers_are_read)
{
    for (size_t i = 0; i < ANSWERS; i++)
        ck_assert_int_ne(judge_text(answers[i].op, answers[i].count, answers[i].text), WEIR_COORD_AWAY);
    struct weir_redis_reply from;
    struct weir_coord_reply out;
    node_count = 0;
    read_node(answers[2].text, &from);
    judge(WEIR_COORD_MEMBERS, 0, &from, &out);
    ck_assert_uint_eq(out.members.count, 2);
    ck_assert_str_eq(out.members.at[0].id, "a");
    ck_assert_uint_eq(out.members.at[1].load.loop_lag_us, 4);
    node_count = 0;
    read_node(answers[6].text, &from);
    judge(WEIR_COORD_REPORT, 2, &from, &out);
    ck_assert_uint_eq(out.report.items[0].reply.permits[1].id, 8);
    ck_assert_int_eq(out.report.items[0].reply.events[0].kind, WEIR_BREAKER_IS_HALF_OPENED);
}
END_TEST

START_TEST(test_what_others_wrote_is_left_out)
{
    struct weir_redis_reply from;
    struct weir_coord_reply out;
    node_count = 0;
    read_node("['OK' 10 '' 9 8 0 3 'node=a' 3 'again' 2 'before' 5 '\x01' 6 '' 8 'node=b']", &from);
    ck_assert_int_eq(judge(WEIR_COORD_LOADS, 0, &from, &out), WEIR_COORD_OK);
    ck_assert_uint_eq(out.entries.count, 2);
    ck_assert_uint_eq(out.entries.at[0].id, 3);
    ck_assert(weir_str_eq(out.entries.at[1].text, WEIR_STR("node=b")));
    ck_assert_uint_eq(out.entries.upto, 8);
    node_count = 0;
    read_node("['OK' 10 '' 3 'c' 11 '{\x02}' '[]']", &from);
    ck_assert_int_eq(judge(WEIR_COORD_ADVICE, 0, &from, &out), WEIR_COORD_OK);
    ck_assert_uint_eq(out.advice.version, 3);
    ck_assert_uint_eq(out.advice.hints.len + out.advice.analytics.len, 0);
}
END_TEST

START_TEST(test_other_answers_are_refused)
{
    static const struct {
        enum weir_coord_op op;
        uint32_t count;
        const char *text;
    } odd[] = {
        {WEIR_COORD_LEAVE, 0, "[]"},
        {WEIR_COORD_LEAVE, 0, "'OK'"},
        {WEIR_COORD_LEAVE, 0, "['OK' 10]"},
        {WEIR_COORD_LEAVE, 0, "['OK' 10 '' 1]"},
        {WEIR_COORD_LEAVE, 0, "['OKAY' 10 '']"},
        {WEIR_COORD_LEAVE, 0, "['OK' -10 '']"},
        {WEIR_COORD_LEAVE, 0, "['OK' 9007199254740992 '']"},
        {WEIR_COORD_BEAT, 0, "['OK' 10 '' 11 2 3 1 7 'a b' 4 'secret' 5 2 'd' 900]"},
        {WEIR_COORD_BEAT, 0, "['OK' 10 '' 11 2 4294967296 1 7 'a' 4 'secret' 5 2 'd' 900]"},
        {WEIR_COORD_BEAT, 0, "['OK' 10 '' 11 2 3 1 7 'a' 4 'secret' 5 2 'd d' 900]"},
        {WEIR_COORD_BEAT, 0, "['OK' 10 '' 11 2 3 1 7 'a' 4 'secret' 5]"},
        {WEIR_COORD_MAP, 0, "['OK' 10 '' 3 'c' 'text' 2 'd d' 900]"},
        {WEIR_COORD_REPORT, 2, "['OK' 10 '' ['closed' 1 0 0 0 [] []]]"},
        {WEIR_COORD_REPORT, 1, "['OK' 10 '' ['ajar' 1 0 0 0 [] []]]"},
        {WEIR_COORD_REPORT, 1, "['OK' 10 '' ['closed' 1 0 0 0 [1] []]]"},
        {WEIR_COORD_REPORT, 1, "['OK' 10 '' ['closed' 1 0 0 0 [1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1] []]]"},
        {WEIR_COORD_REPORT, 1, "['OK' 10 '' ['closed' 1 0 0 0 [] ['opened' 'luck' 1 0 0 0 0]]]"},
        {WEIR_COORD_TOKENS, 2, "['OK' 10 '' 1 2 3 4]"},
        {WEIR_COORD_TOKENS, 1, "['OK' 10 '' 4294967296 2 3 4]"},
        {WEIR_COORD_MEMBERS, 0, "['OK' 10 '' 2 'b' 10 'x']"},
        {WEIR_COORD_MEMBERS, 0, "['OK' 10 '' 2 'a' 10 '" RECORD "' '" LOAD "' 'a' 0 '" RECORD "' '" LOAD "']"},
        {WEIR_COORD_LOADS, 0, "['OK' 10 '' 9 9 0 3]"},
        {WEIR_COORD_LOADS, 0, "['OK' 10 '' 9 10 0]"},
        {WEIR_COORD_LOADS, 0, "['OK' 10 '' 9 2 0 3 'node=a']"},
        {WEIR_COORD_LOADS, 0, "['OK' 10 '' 9 9 0 3 4]"},
        {WEIR_COORD_FOLD, 0, "['STALE' 10 'a newer point is kept']"},
        {WEIR_COORD_ADVICE, 0, "['OK' 10 '' 3 'c d' 11 '{}' '']"},
        {WEIR_COORD_ADVICE, 0, "['OK' 10 '' 3 'c' 11 4 '']"},
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        ck_assert_msg(judge_text(odd[i].op, odd[i].count, odd[i].text) == WEIR_COORD_AWAY, "%s", odd[i].text);
}
END_TEST

START_TEST(test_an_error_is_a_refusal_in_one_line)
{
    struct weir_redis_reply error = {.type = WEIR_REDIS_ERROR, .str = WEIR_STR("OOM command\r\nnot allowed")};
    struct weir_coord_reply out;
    ck_assert_int_eq(judge(WEIR_COORD_BEAT, 0, &error, &out), WEIR_COORD_REFUSED);
    ck_assert_str_eq(out.why, "OOM command  not allowed");
    char longer[5000];
    memset(longer, 'x', sizeof longer);
    error.str = (struct weir_str){longer, sizeof longer};
    ck_assert_int_eq(judge(WEIR_COORD_BEAT, 0, &error, &out), WEIR_COORD_REFUSED);
    ck_assert_uint_le(strlen(out.why), 200);
    node_count = 0;
    read_node("['REFUSED' 10 '']", &error);
    ck_assert_int_eq(judge(WEIR_COORD_BEAT, 0, &error, &out), WEIR_COORD_REFUSED);
    ck_assert_str_eq(out.why, "the store gives no reason");
    node_count = 0;
    read_node("['STALE' 10 'two\nlines' 4]", &error);
    ck_assert_int_eq(judge(WEIR_COORD_FOLD, 0, &error, &out), WEIR_COORD_STALE);
    ck_assert_str_eq(out.why, "two lines");
}
END_TEST

static void spoil(struct weir_rng *rng, struct weir_redis_reply *r)
{
    static const int64_t integers[] = {0, -1, 1, INT64_MAX, INT64_MIN, UINT32_MAX, INT64_C(1) << 53};
    static const struct weir_str texts[] = {
        {"", 0}, {"\0", 1}, {"OK", 2}, {"=", 1}, {" ", 1}, {"phase=open phase=", 17}, {"{", 1}, {"\xff\n", 2}};
    r->type = (enum weir_redis_type)(weir_rng_next(rng) % (WEIR_REDIS_ARRAY + 1));
    r->integer = integers[weir_rng_next(rng) % (sizeof integers / sizeof integers[0])];
    r->str = texts[weir_rng_next(rng) % (sizeof texts / sizeof texts[0])];
    r->count = r->element != NULL ? weir_rng_next(rng) % (r->count + 1) : 0;
}

/* Parts of good answers replaced by others, and all of what comes of it read once: nothing may be wild in it. */
START_TEST(test_spoiled_answers_do_no_harm)
{
    struct weir_rng rng = {1};
    struct weir_textbuf shown;
    weir_textbuf_init(&shown, 1u << 20);
    for (unsigned round = 0; round < 50000; round++) {
        size_t i = weir_rng_next(&rng) % ANSWERS;
        struct weir_redis_reply from;
        struct weir_coord_reply out;
        node_count = 0;
        read_node(answers[i].text, &from);
        for (uint64_t n = 1 + weir_rng_next(&rng) % 2; n > 0; n--)
            spoil(&rng, &nodes[weir_rng_next(&rng) % node_count]);
        judge(answers[i].op, answers[i].count, &from, &out);
        show_reply(&shown, &out);
        ck_assert(!shown.failed);
        shown.len = 0;
        weir_arena_reset(&arena);
    }
    weir_textbuf_close(&shown);
}
END_TEST

/* Messages cut short, and with bytes replaced. */
START_TEST(test_spoiled_messages_do_no_harm)
{
    static const char *const messages[] = {"members 5 6",
                                           "map 5 6",
                                           ("circuit 5 http://e:80 " CIRCUIT),
                                           "checked 5 http://e:80 node-1 0 status 500, twice",
                                           "event 5 {\"id\":1}",
                                           "hints 5 6"};
    struct weir_rng rng = {2};
    struct weir_textbuf shown;
    weir_textbuf_init(&shown, 1u << 20);
    for (unsigned round = 0; round < 50000; round++) {
        struct weir_coord_push push;
        char text[256];
        const char *message = messages[round % 6];
        size_t len = strlen(message);
        memcpy(text, message, len);
        bool whole = round < 6;
        if (!whole) {
            len -= weir_rng_next(&rng) % 3 == 0 ? weir_rng_next(&rng) % len : 0;
            text[weir_rng_next(&rng) % len] = (char)(weir_rng_next(&rng) % 256);
        }
        if (weir_redis_push(&push, &arena, (struct weir_str){text, len}))
            show_push(&shown, &push);
        else
            ck_assert_msg(!whole, "%s", message);
        ck_assert(!shown.failed);
        shown.len = 0;
        weir_arena_reset(&arena);
    }
    weir_textbuf_close(&shown);
}
END_TEST

START_TEST(test_names_of_keys)
{
    struct weir_redis_names n;
    char longest[320];
    ck_assert(weir_redis_names_set(&n, "weir", "default"));
    ck_assert_str_eq(n.base, "weir:{default}");
    ck_assert_str_eq(n.channel, "weir:{default}:pushes");
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    ck_assert(!weir_redis_names_set(&n, longest, "default"));
    ck_assert(!weir_redis_names_set(&n, "weir", longest));
}
END_TEST

CHECK_MAIN("redis_answer", NULL, teardown, test_whole_answers_are_read, test_what_others_wrote_is_left_out,
           test_other_answers_are_refused, test_an_error_is_a_refusal_in_one_line, test_spoiled_answers_do_no_harm,
           test_spoiled_messages_do_no_harm, test_names_of_keys)
