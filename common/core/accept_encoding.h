/* Which content coding an answer gets from weir itself: what the client accepts (RFC 9110 section 12.5.3), and whether
 * the answer is one that may and should be coded. Pure. */
#ifndef WEIR_CORE_ACCEPT_ENCODING_H
#define WEIR_CORE_ACCEPT_ENCODING_H

#include "core/fields.h"

/* X(id, name): in the order in which weir prefers them where the client does not care. */
#define WEIR_CODING_MAP(X)  \
    X(IDENTITY, "identity") \
    X(ZSTD, "zstd")         \
    X(GZIP, "gzip")

#define WEIR_CODING_ENUM(id, name) WEIR_CODING_##id,
enum weir_coding { WEIR_CODING_MAP(WEIR_CODING_ENUM) WEIR_CODING_COUNT };
#undef WEIR_CODING_ENUM

struct weir_str weir_coding_name(enum weir_coding c);

/* The coding of those offered (a bit each) that the request's Accept-Encoding lines like best: the highest weight, then
 * weir's own preference. IDENTITY when there is no such line, when identity has a higher weight than all of them, or
 * when none of them is accepted: to say so is left to the answer (RFC 9110 15.5.7 permits it). An element that cannot
 * be read, its weight included, accepts nothing. */
enum weir_coding weir_accept_encoding_choose(const struct weir_fields *request, unsigned offered);

/* Shorter answers are not worth it: what is saved is a part of one packet. */
#define WEIR_CODING_LENGTH_MIN 256

struct weir_coding_sight {
    unsigned status;
    const struct weir_fields *fields; /* of the answer */
    int64_t content_length;           /* negative: unknown */
    bool has_body;                    /* false for HEAD too */
    bool event_streams;               /* compression.event_streams */
};

/* What may be done with an answer. */
enum weir_coding_word {
    WEIR_CODING_NEVER,  /* it passes as it is */
    WEIR_CODING_WHOLE,  /* may be coded; nobody waits for parts of it */
    WEIR_CODING_STREAM, /* may be coded; its length is not known, what has come is to go on */
    WEIR_CODING_EVENTS, /* may be coded; each event is to go on when it is complete */
};

/* May be coded: JSON and text (the types, the +json and +xml suffixes, streams of JSON lines) with a body that is not
 * coded yet, not short, whole (no 204, 206, 304), and not marked no-transform (RFC 9111 section 5.2.2.6). */
enum weir_coding_word weir_coding_decide(const struct weir_coding_sight *s);

/* Changes an answer's fields: tells caches that they depend on Accept-Encoding, whether it is coded now or not, and
 * (IDENTITY: nothing more) names the coding, weakens a strong ETag, takes out what described the bytes as they were.
 * False: out of memory. */
WEIR_MUST_USE bool weir_coding_mark(struct weir_fields *f, struct weir_arena *a, enum weir_coding c);

/* Finds where events end (the HTML standard's event streams: an empty line; lines end with LF, CR LF or CR). */
struct weir_event_scan {
    bool line_empty, cr, event_end; /* zeroed: within a line */
};
/* Bytes of p up to and with the end of the last event that ends in it; 0: none does. */
size_t weir_event_scan(struct weir_event_scan *s, const uint8_t *p, size_t n);

#endif
