/* What a run of h2_harness.h is made of: the codec's surroundings, chance, and a record of what was told. */
#ifndef WEIR_TESTS_FUZZ_H2_RUN_H
#define WEIR_TESTS_FUZZ_H2_RUN_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/h2.h"

#define EXCHANGES_MAX 4096
/* Streams, their tables and what the windows let in. */
#define MEMORY_MAX ((size_t)8 << 20)

struct run;

struct user {
    struct run *run;
    struct weir_exchange *x; /* NULL when it is not ours */
    struct weir_arena arena;
    uint64_t said, granted;
    bool head, ended, head_sent, sent, in_body;
    bool whole; /* `end` came */
};

struct run {
    struct weir_stream stream;
    struct weir_outbox out;
    struct weir_codec *codec; /* NULL once it was freed */
    struct user *users;
    unsigned count;
    uint64_t seed;
    bool server, chaos, cut;
    int failing; /* writes fail from now on */
};

static struct weir_reactor *reactor(void)
{
    static struct weir_reactor r;
    static bool open;
    struct weir_err err;
    if (!open && weir_reactor_init(&r, &err) != WEIR_OK)
        abort();
    open = true;
    return &r;
}

static uint64_t chance(struct run *t, uint64_t n)
{
    t->seed ^= t->seed << 13;
    t->seed ^= t->seed >> 7;
    t->seed ^= t->seed << 17;
    return t->seed % n;
}

static void hash(uint64_t *h, const void *p, size_t n)
{
    const uint8_t *at = p;
    for (size_t i = 0; i < n; i++)
        *h = (*h ^ at[i]) * UINT64_C(1099511628211);
}

static void say(struct user *u, const char *word, uint64_t number)
{
    u->in_body = false;
    hash(&u->said, word, strlen(word));
    hash(&u->said, &number, sizeof number);
}

static void say_text(struct user *u, struct weir_str s)
{
    hash(&u->said, &s.len, sizeof s.len);
    hash(&u->said, s.ptr, s.len);
}

static void say_fields(struct user *u, const struct weir_fields *fields)
{
    for (size_t i = 0; fields != NULL && i < fields->count; i++) {
        const struct weir_field *f = &fields->at[i];
        say_text(u, f->name);
        say_text(u, f->value);
        assert(f->name.len > 0);
        for (size_t j = 0; j < f->name.len; j++)
            assert(f->name.ptr[j] > ' ' && f->name.ptr[j] != ':' && !(f->name.ptr[j] >= 'A' && f->name.ptr[j] <= 'Z'));
        for (size_t j = 0; j < f->value.len; j++)
            assert((uint8_t)f->value.ptr[j] >= ' ' || f->value.ptr[j] == '\t');
    }
}

/* -- the stream: takes what chance lets it -- */

static ssize_t stream_writev(struct weir_stream *s, const struct iovec *iov, int count)
{
    struct run *t = WEIR_CONTAINER(s, struct run, stream);
    size_t taken = 0, most = t->chaos ? (size_t)chance(t, 40000) : SIZE_MAX;
    if (t->failing != 0)
        return -32;
    for (int i = 0; i < count && taken < most; i++)
        taken += iov[i].iov_len < most - taken ? iov[i].iov_len : most - taken;
    return taken == 0 ? WEIR_STREAM_AGAIN : (ssize_t)taken;
}

static size_t stream_pending(const struct weir_stream *s)
{
    (void)s;
    return 0;
}

static const struct weir_stream_ops stream_ops = {.writev = stream_writev, .pending = stream_pending};

static void stream_run(struct weir_source *src)
{
    (void)src;
}

static void free_codec(struct run *t)
{
    struct weir_codec *c = t->codec;
    t->codec = NULL;
    for (unsigned i = 0; i < t->count; i++)
        t->users[i].x = NULL;
    c->ops->free(c);
}

#endif
