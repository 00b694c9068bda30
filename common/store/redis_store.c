/* The store in Redis: requests become script calls over one link (store/redis.h), messages of one channel pushes.
 *
 * A call that the link cannot take, or that is refused before it is sent, is answered in the reactor's next turn. */
#include <stdlib.h>

#include "store/redis.h"
#include "store/redis_ask.h"
#include "store/store_impl.h"

struct call {
    struct weir_list link; /* of free, sent or owed calls */
    struct redis *redis;
    enum weir_coord_op op;
    uint64_t id, sent_ms;
    uint32_t count;            /* items asked for */
    enum weir_coord_word word; /* owed */
    char why[256];             /* likewise */
};

struct redis {
    struct weir_store store;
    struct weir_reactor *reactor;
    struct weir_arena arena; /* the URL */
    struct weir_redis_url url;
    struct weir_redis_names names;
    struct weir_redis_link *link;
    struct weir_deadline turn;
    struct weir_list free, owed; /* calls; owed: to be answered in the next turn */
    unsigned under_way;          /* calls that are not free */
    unsigned depth;              /* of callbacks under way: the memory stays until they have returned */
    bool closed;
    const char *channel;
    struct call calls[WEIR_STORE_CALLS_MAX];
};

/* -- callbacks may close the store -- */

static void enter(struct redis *s)
{
    s->depth++;
}

static void leave(struct redis *s)
{
    if (--s->depth > 0 || !s->closed)
        return;
    weir_deadline_drop(&s->reactor->wheel, &s->turn);
    weir_arena_reset(&s->arena);
    free(s);
}

/* -- answers -- */

static void release(struct call *c)
{
    c->redis->under_way--;
    weir_list_push_back(&c->redis->free, &c->link);
}

static struct weir_coord_reply reply_to(const struct call *c)
{
    return (struct weir_coord_reply){.op = c->op, .id = c->id, .sent_ms = c->sent_ms};
}

static void owe(struct redis *s, struct call *c, enum weir_coord_word word, const char *why)
{
    c->word = word;
    size_t n = strnlen(why, sizeof c->why - 1);
    memcpy(c->why, why, n);
    c->why[n] = '\0';
    weir_list_push_back(&s->owed, &c->link);
    weir_reactor_deadline(s->reactor, &s->turn, s->reactor->now_ms);
}

static void pay(struct weir_deadline *d, uint64_t now_ms)
{
    struct redis *s = WEIR_CONTAINER(d, struct redis, turn);
    struct weir_list now;
    (void)now_ms;
    weir_list_init(&now);
    weir_list_splice(&now, &s->owed);
    enter(s);
    for (struct weir_list *l; !s->closed && (l = weir_list_pop_front(&now)) != NULL;) {
        struct call *c = WEIR_CONTAINER(l, struct call, link);
        struct weir_coord_reply reply = reply_to(c);
        reply.word = c->word;
        reply.why = c->why;
        s->store.events->reply(s->store.owner, &reply);
        release(c);
    }
    leave(s);
}

static void answered(void *owner, const struct weir_redis_reply *from, const struct weir_err *err)
{
    struct call *c = owner;
    struct redis *s = c->redis;
    if (s->closed)
        return;
    struct weir_coord_reply reply = reply_to(c);
    struct weir_arena arena;
    weir_arena_init(&arena);
    if (err != NULL) {
        reply.word = WEIR_COORD_AWAY;
        reply.why = err->msg;
    } else {
        weir_redis_answer(&reply, c->count, &arena, from);
    }
    release(c);
    enter(s);
    s->store.events->reply(s->store.owner, &reply);
    leave(s);
    weir_arena_reset(&arena);
}

/* -- requests -- */

static uint32_t items_of(const struct weir_coord_request *q)
{
    uint32_t n = q->op == WEIR_COORD_REPORT ? q->report.count : q->op == WEIR_COORD_TOKENS ? q->tokens.count : 0;
    return n < WEIR_COORD_BATCH ? n : WEIR_COORD_BATCH;
}

