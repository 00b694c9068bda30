/* The log: lines go into a ring of their thread's own and a thread of the log's own writes them out. A producer never
 * waits: when its ring is full, the line is dropped and counted. */
#ifndef WEIR_NET_LOG_H
#define WEIR_NET_LOG_H

#include "core/err.h"
#include "core/logline.h"

struct weir_log;
/* One thread's way into the log. */
struct weir_log_producer;

/* Bytes of a producer's ring: the writer naps for WEIR_LOG_BATCH_MS between batches, so this takes 25 MB/s a thread. */
#define WEIR_LOG_RING_BYTES ((size_t)256 * 1024)
/* Lines are gathered this long before they are written: the workers then hardly ever have to wake the writer. */
#define WEIR_LOG_BATCH_MS 10

struct weir_log_opts {
    int fd; /* borrowed, 2 for standard error; its file flags are not touched */
    enum weir_log_format format;
    enum weir_log_level level;
    const char *node; /* copied; NULL: no node field */
};

/* Starts the writer. Errors: WEIR_ENOMEM, WEIR_EIO; *out is then NULL. */
WEIR_MUST_USE int weir_log_start(struct weir_log **out, const struct weir_log_opts *opts, struct weir_err *err);
/* Writes what is left, for at most deadline_ms, ends the writer, frees the log and its producers, nulls. No thread may
 * log any more. True: everything was written. A writer that hangs in the kernel is left behind with its memory. */
bool weir_log_stop(struct weir_log **log, unsigned deadline_ms);

/* Any thread, at any time. The values of lines begun afterwards. */
void weir_log_configure(struct weir_log *log, enum weir_log_format format, enum weir_log_level level);
/* Lines dropped so far, of all producers. */
uint64_t weir_log_dropped(const struct weir_log *log);

/* Gives the calling thread its producer, which the log owns and only this thread uses; it lasts until weir_log_stop and
 * is what weir_log_self returns on this thread from now on. Errors: WEIR_ENOMEM; *out is then NULL. */
WEIR_MUST_USE int weir_log_join(struct weir_log *log, struct weir_log_producer **out);
/* The calling thread's producer; NULL before it has joined. */
struct weir_log_producer *weir_log_self(void);
/* The thread logs no more (weir_log_self is NULL again). Lines already in the ring are still written. */
void weir_log_leave(struct weir_log_producer *p);

/* A line under construction, on the stack:
 *     struct weir_log_line l;
 *     weir_log_begin(&l, p, WEIR_LOG_INFO, "reload", "configuration reloaded");
 *     weir_log_u64(&l, "generation", generation);
 *     weir_log_end(&l);
 * Nothing is formatted when the level is off or p is NULL. Secrets never go in: header values, keys, tokens, query
 * strings. */
struct weir_log_line {
    struct weir_log_producer *to; /* NULL: nothing is to be logged */
    struct weir_line line;
    char buf[WEIR_LOG_LINE_MAX];
};

bool weir_log_wants(const struct weir_log_producer *p, enum weir_log_level level);
/* event: a stable word for machines; msg: a sentence for people, or NULL. */
void weir_log_begin(struct weir_log_line *l, struct weir_log_producer *p, enum weir_log_level level, const char *event,
                    const char *msg);
void weir_log_str(struct weir_log_line *l, const char *key, struct weir_str value);
void weir_log_text(struct weir_log_line *l, const char *key, const char *text);
void weir_log_u64(struct weir_log_line *l, const char *key, uint64_t value);
void weir_log_i64(struct weir_log_line *l, const char *key, int64_t value);
void weir_log_double(struct weir_log_line *l, const char *key, double value);
void weir_log_bool(struct weir_log_line *l, const char *key, bool value);
void weir_log_end(struct weir_log_line *l);

/* An event and a sentence, nothing else. */
void weir_log_simple(struct weir_log_producer *p, enum weir_log_level level, const char *event, const char *msg);

/* A finished line, newline included; false: dropped and counted. */
bool weir_log_write(struct weir_log_producer *p, const char *line, size_t len);
/* What lines are to look like now, for those who format their own. */
enum weir_log_format weir_log_format_now(const struct weir_log_producer *p);
const char *weir_log_node(const struct weir_log_producer *p);

#endif
