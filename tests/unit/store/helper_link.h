/* A link with an event loop, whose events and answers are noted: what the tests against servers share. */
#ifndef WEIR_TESTS_STORE_HELPER_LINK_H
#define WEIR_TESTS_STORE_HELPER_LINK_H

#include "helper/net_run.h"
#include "helper_server.h"
#include "store/redis.h"

/* Generous: what is tested is never how long something takes. */
#define LINK_TIMEOUT_MS 1000u

struct link_notes {
    struct weir_reactor r;
    struct weir_dns *dns;
    struct server server; /* ended by link_close */
    struct weir_arena arena;
    struct weir_redis_url url;
    struct weir_redis_link_opts opts; /* the test may change them before link_open */
    struct weir_redis_link *link;
    unsigned ups, downs, subscribed, unsubscribed, messages, answers;
    char why[512], last[1024], message[256]; /* of the last `down`; the last answer; the last message */
    int code;                                /* of the last answer, 0: a reply */
};

extern struct link_notes f;

/* What notes each event. */
extern const struct weir_redis_link_events link_events;

/* Fixture: the loop and the resolver, but no link yet. */
void link_setup(void);
void link_teardown(void);
/* Opens f.link to this URL; to f.server, database 3. */
void link_open(const char *url);
void link_open_to_server(void);
/* Closes link and server, and forgets what was noted. */
void link_close(void);
/* Sends a command; its answer is noted. */
int link_send(const char *const *words, uint64_t timeout_ms);
/* Sends it and waits for the answer, shown as its elements with a space behind each. */
const char *link_ask(const char *const *words);
#define LINK_ASK(...)      link_ask((const char *const[]){__VA_ARGS__, NULL})
#define LINK_SEND(ms, ...) link_send((const char *const[]){__VA_ARGS__, NULL}, ms)
/* What notes an answer: for calls with `owner` &f. */
void link_answered(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err);

/* Runs a test with each server program that there is, started with these arguments (NULL at the end; may be NULL). */
void link_each_server(void (*test)(void), const char *const *args);

#endif
