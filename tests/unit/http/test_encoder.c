#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef WEIR_HAVE_ZSTD
#include <zstd.h>
#endif

#include "check_main.h"
#include "helper/core_failmalloc.h"
#include "http/encoder.h"

/* An exchange that keeps what it is given, has the room that the test says, and minds that nobody goes over it. */
static struct {
    struct weir_exchange x;
    uint8_t *bytes;
    size_t len, cap, room;
    bool drains; /* now and then it writes while it is being given something, and has room again */
    bool told;   /* send_body has returned 0, so that a call of `room` is due */
} to;

static uint32_t chance = 1;

static uint32_t next_random(void)
{
    chance = chance * 1664525 + 1013904223;
    return chance >> 8;
}

static size_t to_room(const struct weir_exchange *x)
{
    (void)x;
    return to.room;
}

static size_t to_send_body(struct weir_exchange *x, const void *p, size_t n)
{
    (void)x;
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_le(n, to.room);
    ck_assert_uint_le(to.len + n, to.cap);
    memcpy(to.bytes + to.len, p, n);
    to.len += n;
    to.room -= n;
    if (to.drains && next_random() % 2 == 0)
        to.room += next_random() % (16385 - to.room);
    to.told = to.room == 0;
    return to.room;
}

static const struct weir_exchange_ops to_ops = {.send_body = to_send_body, .room = to_room};

static void setup(void)
{
    memset(&to, 0, sizeof to);
    to.x.ops = &to_ops;
    to.cap = (size_t)4 << 20;
    to.bytes = malloc(to.cap);
    to.room = SIZE_MAX;
    ck_assert_ptr_nonnull(to.bytes);
}

static void teardown(void)
{
    free(to.bytes);
}

/* What can be decoded of the bytes that went out; *whole: it has come to its end, and nothing follows. */
static uint8_t *decode_gzip(size_t *len, bool *whole)
{
    uint8_t *out = malloc(to.cap);
    ck_assert_ptr_nonnull(out);
    z_stream z = {.next_in = to.bytes, .avail_in = (unsigned)to.len, .next_out = out, .avail_out = (unsigned)to.cap};
    ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
    int rv = inflate(&z, Z_SYNC_FLUSH);
    ck_assert_msg(rv == Z_OK || rv == Z_STREAM_END || rv == Z_BUF_ERROR, "inflate: %d", rv);
    *whole = rv == Z_STREAM_END && z.avail_in == 0;
    *len = to.cap - z.avail_out;
    inflateEnd(&z);
    return out;
}

#ifdef WEIR_HAVE_ZSTD
static uint8_t *decode_zstd(size_t *len, bool *whole)
{
    uint8_t *bytes = malloc(to.cap);
    ck_assert_ptr_nonnull(bytes);
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_inBuffer in = {to.bytes, to.len, 0};
    ZSTD_outBuffer out = {bytes, to.cap, 0};
    size_t left = 1;
    while (in.pos < in.size && left != 0) {
        left = ZSTD_decompressStream(d, &out, &in);
        ck_assert_msg(!ZSTD_isError(left), "zstd: %s", ZSTD_getErrorName(left));
    }
    *whole = left == 0 && in.pos == in.size;
    *len = out.pos;
    ZSTD_freeDCtx(d);
    return bytes;
}
#endif

static void came_out(enum weir_coding c, const uint8_t *want, size_t n, bool whole)
{
    size_t len = 0;
    bool ended = false;
    uint8_t *out = NULL;
    if (c == WEIR_CODING_GZIP)
        out = decode_gzip(&len, &ended);
#ifdef WEIR_HAVE_ZSTD
    if (c == WEIR_CODING_ZSTD)
        out = decode_zstd(&len, &ended);
#endif
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(len, n);
    ck_assert(n == 0 || memcmp(out, want, n) == 0);
    ck_assert_int_eq(ended, whole);
    free(out);
}

static bool is_built(enum weir_coding c)
{
    return (weir_encoder_built() & 1u << c) != 0;
}

