/* What HTTP/2 costs in memory: the bounds that http/h2.h states, held while connections are idle, carry streams, and
 * after they did. */
#include "check_main.h"
#include "helper_h2.h"

static void setup(void)
{
    h2_begin();
    h2_connect();
}

static void teardown(void)
{
    h2_shut();
}

static void finish(unsigned from)
{
    for (unsigned i = from; i < h2.c.ex_count; i++)
        h2_send_end(&h2.c.ex[i], NULL);
    h2_run();
}

START_TEST(test_idle)
{
    ck_assert_uint_le(weir_h2_bytes(h2.c.codec), WEIR_H2_IDLE_BYTES);
    ck_assert_uint_le(weir_h2_bytes(h2.s.codec), WEIR_H2_IDLE_BYTES);
    for (int i = 0; i < 400; i++) {
        h2_request("GET", "/some/path", WEIR_LENGTH_UNKNOWN, true);
        h2_run();
        ck_assert_uint_eq(h2.c.ex[h2.c.ex_count - 1].overs, 1);
    }
    ck_assert_uint_le(weir_h2_bytes(h2.c.codec), WEIR_H2_IDLE_BYTES);
    ck_assert_uint_le(weir_h2_bytes(h2.s.codec), WEIR_H2_IDLE_BYTES);
}
END_TEST

START_TEST(test_streams)
{
    size_t client = weir_h2_bytes(h2.c.codec), server = weir_h2_bytes(h2.s.codec);
    for (int i = 0; i < 100; i++)
        h2_request("POST", "/", WEIR_LENGTH_UNKNOWN, false);
    h2_run();
    ck_assert_uint_eq(h2.s.codec->exchanges_open, 100);
    ck_assert_uint_le((weir_h2_bytes(h2.c.codec) - client) / 100, WEIR_H2_STREAM_BYTES);
    ck_assert_uint_le((weir_h2_bytes(h2.s.codec) - server) / 100, WEIR_H2_STREAM_BYTES);
    finish(0);
    ck_assert_uint_eq(h2.s.codec->exchanges_open, 0);
    ck_assert_uint_le(weir_h2_bytes(h2.c.codec), WEIR_H2_IDLE_BYTES);
    ck_assert_uint_le(weir_h2_bytes(h2.s.codec), WEIR_H2_IDLE_BYTES);
}
END_TEST

/* The same again and again leaves nothing behind. */
START_TEST(test_nothing_grows)
{
    size_t after_one = 0;
    for (int round = 0; round < 4; round++) {
        unsigned from = h2.c.ex_count;
        for (int i = 0; i < 90; i++)
            h2_request("POST", "/", WEIR_LENGTH_UNKNOWN, false);
        h2_run();
        finish(from);
        if (round == 0)
            after_one = weir_h2_bytes(h2.s.codec) + weir_h2_bytes(h2.c.codec);
    }
    ck_assert_uint_le(weir_h2_bytes(h2.s.codec) + weir_h2_bytes(h2.c.codec), after_one);
}
END_TEST

CHECK_MAIN("h2_memory", setup, teardown, test_idle, test_streams, test_nothing_grows)
