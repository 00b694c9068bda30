/* Whatever a Redis server sends: it is read within bounds, and in pieces of any size as in one. The first byte says how
 * large the pieces are. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/redis_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read, as a number: every byte and its place count. */
struct sum {
    uint64_t value;
    size_t replies;
    int code;
};

static void add(struct sum *s, uint64_t v)
{
    s->value = (s->value ^ v) * UINT64_C(0x100000001b3);
}

static void add_reply(struct sum *s, const struct weir_redis_reply *r, unsigned depth)
{
    assert(depth <= WEIR_REDIS_REPLY_DEPTH_MAX && r->count <= WEIR_REDIS_REPLY_ELEMENTS_MAX);
    add(s, (uint64_t)r->type);
    add(s, (uint64_t)r->integer);
    for (size_t i = 0; i < r->str.len; i++)
        add(s, (uint8_t)r->str.ptr[i]);
    assert(r->str.ptr == NULL || r->str.ptr[r->str.len] == '\0');
    assert(weir_redis_error_code(r).len <= r->str.len);
    for (size_t i = 0; i < r->count; i++)
        add_reply(s, &r->element[i], depth + 1);
}

static struct sum read_all(const uint8_t *data, size_t size, size_t piece)
{
    struct weir_redis_reader r;
    struct weir_err err;
    struct sum s = {0};
    int rv = weir_redis_reader_init(&r);
    assert(rv == 0);
    for (size_t at = 0; at < size && s.code == 0; at += piece) {
        const struct weir_redis_reply *reply = NULL;
        char *copy = malloc(piece); /* of this size, so that the sanitizer sees a byte too far */
        size_t n = size - at < piece ? size - at : piece;
        assert(copy != NULL);
        memcpy(copy, data + at, n);
        s.code = weir_redis_reader_feed(&r, copy, n, &err);
        free(copy);
        while (s.code == 0) {
            s.code = weir_redis_reader_next(&r, &reply, &err);
            if (reply == NULL)
                break;
            add_reply(&s, reply, 0);
            s.replies++;
        }
    }
    assert(s.code == 0 || s.code == WEIR_EPROTO || s.code == WEIR_ENOMEM);
    assert(r.arena.bytes_total < 8 * WEIR_REDIS_REPLY_BYTES_MAX);
    weir_redis_reader_close(&r);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = 1 + data[0] % 64;
    struct sum whole = read_all(data + 1, size - 1, size - 1), pieces = read_all(data + 1, size - 1, piece);
    assert(whole.replies == pieces.replies && whole.value == pieces.value && whole.code == pieces.code);
    return 0;
}
