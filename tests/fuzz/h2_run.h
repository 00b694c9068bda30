/* What a run of h2_harness.h is made of, and a record of what was told. */
#ifndef WEIR_TESTS_FUZZ_H2_RUN_H
#define WEIR_TESTS_FUZZ_H2_RUN_H

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

#include "codec_run.h"

static void note_sent(struct run *t, const void *p, size_t n)
{
    (void)t, (void)p, (void)n;
}

static bool has_enough(const struct run *t)
{
    (void)t;
    return false;
}

static void check_turn(const struct run *t)
{
    assert(t->codec == NULL || weir_h2_bytes(t->codec) < MEMORY_MAX);
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

static void free_codec(struct run *t)
{
    struct weir_codec *c = t->codec;
    t->codec = NULL;
    for (unsigned i = 0; i < t->count; i++)
        t->users[i].x = NULL;
    c->ops->free(c);
}

#endif
