/* Keys are constants here, whose copies the compiler turns into moves: the line is written once a request. */
#include "core/access_line.h"

#include <assert.h>

/* Shares of a line, so that no client can push the other fields out of it. */
enum { METHOD_MAX = 24, CLIENT_MAX = 48, REQUEST_ID_MAX = 136, NODE_MAX = 64, PROVIDER_MAX = 64, ENDPOINT_MAX = 256 };
enum { WORD_MAX = 64, REASON_MAX = 16, PEER_MAX = 64, TARGET_MAX = 512 };
enum {
    STRINGS_MAX = METHOD_MAX + CLIENT_MAX + REQUEST_ID_MAX + NODE_MAX + PROVIDER_MAX + ENDPOINT_MAX + 2 * WORD_MAX +
                  2 * REASON_MAX + PEER_MAX + TARGET_MAX
};
enum { FIELDS = 25, NUMBERS = 9, KEY_MAX = 17 };
static_assert(STRINGS_MAX + NUMBERS * WEIR_LINE_NUMBER_MAX + FIELDS * KEY_MAX < WEIR_LOG_LINE_MAX - 32,
              "a line of full fields fits");

/* key: a literal. */
#define KEY(l, key) put_key(l, ",\"" key "\":", sizeof(",\"" key "\":") - 1, " " key "=", sizeof(" " key "=") - 1)
static inline __attribute__((always_inline)) void put_key(struct weir_line *l, const char *json, size_t json_len,
                                                          const char *logfmt, size_t logfmt_len)
{
    if (l->format == WEIR_LOG_JSON) {
        memcpy(l->at, json, json_len);
        l->at += json_len;
    } else {
        memcpy(l->at, logfmt, logfmt_len);
        l->at += logfmt_len;
    }
}

#define NUMBER(l, key, v) (KEY(l, key), weir_line_value_u64(l, v))
#define MS(l, key, us)    (KEY(l, key), weir_line_value_thousandths(l, us))
#define TEXT(l, key, value, max)            \
    do {                                    \
        if ((value).len > 0) {              \
            KEY(l, key);                    \
            weir_line_value(l, value, max); \
        }                                   \
    } while (0)
#define PHASE(l, key, us)             \
    do {                              \
        if ((us) != WEIR_ACCESS_NONE) \
            MS(l, key, us);           \
    } while (0)

/* A query may carry a key (?key=..., ?api-version=...&sig=...), the userinfo of an absolute-form a password. */
static struct weir_str path_of(struct weir_str target)
{
    const char *query = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;
    if (query != NULL)
        target.len = (size_t)(query - target.ptr);
    const char *at = target.len > 0 && target.ptr[0] != '/' ? memchr(target.ptr, '@', target.len) : NULL;
    if (at != NULL) {
        target.len -= (size_t)(at - target.ptr);
        target.ptr = at;
    }
    return target;
}

/* What each line begins with, in one piece before its time and one behind it: put in without a look at each byte. */
static inline void put_begin(struct weir_line *l, struct weir_str head, uint64_t unix_ms, struct weir_str tail)
{
    memcpy(l->at, head.ptr, head.len);
    weir_rfc3339_ms(l->at + head.len, unix_ms);
    l->at += head.len + WEIR_RFC3339_MS_LEN;
    memcpy(l->at, tail.ptr, tail.len);
    l->at += tail.len;
}

static void put_ts(struct weir_line *l, uint64_t unix_ms)
{
    if (l->format == WEIR_LOG_JSON)
        put_begin(l, WEIR_STR("{\"ts\":\""), unix_ms, WEIR_STR("\",\"level\":\"info\",\"event\":\"access\""));
    else
        put_begin(l, WEIR_STR("ts="), unix_ms, WEIR_STR(" level=info event=access"));
}

size_t weir_access_format(char *buf, enum weir_log_format format, const struct weir_access_record *r)
{
    struct weir_line line, *l = &line;
    weir_line_open(l, buf, format);
    put_ts(l, r->unix_ms);
    TEXT(l, "node", weir_str_of(r->node), NODE_MAX);
    TEXT(l, "client", r->client, CLIENT_MAX);
    TEXT(l, "method", r->method, METHOD_MAX);
    NUMBER(l, "status", r->status);
    MS(l, "total_ms", r->total_us);
    PHASE(l, "limit_ms", r->limit_us);
    PHASE(l, "queue_ms", r->queue_us);
    PHASE(l, "connect_ms", r->connect_us);
    PHASE(l, "first_byte_ms", r->first_byte_us);
    NUMBER(l, "bytes_in", r->bytes_in);
    NUMBER(l, "bytes_out", r->bytes_out);
    TEXT(l, "provider", weir_str_of(r->provider), PROVIDER_MAX);
    if (r->endpoint != NULL) {
        TEXT(l, "endpoint", weir_str_of(r->endpoint), ENDPOINT_MAX);
        TEXT(l, "connection", r->reused ? WEIR_STR("reused") : WEIR_STR("new"), WORD_MAX);
    }
    NUMBER(l, "attempts", r->attempts);
    if (r->peer != NULL) {
        TEXT(l, "peer", weir_str_of(r->peer), PEER_MAX);
        TEXT(l, "hop", weir_str_of(r->hop), REASON_MAX);
    }
    TEXT(l, "close", weir_str_of(r->close_reason), WORD_MAX);
    TEXT(l, "error", weir_str_of(r->error), WORD_MAX);
    TEXT(l, "not_retried", weir_str_of(r->not_retried), REASON_MAX);
    TEXT(l, "request_id", r->request_id, REQUEST_ID_MAX);
    TEXT(l, "target", path_of(r->target), TARGET_MAX);
    return weir_line_end(l);
}
