/* The scripts in a real server and their twin in C, through the same random histories: every answer and every push is
 * compared, and the whole state now and then. A failure prints the seed and the step:
 *
 *     WEIR_TWINS_SEED=7 WEIR_TWINS_STEPS=100000 build/tests/store_test_twins */
#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "helper/net_run.h"
#include "helper_history.h"
#include "helper_server.h"
#include "helper_show.h"
#include "store/redis.h"
#include "store/redis_ask.h"

#define SEEDS         4u
#define STEPS         2500u
#define STATE_EACH    50u
#define TIMEOUT_MS    20000u
#define TEXT_MAX      ((size_t)1 << 20)
#define ACL           WEIR_TESTS_DIR "/../deploy/redis/users.acl"
#define CLUSTER_BASE  "weir:{twins}"
#define PROVIDERS_MAX 3u

static struct {
    struct weir_reactor r;
    struct weir_dns *dns;
    struct server server;
    struct weir_arena url_arena, arena;
    struct weir_redis_url url;
    struct weir_redis_names names;
    struct weir_redis_link *link;
    struct weir_coord_state *state;
    struct history history;
    uint64_t seed;
    uint32_t step, items;
    bool up, subscribed, answered;
    struct weir_coord_reply reply; /* the scripts' */
    struct weir_textbuf from_lua, from_c, pushed_by_lua, pushed_by_c;
} f;

static void say_down(void *owner, const struct weir_err *why)
{
    (void)owner;
    ck_abort_msg("the link is down: %s", why->msg);
}

static void note_up(void *owner)
{
    (void)owner;
    f.up = true;
}

static void note_subscribed(void *owner)
{
    (void)owner;
    f.subscribed = true;
}

static void note_push(void *owner, struct weir_str channel, struct weir_str payload)
{
    struct weir_coord_push push;
    (void)owner;
    (void)channel;
    ck_assert_msg(weir_redis_push(&push, &f.arena, payload), "not a push: %.*s", WEIR_FMT(payload));
    show_push(&f.pushed_by_lua, &push);
}

static void note_twins_push(void *arg, const struct weir_coord_push *push)
{
    (void)arg;
    show_push(&f.pushed_by_c, push);
}

static const struct weir_redis_link_events events = {note_up, say_down, note_subscribed, NULL, note_push};
static const char *const channels[] = {CLUSTER_BASE ":pushes"};

static void open_all(const char *program)
{
    static const char *const args[] = {"--aclfile", ACL, NULL};
    struct weir_err err;
    char url[96];
    memset(&f, 0, sizeof f);
    reactor_open(&f.r);
    ck_assert_int_eq(weir_dns_new(&f.dns, &f.r, &err), 0);
    server_start(&f.server, program, args);
    snprintf(url, sizeof url, "redis://weir:change-me@127.0.0.1:%u", f.server.port);
    ck_assert_ptr_null(weir_redis_url_parse(&f.url, &f.url_arena, url));
    ck_assert(weir_redis_names_set(&f.names, "weir", "twins"));
    const struct weir_redis_link_opts opts = {.url = &f.url,
                                              .dns = f.dns,
                                              .client_name = "twins",
                                              .timeout_ms = TIMEOUT_MS,
                                              .channels = channels,
                                              .channel_count = 1,
                                              .events = &events};
    ck_assert_int_eq(weir_redis_link_open(&f.link, &f.r, &opts, &err), 0);
    RUN_UNTIL(&f.r, f.up && f.subscribed);
    f.state = weir_coord_state_new();
    struct weir_textbuf *texts[] = {&f.from_lua, &f.from_c, &f.pushed_by_lua, &f.pushed_by_c};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        weir_textbuf_init(texts[i], TEXT_MAX);
}

