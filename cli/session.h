/* What every verb works with: the node that is asked, the terminal, and how a failure is told: what it was, where, and
 * what to do next. Functions that return an exit code have said on standard error what is wrong when it is not 0. */
#ifndef WEIR_CLI_SESSION_H
#define WEIR_CLI_SESSION_H

#include <jansson.h>

#include "cli/ask.h"
#include "cli/options.h"
#include "cli/table.h"

/* What a thousand nodes with every shard listed take, many times over. */
#define CTL_ANSWER_BYTES_MAX ((size_t)32 << 20)

struct ctl_session {
    const struct ctl_options *options;
    struct ctl_style style; /* of standard output */
    char token[CTL_TOKEN_BYTES_MAX + 1];
    const char *bearer;  /* the token that is sent; NULL: none */
    bool write_failed;   /* standard output has gone */
    uint64_t history_ms; /* how far back the store's load history is asked for */
};

/* Reads the token, looks at the terminal. The options outlive the session. */
int ctl_session_open(struct ctl_session *s, const struct ctl_options *o);
/* Leaves no token in memory. */
void ctl_session_close(struct ctl_session *s);

/* Says what is wrong and (next, unless NULL) what to do; returns the code. */
int ctl_complain(int code, const char *next, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What the node answers at a page, which must be an object. *answer is the caller's; NULL on failure. */
int ctl_get(struct ctl_session *s, const char *page, json_t **answer);
/* The same with POST, without a body. */
int ctl_post(struct ctl_session *s, const char *page, json_t **answer);
/* ... with GET, and whatever the status: health pages answer 503 with their usual content. *status is 0 on failure. */
int ctl_look(struct ctl_session *s, const char *page, unsigned *status, json_t **answer);
/* ... without a word: errors as those of ctl_ask, and WEIR_ELIMIT (a longer answer than is taken). */
int ctl_try(struct ctl_session *s, const char *page, unsigned *status, json_t **answer, struct weir_err *err);
/* ... with POST. */
int ctl_post_any(struct ctl_session *s, const char *page, unsigned *status, json_t **answer);

/* A question of the session's node, to be completed (page, accept, take). */
struct ctl_ask ctl_session_question(const struct ctl_session *s);
/* It has failed as ctl_ask says. */
int ctl_complain_of_asking(const struct ctl_session *s, unsigned status, const struct weir_err *err);
/* It was answered with another status than wanted. answer: NULL: is no JSON. */
int ctl_complain_of_status(const struct ctl_session *s, const char *page, unsigned status, const json_t *answer);
/* What came is no answer of that page. */
int ctl_complain_of_answer(const struct ctl_session *s, const char *page);

/* Writes the text to standard output, and closes the buffer. */
int ctl_put(struct ctl_session *s, struct weir_textbuf *text);
/* Writes the value as JSON or YAML, as the options say; 0 also when they say neither (nothing is written). */
int ctl_put_value(struct ctl_session *s, const json_t *value);
bool ctl_wants_value(const struct ctl_session *s);

#endif
