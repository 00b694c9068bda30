#include "store/redis_hello.h"

#include <stdio.h>

#define ANSWER_SHOWN_MAX 200

static void finish(struct weir_redis_hello *h, const struct weir_err *err)
{
    if (h->failed)
        return;
    h->open--;
    h->failed = err != NULL;
    if (err != NULL || h->open == 0)
        h->done(h, err);
}

/* The server's answer to a step that must succeed. */
static void judge(struct weir_redis_hello *h, const char *step, const struct weir_redis_reply *reply,
                  const struct weir_err *err)
{
    struct weir_err why;
    if (err != NULL || reply->type != WEIR_REDIS_ERROR) {
        finish(h, err);
        return;
    }
    int shown = reply->str.len < ANSWER_SHOWN_MAX ? (int)reply->str.len : ANSWER_SHOWN_MAX;
    weir_err_set(&why, WEIR_EPROTO, "the server refuses %s: %.*s", step, shown, reply->str.ptr);
    finish(h, &why);
}

static void got_auth(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    judge(owner, "the credentials", reply, err);
}

static void got_select(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    judge(owner, "the database", reply, err);
}

static void got_ping(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    judge(owner, "a PING", reply, err);
}

static void got_name(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    (void)reply;
    finish(owner, err);
}

static void got_role(void *owner, const struct weir_redis_reply *reply, const struct weir_err *err)
{
    struct weir_err why;
    bool told = err == NULL && reply->type == WEIR_REDIS_ARRAY && reply->count > 0;
    if (told && !weir_redis_reply_is(&reply->element[0], "master")) {
        weir_err_set(&why, WEIR_ECLOSED, "the server is a replica, not the master");
        err = &why;
    }
    finish(owner, err);
}

int weir_redis_hello_send(struct weir_redis_hello *h, struct weir_redis_conn *conn, uint64_t timeout_ms)
{
    const struct weir_redis_conn_opts *o = h->opts;
    const struct weir_redis_credentials *who = o->credentials;
    bool auth = who != NULL && who->password != NULL;
    char db[12];
    snprintf(db, sizeof db, "%u", o->db);
    struct weir_str full[] = {WEIR_STR("AUTH"), weir_str_of(auth && who->user != NULL ? who->user : "default"),
                              weir_str_of(auth ? who->password : "")};
    struct weir_str short_[] = {WEIR_STR("AUTH"), full[2]};
    struct weir_str name[] = {WEIR_STR("CLIENT"), WEIR_STR("SETNAME"), weir_str_of(o->client_name)};
    struct weir_str select[] = {WEIR_STR("SELECT"), weir_str_of(db)};
    struct weir_str role[] = {WEIR_STR("ROLE")}, ping[] = {WEIR_STR("PING")};
    bool by_user = auth && who->user != NULL;
    const struct step {
        bool wanted;
        const struct weir_str *args;
        unsigned count;
        weir_redis_cb cb;
    } steps[] = {
        {by_user, full, 3, got_auth},
        {auth && !by_user, short_, 2, got_auth},
        {o->client_name != NULL, name, 3, got_name},
        {o->db > 0, select, 2, got_select},
        {o->master, role, 1, got_role},
        {true, ping, 1, got_ping},
    };
    int rv = WEIR_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && rv == WEIR_OK; i++) {
        if (!steps[i].wanted)
            continue;
        h->open++;
        rv = weir_redis_conn_send(conn, steps[i].args, steps[i].count, timeout_ms, steps[i].cb, h);
    }
    return rv;
}
