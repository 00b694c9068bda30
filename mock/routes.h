/* The paths of the mock and what each answers. */
#ifndef WEIR_MOCK_ROUTES_H
#define WEIR_MOCK_ROUTES_H

#include "mock/request.h"

struct mock_route {
    struct weir_str path;
    bool prefix;     /* whatever begins with path */
    bool control;    /* for tests: not counted, no faults */
    bool keeps_body; /* whole, to be parsed */
    bool checksum;   /* of the body, as it comes */
    enum mock_api api;
    void (*begin)(struct mock_request *rq);  /* at the head; NULL: nothing to do before the end */
    void (*answer)(struct mock_request *rq); /* at the request's end */
};

/* Never NULL: the last one answers 404. */
const struct mock_route *mock_route_find(struct weir_str path);
/* The request has ended: applies a status asked for, or answers by its route. */
void mock_route_answer(struct mock_request *rq);

/* The number after NAME= in the query; `otherwise` without one, false when it is not a number. */
bool mock_query_u64(const struct mock_request *rq, struct weir_str name, uint64_t otherwise, uint64_t *out);
/* Copies the text. */
void mock_reply_json(struct mock_request *rq, unsigned status, const char *text, size_t len);

/* -- control.c -- */

void mock_answer_stats(struct mock_request *rq);
void mock_answer_reset_stats(struct mock_request *rq);
void mock_answer_arrivals(struct mock_request *rq); /* ?from=N */
void mock_answer_gate(struct mock_request *rq);     /* /NAME?steps=N */
/* ?KEY=VALUE&...: the plan of every request from now on, put together anew from the options and these keys; values are
 * percent-encoded. Without a query: the options' again. */
void mock_answer_plan(struct mock_request *rq);
/* ?open=0|1: deaf with all connections reset, or listening again. */
void mock_answer_listen(struct mock_request *rq);

/* request.c: works the plan out anew, with the model's part in it. False: a field is not valid. */
bool mock_request_plan(struct mock_request *rq, struct weir_str model);

#endif
