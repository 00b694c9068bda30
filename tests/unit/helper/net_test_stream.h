/* A weir_stream that a test plays: what is read, how many bytes a call, where EAGAIN, the end or an error comes, how
 * much the "kernel" takes. It needs a reactor for its run queue, and no descriptor. The test owns it: close only marks
 * it, so what was written can be looked at afterwards. */
#ifndef WEIR_TESTS_HELPER_NET_TEST_STREAM_H
#define WEIR_TESTS_HELPER_NET_TEST_STREAM_H

#include "net/stream.h"

struct test_stream {
    struct weir_stream base; /* first: &ts->base is what the code under test gets */

    /* Knobs; all zero is a stream that takes and gives everything at once. Change them at any time. */
    size_t read_max;        /* bytes given per read call; 0: as many as asked for. 1 is the one to test codecs with */
    size_t write_max;       /* bytes taken per write call; 0: no limit. An edge follows each short write */
    bool no_edge;           /* like TLS: readiness is gone after every read, and `pending` alone tells of the rest */
    unsigned read_eagains;  /* so many reads meet EAGAIN first; an edge follows each */
    unsigned write_eagains; /* the same for writes */
    int start_error;        /* a weir_err code that `started` gets */
    int read_error;         /* negative errno in place of the end, once the input is used up and `ended` is set */
    int write_error;        /* negative errno for every write from now on */

    /* What happened. */
    char *wrote; /* NUL-terminated; NULL while nothing was written */
    size_t wrote_len, wrote_cap;
    unsigned reads, writes;
    unsigned moves; /* attach calls */
    bool closed, closed_by_reset;

    /* The script's inside. */
    char *input;
    size_t input_at, input_len, input_cap;
    size_t room; /* bytes the kernel still takes; SIZE_MAX: no limit */
    bool ended, limited, started_asked;
};

/* On success the test frees it with test_stream_free, after the code under test has closed it or let go of it. */
struct test_stream *test_stream_new(struct weir_reactor *r);
void test_stream_free(struct test_stream *ts);

/* More input, and an edge for it. */
void test_stream_feed(struct test_stream *ts, const void *p, size_t n);
void test_stream_feed_text(struct test_stream *ts, const char *text);
/* The same without an edge: the stream just holds it (`pending`), as TLS does. */
void test_stream_hide(struct test_stream *ts, const void *p, size_t n);
/* The peer ends its direction behind the input given so far; with read_error set: the connection breaks there. */
void test_stream_end(struct test_stream *ts);
/* From now on the kernel takes n bytes more and then EAGAIN; calling it again adds room and brings an edge. */
void test_stream_room(struct test_stream *ts, size_t n);
/* Forgets what was written so far. */
void test_stream_forget(struct test_stream *ts);

#endif
