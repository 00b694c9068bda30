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

/* request.c: works the plan out anew, with the model's part in it. False: a field is not valid. */
bool mock_request_plan(struct mock_request *rq, struct weir_str model);

#endif
