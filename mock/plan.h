/* What the mock does with one request: how late, how much, how fast, and what goes wrong. One table of keys serves
 * flags
 * (--KEY VALUE), request headers (x-mock-KEY: VALUE) and, for the commonest, model names (mock-429, mock-truncate).
 * Flags come first, the model overrides them, headers override both. */
#ifndef WEIR_MOCK_PLAN_H
#define WEIR_MOCK_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/str.h"

/* X(id, name, help) */
#define MOCK_FAULT_MAP(X)                                                               \
    X(NONE, "none", "answer properly")                                                  \
    X(RESET_BEFORE_HEAD, "reset-before-head", "RST instead of an answer")               \
    X(CLOSE_BEFORE_HEAD, "close-before-head", "orderly close instead of an answer")     \
    X(STALL_BEFORE_HEAD, "stall-before-head", "no answer until the client gives up")    \
    X(RESET_AFTER_HEAD, "reset-after-head", "head, then RST")                           \
    X(STALL_AFTER_HEAD, "stall-after-head", "head, then silence")                       \
    X(RESET_MID_BODY, "reset-mid-body", "RST after fault-after tokens (default: half)") \
    X(STALL_MID_BODY, "stall-mid-body", "silence after fault-after tokens")             \
    X(TRUNCATE, "truncate", "orderly close after fault-after tokens")                   \
    X(ERROR_EVENT, "error-event", "an error event inside the stream after fault-after tokens")

#define MOCK_FAULT_ENUM(id, name, help) MOCK_FAULT_##id,
enum mock_fault { MOCK_FAULT_MAP(MOCK_FAULT_ENUM) };
#undef MOCK_FAULT_ENUM

#define MOCK_FAULT_AFTER_HALF UINT32_MAX

/* Strings are slices of whatever the key was set from. */
struct mock_plan {
    uint32_t latency_ms;        /* before the head */
    uint32_t first_token_ms;    /* between head and first token */
    uint32_t token_interval_us; /* 0: as fast as the client takes them */
    uint32_t tokens;
    uint32_t token_bytes;    /* length of one token's text */
    uint32_t status;         /* 0: 200 */
    uint32_t fault_after;    /* tokens before a mid-body fault */
    uint32_t fault_permille; /* of the requests meet the fault or the status */
    uint32_t padding_bytes;  /* of an additional field in the response head */
    enum mock_fault fault;
    bool close;        /* Connection: close after the answer */
    bool silent_close; /* close after the answer without having said so */
    bool trailers;
    bool reject_expect; /* 417 instead of 100 to Expect: 100-continue */
    bool early;         /* answer when the head is there, before the body */
    bool raw_hold;      /* keep the connection open after `raw` */
    struct weir_str retry_after;
    struct weir_str interim; /* comma-separated 1xx statuses to send first */
    struct weir_str gate;    /* name of the gate that every step of the answer waits for */
    struct weir_str raw;     /* percent-encoded bytes to send instead of an answer */
};

void mock_plan_init(struct mock_plan *p);

enum mock_plan_result { MOCK_PLAN_OK, MOCK_PLAN_UNKNOWN, MOCK_PLAN_BAD_VALUE };
enum mock_plan_result mock_plan_set(struct mock_plan *p, struct weir_str key, struct weir_str value);

/* mock-NNN: that status; mock-FAULT: that fault; mock-slow, mock-long; other names change nothing. */
void mock_plan_set_model(struct mock_plan *p, struct weir_str model);

/* Lists keys and faults for --help. */
void mock_plan_describe(FILE *out);

/* Writes `from` with its %XX decoded; what is no code stays as it is. `to` has room for from.len bytes and may be the
 * same. Returns the length. */
size_t mock_percent_decode(char *to, struct weir_str from);

/* Tokens (of `total`) after which a mid-body fault strikes. */
uint32_t mock_plan_fault_point(const struct mock_plan *p, uint32_t total);

#endif
