/* The fields of a coordination store's state and the parts of weir_coord_apply; for core/coord_*.c, and for tests that
 * compare states. */
#ifndef WEIR_CORE_COORD_IMPL_H
#define WEIR_CORE_COORD_IMPL_H

#include "core/coord_state.h"
#include "core/limiter.h"
#include "core/textbuf.h"

struct weir_coord_record {
    struct weir_coord_member member; /* age_ms: as of the last answer */
    uint64_t seen_ms;                /* its last beat */
};

struct weir_coord_circuit_record {
    char endpoint[WEIR_ENDPOINT_ID_MAX + 1];
    char by[WEIR_NODE_ID_MAX + 1];
    uint64_t version;
    struct weir_breaker_state breaker;
};

/* A bucket's memory of what it has owed since it granted something: entries begin at least so far apart, so that those
 * of the last WEIR_LEASE_RETURN_US are few. */
#define WEIR_COORD_LOWS    16u
#define WEIR_COORD_LOWS_US UINT64_C(100000)

struct weir_coord_bucket {
    char provider[WEIR_PROVIDER_NAME_MAX + 1];
    uint64_t used; /* when, counted in requests: the lowest is forgotten first */
    struct weir_limiter limiter;
    uint32_t low_count;
    struct weir_coord_low {
        uint64_t at_us;      /* of a grant */
        uint32_t low;        /* the least that it has owed from right after that on: whole tokens */
    } lows[WEIR_COORD_LOWS]; /* oldest first, so none is below the one before it */
};

/* Texts by rising id; the oldest makes room. */
struct weir_coord_stream {
    uint32_t step_ms; /* of a series that has points */
    uint32_t first, count, cap;
    struct weir_coord_kept {
        uint64_t id;
        uint32_t len;
        char *text; /* heap */
    } * ring;       /* the oldest is at first */
};

struct weir_coord_state {
    uint32_t schema;
    uint64_t incarnation; /* 0: nobody has beaten yet */
    char secret[WEIR_PEER_SECRET_MAX + 1];

    uint64_t members_version;
    uint64_t forget_from_ms; /* nobody is forgotten before */
    uint32_t member_count, member_cap;
    struct weir_coord_record *members; /* sorted by id */
    struct weir_coord_member *members_shown;

    struct {
        char id[WEIR_NODE_ID_MAX + 1]; /* "": nobody */
        uint64_t token, until_ms, lease_ms;
    } lead;
    struct {
        uint64_t epoch;
        char leader[WEIR_NODE_ID_MAX + 1];
        char *text; /* heap */
        size_t len;
    } map;

    uint64_t circuits_version;
    uint32_t circuit_count, circuit_cap;
    struct weir_coord_circuit_record **circuits; /* each on the heap, in no order */
    struct weir_coord_circuit *circuits_shown;   /* of circuit_cap */

    uint64_t tokens_requests;
    uint32_t bucket_count, bucket_cap;
    struct weir_coord_bucket *buckets; /* in no order */

    uint64_t event_last;                                /* id */
    struct weir_textbuf events[WEIR_COORD_EVENTS_KEPT]; /* event N at N modulo that */
    struct weir_str events_shown[WEIR_COORD_EVENTS_KEPT];

    struct weir_coord_stream loads, series[WEIR_COORD_STEPS];
    struct weir_coord_entry entries_shown[WEIR_COORD_ENTRIES_MAX];
    struct weir_coord_advice {
        uint64_t version; /* 0: there is none */
        char leader[WEIR_NODE_ID_MAX + 1];
        uint64_t token, at_ms;
        char *hints, *analytics; /* heap */
        size_t hints_len, analytics_len;
    } advice;
};

/* One request under way. */
struct weir_coord_turn {
    struct weir_coord_state *s;
    uint64_t now_us, now_ms;
    struct weir_coord_reply *reply;
    weir_coord_push_cb push;
    void *arg;
};

void weir_coord_push_out(const struct weir_coord_turn *t, struct weir_coord_push *push);
/* The answer is this word, for this reason. */
void weir_coord_refuse(const struct weir_coord_turn *t, enum weir_coord_word word, const char *why);
/* Makes room for one more in a growing array of count of cap elements; false: out of memory, nothing has changed. */
WEIR_MUST_USE bool weir_coord_grow(void **array, uint32_t count, uint32_t *cap, size_t element_size);
/* Copies a text whose length its owner has checked. */
void weir_coord_copy(char *to, size_t size, const char *text);

void weir_coord_beat(const struct weir_coord_turn *t, const struct weir_coord_beat *b);
void weir_coord_leave(const struct weir_coord_turn *t, const struct weir_coord_member *m);
void weir_coord_members(const struct weir_coord_turn *t);
uint64_t weir_coord_epoch_seen(const struct weir_coord_state *s); /* the highest, the stored map's among them */

void weir_coord_lead(const struct weir_coord_turn *t, const struct weir_coord_lead *l);
void weir_coord_resign(const struct weir_coord_turn *t, const struct weir_coord_lead *l);
bool weir_coord_leads(const struct weir_coord_turn *t, const char *id, uint64_t token); /* now, under this token */
struct weir_coord_led weir_coord_led_now(const struct weir_coord_turn *t);
void weir_coord_publish(const struct weir_coord_turn *t, const struct weir_coord_publish *p);
void weir_coord_map(const struct weir_coord_turn *t);

void weir_coord_report(const struct weir_coord_turn *t, const struct weir_coord_report *r);
void weir_coord_circuits(const struct weir_coord_turn *t, uint64_t since);

void weir_coord_tokens(const struct weir_coord_turn *t, const struct weir_coord_tokens *q);

void weir_coord_append(const struct weir_coord_turn *t, struct weir_str record);
void weir_coord_loads(const struct weir_coord_turn *t, const struct weir_coord_loads *q);
void weir_coord_fold(const struct weir_coord_turn *t, const struct weir_coord_fold *f);
void weir_coord_series(const struct weir_coord_turn *t, const struct weir_coord_series *q);
void weir_coord_advise(const struct weir_coord_turn *t, const struct weir_coord_advise *q);
void weir_coord_advice(const struct weir_coord_turn *t, bool whole);
/* Frees all entries; the stream is empty then. */
void weir_coord_stream_clear(struct weir_coord_stream *s);
const struct weir_coord_kept *weir_coord_stream_at(const struct weir_coord_stream *s, uint32_t i); /* 0: the oldest */

#endif
