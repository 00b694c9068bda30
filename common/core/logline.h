/* One line of structured log, JSON or logfmt, built field by field in a buffer of fixed size. Whatever the values hold,
 * the line stays one line, stays UTF-8, and parses: control characters and quotes are escaped, bytes that are not UTF-8
 * become U+FFFD, long values are cut and end in "...". A line that is full drops further fields and ends in
 * truncated=true. No printf, no locale, no allocation. Keys are literals of [a-z0-9_.]. */
#ifndef WEIR_CORE_LOGLINE_H
#define WEIR_CORE_LOGLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/str.h"

/* Twice a usual access line; a pipe takes it in one piece (PIPE_BUF is 4,096). */
#define WEIR_LOG_LINE_MAX 2048u
/* Enough for a URL's telling part; nobody may fill the log with one header. */
#define WEIR_LOG_VALUE_MAX 512u

/* X(id, text); ordered, DEBUG is the least important. */
#define WEIR_LOG_LEVEL_MAP(X)         X(DEBUG, "debug") X(INFO, "info") X(WARN, "warning") X(ERROR, "error")
#define WEIR_LOG_LEVEL_ENUM(id, text) WEIR_LOG_##id,
enum weir_log_level { WEIR_LOG_LEVEL_MAP(WEIR_LOG_LEVEL_ENUM) };
#undef WEIR_LOG_LEVEL_ENUM
const char *weir_log_level_text(enum weir_log_level level);

enum weir_log_format { WEIR_LOG_JSON, WEIR_LOG_LOGFMT };

struct weir_line {
    char *start, *at, *end; /* end leaves room for what closes the line */
    enum weir_log_format format;
    bool truncated;
};

/* An empty line, without any field. buf has WEIR_LOG_LINE_MAX bytes. */
void weir_line_open(struct weir_line *l, char *buf, enum weir_log_format format);
/* Starts a line: ts (RFC 3339, UTC, milliseconds), level, event, and where not NULL: msg, node. buf has
 * WEIR_LOG_LINE_MAX bytes. */
void weir_line_begin(struct weir_line *l, char *buf, enum weir_log_format format, uint64_t unix_ms,
                     enum weir_log_level level, const char *event, const char *msg, const char *node);
void weir_line_str(struct weir_line *l, const char *key, struct weir_str value);
/* Cut at `max` bytes (at least 4) instead of WEIR_LOG_VALUE_MAX. */
void weir_line_str_cut(struct weir_line *l, const char *key, struct weir_str value, size_t max);
/* A NULL text is left out. */
void weir_line_text(struct weir_line *l, const char *key, const char *text);
void weir_line_u64(struct weir_line *l, const char *key, uint64_t value);
void weir_line_i64(struct weir_line *l, const char *key, int64_t value);
/* Three decimals; what is not a number, or not below 10^15, is left out. */
void weir_line_double(struct weir_line *l, const char *key, double value);
void weir_line_bool(struct weir_line *l, const char *key, bool value);
/* Microseconds shown as milliseconds with three decimals. */
void weir_line_us_as_ms(struct weir_line *l, const char *key, uint64_t us);
/* For who writes keys itself, having seen to the room (l->end - l->at): max + 2, or WEIR_LINE_NUMBER_MAX bytes. A value
 * alone, in the format's quotes; a number; a number of thousandths with its point. */
#define WEIR_LINE_NUMBER_MAX 24u
void weir_line_value(struct weir_line *l, struct weir_str value, size_t max);
void weir_line_value_u64(struct weir_line *l, uint64_t v);
void weir_line_value_thousandths(struct weir_line *l, uint64_t v);
/* Closes the line, newline included; returns its length. */
size_t weir_line_end(struct weir_line *l);

/* "2026-11-23T16:44:05.123Z" into 24 bytes, no NUL. Years 1970 to 9999. */
#define WEIR_RFC3339_MS_LEN 24u
void weir_rfc3339_ms(char out[WEIR_RFC3339_MS_LEN], uint64_t unix_ms);

#endif
