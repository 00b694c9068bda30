#include "helper_store.h"

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* An endpoint that no test uses. */
#define DRILL "http://drill:1"

/* -- what the store tells -- */

static const char *keep(struct store_fixture *f, const char *text)
{
    return text != NULL ? weir_arena_dup(&f->arena, weir_str_of(text)).ptr : NULL;
}

static void *keep_list(struct store_fixture *f, const void *list, size_t count, size_t size)
{
    void *copy = weir_arena_alloc(&f->arena, count * size + 1);
    ck_assert_ptr_nonnull(copy);
    if (count > 0)
        memcpy(copy, list, count * size);
    return copy;
}

static void keep_circuit(struct store_fixture *f, struct weir_coord_circuit *c)
{
    c->endpoint = keep(f, c->endpoint);
    c->by = keep(f, c->by);
}

static void keep_lists(struct store_fixture *f, struct weir_coord_reply *r)
{
    if (r->op == WEIR_COORD_MEMBERS) {
        r->members.at = keep_list(f, r->members.at, r->members.count, sizeof *r->members.at);
    } else if (r->op == WEIR_COORD_CIRCUITS) {
        struct weir_coord_circuit *list = keep_list(f, r->circuits.at, r->circuits.count, sizeof *list);
        for (uint32_t i = 0; i < r->circuits.count; i++)
            keep_circuit(f, &list[i]);
        r->circuits.at = list;
    } else if (r->op == WEIR_COORD_EVENTS) {
        struct weir_str *list = keep_list(f, r->events.at, r->events.count, sizeof *list);
        for (uint32_t i = 0; i < r->events.count; i++)
            list[i] = weir_arena_dup(&f->arena, list[i]);
        r->events.at = list;
    } else if (r->op == WEIR_COORD_LOADS || r->op == WEIR_COORD_SERIES) {
        struct weir_coord_entry *list = keep_list(f, r->entries.at, r->entries.count, sizeof *list);
        for (uint32_t i = 0; i < r->entries.count; i++)
            list[i].text = weir_arena_dup(&f->arena, list[i].text);
        r->entries.at = list;
    }
}

static void keep_reply(struct store_fixture *f, const struct weir_coord_reply *reply)
{
    struct weir_coord_reply *r = &f->reply;
    *r = *reply;
    r->why = keep(f, r->why);
    if (r->word != WEIR_COORD_OK && r->word != WEIR_COORD_STALE)
        return;
    if (r->op == WEIR_COORD_BEAT) {
        r->beat.map_leader = keep(f, r->beat.map_leader);
        r->beat.secret = keep(f, r->beat.secret);
        r->beat.led.leader = keep(f, r->beat.led.leader);
    } else if (r->op == WEIR_COORD_MAP) {
        r->map.leader = keep(f, r->map.leader);
        r->map.map = weir_arena_dup(&f->arena, r->map.map);
        r->map.led.leader = keep(f, r->map.led.leader);
    } else if (r->op == WEIR_COORD_LEAD || r->op == WEIR_COORD_PUBLISH) {
        r->lead.led.leader = keep(f, r->lead.led.leader);
    } else if (r->op == WEIR_COORD_ADVICE) {
        r->advice.leader = keep(f, r->advice.leader);
        r->advice.hints = weir_arena_dup(&f->arena, r->advice.hints);
        r->advice.analytics = weir_arena_dup(&f->arena, r->advice.analytics);
    }
    keep_lists(f, r);
}

static void on_reply(void *owner, const struct weir_coord_reply *reply)
{
    struct store_fixture *f = owner;
    ck_assert(!f->inside_submit);
    ck_assert_uint_le(reply->id, f->asked);
    ck_assert_uint_eq(reply->sent_ms, reply->id + 5);
    f->replies++;
    keep_reply(f, reply);
    if (f->on_reply != NULL)
        f->on_reply(f);
}

static void on_push(void *owner, const struct weir_coord_push *push)
{
    struct store_fixture *f = owner;
    ck_assert(!f->inside_submit);
    f->pushes[push->kind]++;
    f->push = *push;
    if (push->kind == WEIR_COORD_PUSH_CIRCUIT) {
        keep_circuit(f, &f->push.circuit);
    } else if (push->kind == WEIR_COORD_PUSH_CHECKED) {
        f->push.checked.endpoint = keep(f, push->checked.endpoint);
        f->push.checked.node = keep(f, push->checked.node);
        f->push.checked.why = keep(f, push->checked.why);
    } else if (push->kind == WEIR_COORD_PUSH_EVENT) {
        f->push.event = weir_arena_dup(&f->arena, push->event);
    }
}

static void on_contact(void *owner, bool up, const char *why)
{
    struct store_fixture *f = owner;
    ck_assert_msg(up != f->up || f->ups + f->downs == 0, "contact told twice: %s", why);
    ck_assert(up == (why[0] == '\0'));
    f->up = up;
    f->ups += up;
    f->downs += !up;
    snprintf(f->why, sizeof f->why, "%s", why);
}

static const struct weir_store_events events = {on_reply, on_push, on_contact};

/* -- its life -- */

