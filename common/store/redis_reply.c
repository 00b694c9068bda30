/* hiredis' parser calls back for each value it has read; values are built in an arena, children inside their array, so
 * that a hostile reply costs bounded memory, is freed at once, and no depth of it is anybody's recursion. */
#include "store/redis_reply.h"

#include <hiredis/read.h>
#include <string.h>

/* A length or a count: a sign, 19 digits, CR, LF. */
#define NUMBER_LINE_MAX 24u

/* -- what the parser calls -- */

static void *refuse(struct weir_redis_reader *r, const char *why)
{
    if (r->refused == NULL)
        r->refused = why;
    return NULL; /* to the parser that is out of memory: it stops for good */
}

/* The place of the value that has been read: in its array, or the top. */
static struct weir_redis_reply *place(const redisReadTask *task, enum weir_redis_type type)
{
    struct weir_redis_reader *r = task->privdata;
    struct weir_redis_reply *at = &r->top;
    if (task->parent != NULL) {
        struct weir_redis_reply *array = task->parent->obj;
        at = (struct weir_redis_reply *)(uintptr_t)&array->element[task->idx];
    }
    *at = (struct weir_redis_reply){.type = type};
    return at;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t n)
{
    struct weir_redis_reader *r = task->privdata;
    enum weir_redis_type type = WEIR_REDIS_STRING;
    if (task->type == REDIS_REPLY_STATUS)
        type = WEIR_REDIS_STATUS;
    else if (task->type == REDIS_REPLY_ERROR)
        type = WEIR_REDIS_ERROR;
    else if (task->type != REDIS_REPLY_STRING)
        return refuse(r, "a type of RESP3, which was not asked for");
    struct weir_redis_reply *at = place(task, type);
    at->str = weir_arena_dup(&r->arena, (struct weir_str){bytes, n});
    return at->str.ptr != NULL ? at : NULL;
}

static void *create_array(const redisReadTask *task, size_t count)
{
    struct weir_redis_reader *r = task->privdata;
    unsigned depth = 1;
    if (task->type != REDIS_REPLY_ARRAY)
        return refuse(r, "a type of RESP3, which was not asked for");
    for (const redisReadTask *t = task->parent; t != NULL; t = t->parent)
        depth++;
    if (depth > WEIR_REDIS_REPLY_DEPTH_MAX)
        return refuse(r, "arrays nested too deeply");
    if (count > WEIR_REDIS_REPLY_ELEMENTS_MAX - r->elements)
        return refuse(r, "an array that is too long");
    r->elements += count;
    struct weir_redis_reply *at = place(task, WEIR_REDIS_ARRAY);
    if (count == 0)
        return at;
    struct weir_redis_reply *elements = weir_arena_alloc(&r->arena, count * sizeof *elements);
    if (elements == NULL)
        return NULL;
    memset(elements, 0, count * sizeof *elements);
    at->element = elements;
    at->count = count;
    return at;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct weir_redis_reply *at = place(task, WEIR_REDIS_INTEGER);
    at->integer = value;
    return at;
}

static void *create_double(const redisReadTask *task, double value, char *text, size_t n)
{
    (void)value, (void)text, (void)n;
    return refuse(task->privdata, "a type of RESP3, which was not asked for");
}

static void *create_nil(const redisReadTask *task)
{
    return place(task, WEIR_REDIS_NIL);
}

static void *create_bool(const redisReadTask *task, int value)
{
    (void)value;
    return refuse(task->privdata, "a type of RESP3, which was not asked for");
}

static void free_nothing(void *object)
{
    (void)object; /* the arena's */
}

static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createDouble = create_double,
    .createNil = create_nil,
    .createBool = create_bool,
    .freeObject = free_nothing,
};

/* -- the reader -- */

int weir_redis_reader_init(struct weir_redis_reader *r)
{
    *r = (struct weir_redis_reader){.parser = redisReaderCreateWithFunctions(&functions)};
    if (r->parser == NULL)
        return WEIR_ENOMEM;
    r->parser->privdata = r;
    r->parser->maxelements = WEIR_REDIS_REPLY_ELEMENTS_MAX;
    return WEIR_OK;
}

void weir_redis_reader_close(struct weir_redis_reader *r)
{
    if (r->parser != NULL)
        redisReaderFree(r->parser);
    weir_arena_reset(&r->arena);
    *r = (struct weir_redis_reader){0};
}

