/* The URL of a Redis store, as distributed_pool.redis_url holds one. Pure.
 *
 *   redis://[user:password@]host[:port][/db]        [:password@] without a user; rediss:// is the same over TLS
 *   unix:/path[?db=N]                               also unix:// and redis+unix://, with credentials before the path
 *   redis+sentinel://[user:password@]host[:port],host[:port].../name[/db]
 *                                                   rediss+sentinel:// is the same over TLS, sentinels included
 *
 * Credentials are the master's; what the sentinels themselves want stands behind ?sentinel_username= and
 * &sentinel_password=. User, password, path and the master's name may be percent-encoded (RFC 3986 section 2.1). A lone
 * word before the @ is refused: half of the programs take it for a user, the others for a password. */
#ifndef WEIR_CORE_REDIS_URL_H
#define WEIR_CORE_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

#define WEIR_REDIS_PORT          6379u
#define WEIR_REDIS_SENTINEL_PORT 26379u
/* Sentinels named in one URL: an odd handful is usual. */
#define WEIR_REDIS_HOSTS_MAX 16u
/* sockaddr_un.sun_path, without its NUL. */
#define WEIR_REDIS_PATH_MAX 107u
/* The number of databases is the server's to judge; this much it can be configured to. */
#define WEIR_REDIS_DB_MAX 2147483647u

enum weir_redis_kind { WEIR_REDIS_TCP, WEIR_REDIS_UNIX, WEIR_REDIS_SENTINEL };

struct weir_redis_host {
    const char *host; /* a name or an address, without brackets */
    uint16_t port;
};

struct weir_redis_credentials {
    const char *user;     /* NULL: the default user */
    const char *password; /* NULL: none are sent. A secret */
};

struct weir_redis_url {
    enum weir_redis_kind kind;
    bool tls;
    struct weir_redis_host hosts[WEIR_REDIS_HOSTS_MAX]; /* TCP: one; SENTINEL: the sentinels */
    unsigned host_count;
    const char *path;   /* UNIX */
    const char *master; /* SENTINEL: the name by which they know it */
    uint32_t db;
    struct weir_redis_credentials server, sentinel;
};

/* What is wrong, as the end of a sentence that begins with the URL's place, without any part of it; or NULL. All text
 * is in the arena. */
const char *weir_redis_url_parse(struct weir_redis_url *out, struct weir_arena *a, const char *text);

#endif