void store_begin_server(struct store_fixture *f, const char *program, const char *const *args)
{
    const char *all[SERVER_ARGS_MAX + 1] = {"--aclfile", STORE_ACL};
    unsigned n = 2;
    memset(f, 0, sizeof *f);
    for (; args != NULL && *args != NULL; args++) {
        ck_assert_uint_lt(n, SERVER_ARGS_MAX);
        all[n++] = *args;
    }
    server_start(&f->server, program, all);
    snprintf(f->url, sizeof f->url, "redis://weir:change-me@127.0.0.1:%u", f->server.port);
    f->config = (struct weir_config_distributed){
        .redis_url = f->url, .key_prefix = "weir", .cluster = "test", .redis_timeout_ms = 5000};
}

void store_open(struct store_fixture *f)
{
    struct weir_err err = {0};
    reactor_open(&f->r);
    ck_assert_int_eq(weir_dns_new(&f->dns, &f->r, &err), 0);
    const struct weir_store_opts opts = {
        .config = &f->config, .client_name = "test", .dns = f->dns, .seed = 3, .events = &events, .owner = f};
    int rv = f->url[0] != '\0' ? weir_store_open(&f->store, &f->r, &opts, &err)
                               : weir_store_open_memory(&f->store, &f->r, &events, f, &err);
    ck_assert_msg(rv == WEIR_OK, "%s", err.msg);
    ck_assert_uint_eq(f->ups + f->downs, 0);
}

void store_await_pushes(struct store_fixture *f)
{
    const struct weir_coord_request q = {.op = WEIR_COORD_CHECKED,
                                         .checked = {.endpoint = DRILL, .node = "drill", .passed = true, .why = ""}};
    unsigned sent = 0;
    while (f->pushes[WEIR_COORD_PUSH_CHECKED] == 0) {
        store_ask(f, &q);
        sent++;
        uv_run(&f->r.loop, UV_RUN_NOWAIT);
    }
    /* Those that are still on their way. */
    RUN_UNTIL(&f->r, f->pushes[WEIR_COORD_PUSH_CHECKED] > 0 && f->push.kind == WEIR_COORD_PUSH_CHECKED);
    const struct weir_coord_request last = {.op = WEIR_COORD_CHECKED,
                                            .checked = {.endpoint = DRILL, .node = "last", .passed = true, .why = ""}};
    store_ask(f, &last);
    RUN_UNTIL(&f->r, strcmp(f->push.checked.node, "last") == 0);
    memset(f->pushes, 0, sizeof f->pushes);
}

bool store_begin(struct store_fixture *f, unsigned kind, const char *const *args)
{
    const char *program = kind > 0 ? server_program(kind - 1) : NULL;
    if (kind > 0 && program == NULL)
        return false;
    memset(f, 0, sizeof *f);
    if (kind > 0)
        store_begin_server(f, program, args);
    store_open(f);
    RUN_UNTIL(&f->r, f->up);
    store_await_pushes(f);
    return true;
}

void store_end(struct store_fixture *f)
{
    weir_store_close(&f->store);
    ck_assert_ptr_null(f->store);
    weir_dns_close(&f->dns);
    server_end(&f->server);
    weir_arena_reset(&f->arena);
    weir_reactor_close(&f->r);
}

/* -- questions -- */

void store_send(struct store_fixture *f, const struct weir_coord_request *q)
{
    struct weir_coord_request numbered = *q;
    numbered.id = ++f->asked;
    numbered.sent_ms = numbered.id + 5;
    f->inside_submit = true;
    weir_store_submit(f->store, &numbered);
    f->inside_submit = false;
}

enum weir_coord_word store_ask(struct store_fixture *f, const struct weir_coord_request *q)
{
    unsigned before = f->replies;
    store_send(f, q);
    RUN_UNTIL(&f->r, f->replies > before);
    ck_assert_uint_eq(f->reply.id, f->asked);
    ck_assert_int_eq(f->reply.op, q->op);
    ck_assert_msg((f->reply.word == WEIR_COORD_OK) == (f->reply.why[0] == '\0'), "a reason goes with a refusal");
    return f->reply.word;
}

enum weir_coord_word store_ask_op(struct store_fixture *f, enum weir_coord_op op)
{
    struct weir_coord_request q = {.op = op};
    return store_ask(f, &q);
}

const char *store_command(struct store_fixture *f, const char *format, ...)
{
    static char text[1024];
    redisContext *c = redisConnect("127.0.0.1", f->server.port);
    ck_assert(c != NULL && c->err == 0);
    redisReply *auth = redisCommand(c, "AUTH weir change-me");
    ck_assert(auth != NULL && auth->type == REDIS_REPLY_STATUS);
    freeReplyObject(auth);
    va_list ap;
    va_start(ap, format);
    redisReply *r = redisvCommand(c, format, ap);
    va_end(ap);
    ck_assert_ptr_nonnull(r);
    if (r->type == REDIS_REPLY_INTEGER)
        snprintf(text, sizeof text, "%lld", r->integer);
    else
        snprintf(text, sizeof text, "%s", r->str != NULL ? r->str : "");
    freeReplyObject(r);
    redisFree(c);
    return text;
}