static int stopped(const struct weir_redis_reader *r, struct weir_err *err)
{
    if (r->refused != NULL)
        return weir_err_set(err, WEIR_EPROTO, "the server sent %s", r->refused);
    if (r->parser->err == REDIS_ERR_OOM)
        return weir_err_set(err, WEIR_ENOMEM, "out of memory for a reply");
    return weir_err_set(err, WEIR_EPROTO, "the server does not speak Redis' protocol: %s", r->parser->errstr);
}

/* Whether what the parser waits for is more than it may be. What it holds begins with the value that is not whole, its
 * type taken off; a line is looked through anew with each feed, so it must be short. A line that is still here has no
 * end, and no more has a bulk string's length. */
static bool is_too_much(struct weir_redis_reader *r)
{
    const redisReader *p = r->parser;
    size_t held = p->len - p->pos;
    if (held == 0)
        return false;
    bool bulk = p->ridx >= 0 && p->task[p->ridx]->type == REDIS_REPLY_STRING;
    bool endless = bulk ? held >= NUMBER_LINE_MAX && memmem(p->buf + p->pos, NUMBER_LINE_MAX, "\r\n", 2) == NULL
                        : held >= WEIR_REDIS_REPLY_LINE_MAX;
    if (endless)
        (void)refuse(r, "a line that is too long");
    else if (held > WEIR_REDIS_REPLY_BYTES_MAX)
        (void)refuse(r, "a value that is too long");
    return r->refused != NULL;
}

int weir_redis_reader_feed(struct weir_redis_reader *r, const void *bytes, size_t n, struct weir_err *err)
{
    if (r->refused != NULL || redisReaderFeed(r->parser, bytes, n) != REDIS_OK)
        return stopped(r, err);
    return WEIR_OK;
}

int weir_redis_reader_next(struct weir_redis_reader *r, const struct weir_redis_reply **reply, struct weir_err *err)
{
    void *object = NULL;
    *reply = NULL;
    if (r->refused != NULL)
        return stopped(r, err);
    if (r->parser->ridx < 0) { /* the last one is no longer needed */
        weir_arena_reset(&r->arena);
        r->elements = 0;
    }
    if (redisReaderGetReply(r->parser, &object) != REDIS_OK)
        return stopped(r, err);
    if (object != NULL)
        *reply = object;
    else if (is_too_much(r))
        return stopped(r, err);
    else if (r->arena.bytes_total > WEIR_REDIS_REPLY_BYTES_MAX * 2) {
        (void)refuse(r, "a reply that is too large");
        return stopped(r, err);
    }
    return WEIR_OK;
}

/* -- what errors say -- */

static bool is_code_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static struct weir_str code_at(const char *at, const char *end)
{
    const char *stop = at;
    while (stop < end && is_code_char(*stop))
        stop++;
    return (struct weir_str){at, (size_t)(stop - at)};
}

struct weir_str weir_redis_error_code(const struct weir_redis_reply *reply)
{
    if (reply->type != WEIR_REDIS_ERROR)
        return WEIR_STR("");
    const char *at = reply->str.ptr, *end = at + reply->str.len;
    /* Redis 6.2: "ERR Error running script (call to f_...): @user_script:1: -READONLY You can't write ..." */
    const char *wrapped = weir_str_starts(reply->str, WEIR_STR("ERR Error running script")) ? strstr(at, ": -") : NULL;
    struct weir_str inner = wrapped != NULL ? code_at(wrapped + 3, end) : WEIR_STR("");
    return inner.len > 0 ? inner : code_at(at, end);
}

bool weir_redis_error_is(const struct weir_redis_reply *reply, const char *code)
{
    return reply->type == WEIR_REDIS_ERROR && weir_str_eq(weir_redis_error_code(reply), weir_str_of(code));
}

bool weir_redis_error_is_unfit(const struct weir_redis_reply *reply)
{
    return weir_redis_error_is(reply, "READONLY") || weir_redis_error_is(reply, "LOADING") ||
           weir_redis_error_is(reply, "MASTERDOWN");
}

bool weir_redis_reply_is(const struct weir_redis_reply *reply, const char *text)
{
    return (reply->type == WEIR_REDIS_STATUS || reply->type == WEIR_REDIS_STRING) &&
           weir_str_eq(reply->str, weir_str_of(text));
}