#define EACH_CODING(c)                                                  \
    for (enum weir_coding c = WEIR_CODING_ZSTD; c < WEIR_CODING_COUNT;  \
         to.len = 0, to.room = SIZE_MAX, c = (enum weir_coding)(c + 1)) \
        if (is_built(c))

/* JSON as models write it, or bytes that do not shrink. */
static uint8_t *make_body(size_t n, bool text)
{
    static const char *const words[] = {"\"content\":", "{\"role\":\"assistant\"}", " the", " weir", "\\n", ", and"};
    uint8_t *p = malloc(n + 32);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n;) {
        const char *word = words[next_random() % 6];
        if (text) {
            memcpy(p + i, word, strlen(word));
            i += strlen(word);
        } else {
            p[i++] = (uint8_t)next_random();
        }
    }
    return p;
}

START_TEST(test_round_trips)
{
    static const size_t sizes[] = {0, 1, 2, 255, 4096, 8192, 16384, 65536, 1000000};
    EACH_CODING(c)
    {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            for (int kind = 0; kind < 4; kind++) {
                size_t n = sizes[i], step = 16384;
                uint8_t *body = make_body(n, kind % 2 == 0);
                struct weir_encoder *e = weir_encoder_new(c, kind / 2 == 0 ? (int64_t)n : -1);
                ck_assert_ptr_nonnull(e);
                to.len = 0;
                for (size_t at = 0; at < n; at += step)
                    ck_assert_int_eq(weir_encoder_push(e, &to.x, body + at, n - at < step ? n - at : step, false), 0);
                ck_assert_int_eq(weir_encoder_end(e, &to.x), 0);
                ck_assert_uint_eq(weir_encoder_sent(e), to.len);
                ck_assert_uint_eq(weir_encoder_waiting(e), 0);
                if (kind % 2 == 0 && n >= 4096)
                    ck_assert_uint_lt(to.len, n / 3);
                came_out(c, body, n, true);
                weir_encoder_free(&e);
                ck_assert_ptr_null(e);
                free(body);
            }
        }
    }
}
END_TEST

START_TEST(test_one_byte_at_a_time)
{
    EACH_CODING(c)
    {
        size_t n = 5000;
        uint8_t *body = make_body(n, true);
        struct weir_encoder *e = weir_encoder_new(c, -1);
        for (size_t i = 0; i < n; i++)
            ck_assert_int_eq(weir_encoder_push(e, &to.x, body + i, 1, false), 0);
        ck_assert_int_eq(weir_encoder_end(e, &to.x), 0);
        came_out(c, body, n, true);
        weir_encoder_free(&e);
        free(body);
    }
}
END_TEST

/* Whatever was flushed can be decoded at once, and a second flush adds nothing. */
START_TEST(test_flushes)
{
    EACH_CODING(c)
    {
        size_t n = 30000, at = 0;
        uint8_t *body = make_body(n, true);
        struct weir_encoder *e = weir_encoder_new(c, -1);
        while (at < n) {
            size_t step = next_random() % 700 + 1;
            step = step < n - at ? step : n - at;
            ck_assert_int_eq(weir_encoder_push(e, &to.x, body + at, step, true), 0);
            at += step;
            came_out(c, body, at, false);
            size_t before = to.len;
            ck_assert_int_eq(weir_encoder_push(e, &to.x, NULL, 0, true), 0);
            ck_assert_uint_eq(to.len, before);
        }
        ck_assert_int_eq(weir_encoder_end(e, &to.x), 0);
        came_out(c, body, n, true);
        weir_encoder_free(&e);
        free(body);
    }
}
END_TEST

/* A receiver that takes a few bytes now and then: asked for only what credit says, the encoder stays within its bound,
 * and nothing is lost or out of order. */