static void close_all(void)
{
    struct weir_textbuf *texts[] = {&f.from_lua, &f.from_c, &f.pushed_by_lua, &f.pushed_by_c};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        weir_textbuf_close(texts[i]);
    weir_coord_state_free(&f.state);
    weir_redis_link_close(&f.link);
    weir_dns_close(&f.dns);
    server_end(&f.server);
    weir_arena_reset(&f.url_arena);
    weir_arena_reset(&f.arena);
    weir_reactor_close(&f.r);
}

/* The line of a text that has its byte number `at`. */
static struct weir_str line_at(const struct weir_textbuf *t, size_t at)
{
    size_t begin = at, end = at;
    while (begin > 0 && t->ptr[begin - 1] != '\n')
        begin--;
    while (end < t->len && t->ptr[end] != '\n')
        end++;
    return end > begin ? (struct weir_str){t->ptr + begin, end - begin} : WEIR_STR("(nothing)");
}

static void expect_same(const char *what, struct weir_textbuf *lua, struct weir_textbuf *c)
{
    size_t same = 0;
    ck_assert(!lua->failed && !c->failed);
    while (same < lua->len && same < c->len && lua->ptr[same] == c->ptr[same])
        same++;
    ck_assert_msg(same == lua->len && same == c->len,
                  "%s: %s differ at step %u of seed %llu\nscript: %.*s\ntwin:   %.*s", f.server.program, what, f.step,
                  (unsigned long long)f.seed, WEIR_FMT(line_at(lua, same)), WEIR_FMT(line_at(c, same)));
    lua->len = c->len = 0;
}

/* -- answers and pushes -- */

static void note_answer(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    (void)owner;
    ck_assert_msg(err == NULL, "no answer: %s", err != NULL ? err->msg : "");
    weir_redis_answer(&f.reply, f.items, &f.arena, reply);
    f.answered = true;
}

static void run_script(const struct weir_coord_request *q)
{
    struct weir_redis_ask ask;
    ck_assert_ptr_null(weir_redis_ask_set(&ask, &f.arena, &f.names, q, f.history.now_us));
    f.reply = (struct weir_coord_reply){.op = q->op, .id = q->id, .sent_ms = q->sent_ms};
    f.items = q->op == WEIR_COORD_REPORT ? q->report.count : q->op == WEIR_COORD_TOKENS ? q->tokens.count : 0;
    f.answered = false;
    ck_assert_int_eq(weir_redis_link_eval(f.link, ask.script, ask.keys, ask.key_count, ask.args, ask.arg_count, 0,
                                          note_answer, NULL),
                     0);
    RUN_UNTIL(&f.r, f.answered);
    show_reply(&f.from_lua, &f.reply);
}

static void step(void)
{
    struct weir_coord_request q;
    struct weir_coord_reply reply;
    history_next(&f.history, f.state, &q);
    run_script(&q);
    weir_coord_apply(f.state, f.history.now_us, &q, &reply, note_twins_push, NULL);
    show_reply(&f.from_c, &reply);
    expect_same("answers", &f.from_lua, &f.from_c);
    /* Pushes come over a connection of their own. */
    for (int i = 0; i < 1000 && f.pushed_by_lua.len < f.pushed_by_c.len; i++)
        uv_run(&f.r.loop, UV_RUN_ONCE);
    expect_same("pushes", &f.pushed_by_lua, &f.pushed_by_c);
    weir_arena_reset(&f.arena);
}

/* -- states -- */

struct reading {
    const char *name;
    bool pairs, done; /* of field and value; else one element a line */
};

static void note_reading(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    struct reading *k = owner;
    ck_assert_msg(err == NULL && reply->type == WEIR_REDIS_ARRAY, "%s cannot be read", k->name);
    for (size_t i = 0; i + 1 < reply->count; i += 2)
        weir_textbuf_printf(&f.from_lua, "%s %.*s %.*s\n", k->name, WEIR_FMT(reply->element[i].str),
                            WEIR_FMT(reply->element[i + 1].str));
    k->done = true;
}