static void submit(struct weir_store *store, const struct weir_coord_request *q)
{
    struct redis *s = WEIR_CONTAINER(store, struct redis, store);
    struct weir_redis_ask ask;
    struct weir_arena arena;
    if (!weir_store_has_room(q->op, s->under_way))
        return;
    struct call *c = WEIR_CONTAINER(weir_list_pop_front(&s->free), struct call, link);
    s->under_way++;
    c->op = q->op;
    c->id = q->id;
    c->sent_ms = q->sent_ms;
    c->count = items_of(q);
    weir_arena_init(&arena);
    const char *refused = weir_redis_ask_set(&ask, &arena, &s->names, q, 0);
    if (refused != NULL)
        owe(s, c, WEIR_COORD_REFUSED, refused);
    else if (weir_redis_link_eval(s->link, ask.script, ask.keys, ask.key_count, ask.args, ask.arg_count, 0, answered,
                                  c) != WEIR_OK)
        owe(s, c, WEIR_COORD_AWAY, "the store is away");
    weir_arena_reset(&arena);
}

/* -- the link -- */

static void up(void *owner)
{
    struct redis *s = owner;
    enter(s);
    s->store.events->contact(s->store.owner, true, "");
    leave(s);
}

static void down(void *owner, const struct weir_err *why)
{
    struct redis *s = owner;
    enter(s);
    s->store.events->contact(s->store.owner, false, why->msg);
    leave(s);
}

static void message(void *owner, struct weir_str channel, struct weir_str payload)
{
    struct redis *s = owner;
    struct weir_coord_push push;
    struct weir_arena arena;
    (void)channel;
    weir_arena_init(&arena);
    enter(s);
    if (weir_redis_push(&push, &arena, payload))
        s->store.events->push(s->store.owner, &push);
    leave(s);
    weir_arena_reset(&arena);
}

static void subscribed(void *owner)
{
    static const struct weir_coord_push gap = {.kind = WEIR_COORD_PUSH_GAP};
    struct redis *s = owner;
    enter(s);
    s->store.events->push(s->store.owner, &gap);
    leave(s);
}

static const struct weir_redis_link_events link_events = {
    .up = up, .down = down, .message = message, .subscribed = subscribed};

static const char *server(const struct weir_store *store)
{
    return weir_redis_link_server(WEIR_CONTAINER(store, struct redis, store)->link);
}

static void close_redis(struct weir_store *store)
{
    struct redis *s = WEIR_CONTAINER(store, struct redis, store);
    enter(s);
    s->closed = true;
    weir_redis_link_close(&s->link);
    leave(s);
}

static const struct weir_store_ops ops = {submit, server, close_redis};

/* Errors: WEIR_EINVAL, WEIR_ENOMEM. */
static int begin(struct redis *s, const struct weir_store_opts *o, struct weir_err *err)
{
    const char *wrong = weir_redis_url_parse(&s->url, &s->arena, o->config->redis_url);
    if (wrong != NULL)
        return weir_err_set(err, WEIR_EINVAL, "distributed_pool.redis_url %s", wrong);
    if (!weir_redis_names_set(&s->names, o->config->key_prefix, o->config->cluster))
        return weir_err_set(err, WEIR_EINVAL, "distributed_pool.key_prefix and cluster are too long together");
    s->channel = s->names.channel;
    const struct weir_redis_link_opts link = {
        .url = &s->url,
        .dns = o->dns,
        .tls = o->tls,
        .crypto = o->crypto,
        .client_name = o->client_name,
        .timeout_ms = o->config->redis_timeout_ms,
        .seed = o->seed,
        .channels = &s->channel,
        .channel_count = 1,
        .events = &link_events,
        .owner = s,
    };
    return weir_redis_link_open(&s->link, s->reactor, &link, err);
}

int weir_store_open(struct weir_store **out, struct weir_reactor *r, const struct weir_store_opts *opts,
                    struct weir_err *err)
{
    struct redis *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "store: %s", weir_err_text(WEIR_ENOMEM));
    s->store = (struct weir_store){&ops, opts->events, opts->owner};
    s->reactor = r;
    weir_list_init(&s->free);
    weir_list_init(&s->owed);
    weir_deadline_init(&s->turn, pay);
    for (size_t i = 0; i < WEIR_STORE_CALLS_MAX; i++) {
        s->calls[i].redis = s;
        weir_list_push_back(&s->free, &s->calls[i].link);
    }
    int rv = begin(s, opts, err);
    if (rv != WEIR_OK) {
        weir_arena_reset(&s->arena);
        free(s);
        return rv;
    }
    *out = &s->store;
    return WEIR_OK;
}