static void push_through(enum weir_coding c)
{
    size_t n = 600000, at = 0, granted = 0, most = 0;
    uint8_t *body = make_body(n, false);
    struct weir_encoder *e = weir_encoder_new(c, -1);
    to.room = 16384;
    while (at < n || weir_encoder_waiting(e) > 0) {
        size_t credit = weir_encoder_credit(e, &to.x);
        ck_assert(credit <= to.room && credit <= WEIR_ENCODER_CREDIT_MAX);
        ck_assert(weir_encoder_waiting(e) == 0 || credit == 0);
        granted = credit > granted ? credit : granted;
        size_t step = next_random() % (granted + 1);
        step = step < n - at ? step : n - at;
        ck_assert_int_eq(weir_encoder_push(e, &to.x, body + at, step, next_random() % 4 == 0), 0);
        ck_assert(weir_encoder_waiting(e) == 0 || to.told);
        at += step;
        granted -= step;
        most = weir_encoder_waiting(e) > most ? weir_encoder_waiting(e) : most;
        to.room = next_random() % 4 != 0 ? to.room : to.room + next_random() % (16385 - to.room);
        if (next_random() % 2 == 0) /* there may be room before anybody says so */
            weir_encoder_room(e, &to.x);
        ck_assert(weir_encoder_waiting(e) == 0 || to.told);
    }
    ck_assert_uint_gt(most, 0);
    to.drains = false;
    to.room = 0;
    ck_assert_int_eq(weir_encoder_end(e, &to.x), 0);
    ck_assert_uint_gt(weir_encoder_waiting(e), 0);
    while (weir_encoder_waiting(e) > 0) {
        to.room = 1;
        weir_encoder_room(e, &to.x);
        ck_assert_uint_eq(to.room, 0);
    }
    came_out(c, body, n, true);
    weir_encoder_free(&e);
    free(body);
}

START_TEST(test_back_pressure)
{
    EACH_CODING(c)
    {
        push_through(c);
        to.len = 0;
        to.drains = true;
        push_through(c);
    }
}
END_TEST

/* The worst that credit allows: all of it at once, right after a coder that holds back as much as it can, and no room.
 */
START_TEST(test_the_bound_on_what_waits)
{
    EACH_CODING(c)
    {
        uint8_t *body = make_body(65536, false);
        for (size_t held = 0; held <= 32768; held += 1024) {
            struct weir_encoder *e = weir_encoder_new(c, -1);
            to.room = SIZE_MAX;
            to.len = 0;
            if (held > 0)
                ck_assert_int_eq(weir_encoder_push(e, &to.x, body, held, false), 0);
            to.room = 0;
            ck_assert_int_eq(weir_encoder_push(e, &to.x, body + held, WEIR_ENCODER_CREDIT_MAX, true), 0);
            ck_assert_int_eq(weir_encoder_end(e, &to.x), 0);
            ck_assert_uint_le(weir_encoder_waiting(e), WEIR_ENCODER_WAITING_MAX);
            weir_encoder_free(&e);
        }
        struct weir_encoder *e = weir_encoder_new(c, -1);
        int rv = 0;
        to.room = 0;
        for (int i = 0; rv == 0; i++) {
            ck_assert_int_lt(i, 10);
            rv = weir_encoder_push(e, &to.x, body, 16384, true);
        }
        ck_assert_int_eq(rv, WEIR_ELIMIT);
        weir_encoder_free(&e);
        free(body);
    }
}
END_TEST

/* zlib's memory comes from here; zstd's cannot be made to fail from outside. */
START_TEST(test_out_of_memory)
{
    uint8_t *body = make_body(16384, false);
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        to.room = 0; /* so that the exchange, which checks, is not called */
        failmalloc_begin(n);
        struct weir_encoder *e = weir_encoder_new(WEIR_CODING_GZIP, -1);
        int rv = e == NULL ? WEIR_ENOMEM : weir_encoder_push(e, &to.x, body, 16384, true);
        weir_encoder_free(&e);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(rv, more ? WEIR_ENOMEM : WEIR_OK);
        ck_assert_int_eq(left, 0);
    }
    free(body);
}
END_TEST

CHECK_MAIN("encoder", setup, teardown, test_round_trips, test_one_byte_at_a_time, test_flushes, test_back_pressure,
           test_the_bound_on_what_waits, test_out_of_memory)