static void read_key(const char *name, bool sorted_set)
{
    char key[128];
    struct reading reading = {.name = name};
    snprintf(key, sizeof key, CLUSTER_BASE ":%s", name);
    const struct weir_str hash[] = {WEIR_STR("HGETALL"), weir_str_of(key)};
    const struct weir_str zset[] = {WEIR_STR("ZRANGE"), weir_str_of(key), WEIR_STR("0"), WEIR_STR("-1"),
                                    WEIR_STR("WITHSCORES")};
    ck_assert_int_eq(
        weir_redis_link_call(f.link, sorted_set ? zset : hash, sorted_set ? 5 : 2, 0, note_reading, &reading), 0);
    RUN_UNTIL(&f.r, reading.done);
}

/* Of each entry: its id and its fields, joined by spaces. */
static void note_stream(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    struct reading *k = owner;
    ck_assert_msg(err == NULL && reply->type == WEIR_REDIS_ARRAY, "%s cannot be read", k->name);
    for (size_t i = 0; i < reply->count; i++) {
        const struct weir_redis_reply *entry = reply->element[i].element, *fields = &entry[1];
        weir_textbuf_printf(&f.from_lua, "%s %.*s", k->name, WEIR_FMT(entry[0].str));
        for (size_t n = 0; n < fields->count; n++)
            weir_textbuf_printf(&f.from_lua, " %.*s", WEIR_FMT(fields->element[n].str));
        weir_textbuf_char(&f.from_lua, '\n');
    }
    k->done = true;
}

static void read_stream(const char *name)
{
    char key[128];
    struct reading reading = {.name = name};
    snprintf(key, sizeof key, CLUSTER_BASE ":%s", name);
    const struct weir_str range[] = {WEIR_STR("XRANGE"), weir_str_of(key), WEIR_STR("-"), WEIR_STR("+")};
    ck_assert_int_eq(weir_redis_link_call(f.link, range, 4, 0, note_stream, &reading), 0);
    RUN_UNTIL(&f.r, reading.done);
}

static void compare_states(void)
{
    static const char *const hashes[] = {"meta",         "members",    "load",     "lead",
                                         "map",          "advice",     "circuits", "circuits:state",
                                         "limit:openai", "limit:vllm", "limit:p.3"};
    static const char *const streams[] = {"loads", "series:0", "series:1", "series:2"};
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++)
        read_stream(streams[i]);
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        read_key(hashes[i], false);
    read_key("seen", true);
    sort_lines(&f.from_lua);
    show_state(&f.from_c, f.state);
    expect_same("states", &f.from_lua, &f.from_c);
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    uint64_t value;
    return text != NULL && weir_str_to_u64(weir_str_of(text), &value) ? value : otherwise;
}

static void run_history(const char *program, uint64_t seed, uint32_t steps)
{
    unsigned answers[WEIR_COORD_OPS] = {0};
    open_all(program);
    f.seed = seed;
    history_begin(&f.history, seed);
    for (f.step = 0; f.step < steps; f.step++) {
        step();
        answers[f.reply.op] += f.reply.word == WEIR_COORD_OK;
        if (f.step % STATE_EACH == 0)
            compare_states();
    }
    for (int op = 0; op < WEIR_COORD_OPS; op++)
        ck_assert_msg(answers[op] > 0, "seed %llu never had an answer to %s", (unsigned long long)seed,
                      weir_coord_op_text((enum weir_coord_op)op));
    compare_states();
    close_all();
}

START_TEST(test_scripts_and_their_twins_agree)
{
    uint64_t first = from_env("WEIR_TWINS_SEED", 1);
    uint64_t seeds = getenv("WEIR_TWINS_SEED") != NULL ? 1 : SEEDS;
    uint32_t steps = (uint32_t)from_env("WEIR_TWINS_STEPS", STEPS);
    const char *program;
    for (unsigned i = 0; (program = server_program(i)) != NULL; i++)
        for (uint64_t seed = first; seed < first + seeds; seed++)
            run_history(program, seed, steps);
}
END_TEST

CHECK_MAIN("twins", NULL, NULL, test_scripts_and_their_twins_agree)
