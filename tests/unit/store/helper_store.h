/* A store of any kind, and what it has told: for tests that hold for each kind. */
#ifndef WEIR_TESTS_STORE_HELPER_STORE_H
#define WEIR_TESTS_STORE_HELPER_STORE_H

#include "core/arena.h"
#include "helper/core_coord.h"
#include "helper/net_run.h"
#include "helper_server.h"
#include "store/store.h"

#define STORE_ACL (WEIR_TESTS_DIR "/../deploy/redis/users.acl")

struct store_fixture {
    struct weir_reactor r;
    struct weir_dns *dns;
    struct server server; /* all zero: there is none */
    struct weir_config_distributed config;
    struct weir_store *store;
    char url[128];

    uint64_t asked; /* the last request's id */
    unsigned replies, ups, downs;
    bool up;
    char why[512];                 /* of the last contact */
    struct weir_coord_reply reply; /* the last; what it points to lives until the next question */
    unsigned pushes[WEIR_COORD_PUSH_KINDS];
    struct weir_coord_push push; /* the last of those that are awaited */
    struct weir_arena arena;
    bool inside_submit;
    void (*on_reply)(struct store_fixture *f); /* NULL: none */
};

/* Opens a store of the kind: 0 is in memory, then one for each server that is installed, which is started under
 * deploy/redis/users.acl with further arguments (NULL: none). Waits until it is up and pushes arrive. False: there is
 * no such kind. */
bool store_begin(struct store_fixture *f, unsigned kind, const char *const *args);
void store_end(struct store_fixture *f);
/* The same in two steps: a server without a store, and then a store. Neither waits. */
void store_begin_server(struct store_fixture *f, const char *program, const char *const *args);
void store_open(struct store_fixture *f);
/* Waits until pushes arrive, however long the subscription takes. */
void store_await_pushes(struct store_fixture *f);

/* Runs the test's body with a store of each kind there is. */
#define EACH_STORE(f) for (unsigned kind_ = 0; store_begin(f, kind_, NULL); store_end(f), kind_++)

/* Asks and waits for the answer, which is in f->reply. */
enum weir_coord_word store_ask(struct store_fixture *f, const struct weir_coord_request *q);
enum weir_coord_word store_ask_op(struct store_fixture *f, enum weir_coord_op op); /* what needs no arguments */
/* Asks without waiting. */
void store_send(struct store_fixture *f, const struct weir_coord_request *q);

/* A command of weir's user, for looking and for disturbing; the answer as text. */
const char *store_command(struct store_fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
