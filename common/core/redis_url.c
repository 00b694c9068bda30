#include "core/redis_url.h"

#include <string.h>

#include "core/config_check.h"

#define NO_MEMORY weir_err_text(WEIR_ENOMEM)

/* Undoes percent-encoding. A NUL among the bytes is refused: what is behind it would be cut off. */
static const char *decode(const char **out, struct weir_arena *a, struct weir_str in)
{
    char *at = weir_arena_bytes(a, in.len + 1);
    if (at == NULL)
        return NO_MEMORY;
    *out = at;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            int high = i + 2 < in.len ? weir_hex_value(in.ptr[i + 1]) : -1,
                low = high >= 0 ? weir_hex_value(in.ptr[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0))
                return "holds a % that is not the beginning of %XX: write a percent sign as %25";
            c = (char)(high * 16 + low);
            i += 2;
        }
        *at++ = c;
    }
    *at = '\0';
    return NULL;
}

/* Takes what is before the first `mark` off the front of *rest, and the mark; all of it when there is none. */
static struct weir_str cut(struct weir_str *rest, char mark)
{
    const char *found = rest->len > 0 ? memchr(rest->ptr, mark, rest->len) : NULL;
    size_t n = found != NULL ? (size_t)(found - rest->ptr) : rest->len;
    struct weir_str before = {rest->ptr, n};
    size_t taken = found != NULL ? n + 1 : n;
    *rest = (struct weir_str){rest->ptr + taken, rest->len - taken};
    return before;
}

static const char *read_db(struct weir_redis_url *out, struct weir_str text)
{
    uint64_t db = 0;
    if (text.len > 0 && (!weir_str_to_u64(text, &db) || db > WEIR_REDIS_DB_MAX))
        return "does not end in a database's number";
    out->db = (uint32_t)db;
    return NULL;
}

/* "user:password@", ":password@" or nothing, at the front of *rest. An @ that is part of a password is encoded; we
 * look for the last one, so that one that is not is taken for what it most likely is. */
static const char *read_credentials(struct weir_redis_url *out, struct weir_arena *a, struct weir_str *rest)
{
    const char *at = rest->len > 0 ? memrchr(rest->ptr, '@', rest->len) : NULL;
    if (at == NULL)
        return NULL;
    struct weir_str both = {rest->ptr, (size_t)(at - rest->ptr)};
    *rest = (struct weir_str){at + 1, rest->len - both.len - 1};
    if (both.len == 0 || memchr(both.ptr, ':', both.len) == NULL)
        return "holds one word before the @: write user:password@, or :password@ for the default user";
    struct weir_str user = cut(&both, ':');
    const char *wrong = user.len > 0 ? decode(&out->server.user, a, user) : NULL;
    return wrong != NULL ? wrong : decode(&out->server.password, a, both);
}

static const char *read_host(struct weir_redis_url *out, struct weir_arena *a, struct weir_str text, uint16_t port)
{
    struct weir_str host;
    if (out->host_count == WEIR_REDIS_HOSTS_MAX)
        return "names more than 16 sentinels";
    if (!weir_config_authority_split(text, &host, &port))
        return "is not a store's URL: its host must be a name or an address (IPv6 in brackets), its port 1 to 65535";
    struct weir_redis_host *h = &out->hosts[out->host_count++];
    h->host = weir_arena_dup(a, host).ptr;
    h->port = port;
    return h->host == NULL ? NO_MEMORY : NULL;
}

static const char *read_tcp(struct weir_redis_url *out, struct weir_arena *a, struct weir_str rest)
{
    struct weir_str authority = cut(&rest, '/');
    const char *wrong = read_credentials(out, a, &authority);
    if (wrong == NULL)
        wrong = read_host(out, a, authority, WEIR_REDIS_PORT);
    return wrong != NULL ? wrong : read_db(out, rest);
}

static const char *read_sentinel(struct weir_redis_url *out, struct weir_arena *a, struct weir_str rest)
{
    struct weir_str authority = cut(&rest, '/');
    const char *wrong = read_credentials(out, a, &authority);
    bool more = true;
    while (wrong == NULL && more) {
        more = authority.len > 0 && memchr(authority.ptr, ',', authority.len) != NULL;
        wrong = read_host(out, a, cut(&authority, ','), WEIR_REDIS_SENTINEL_PORT);
    }
    if (wrong != NULL)
        return wrong;
    struct weir_str name = cut(&rest, '/');
    if (name.len == 0)
        return "does not name the master: redis+sentinel://host:port,host:port/NAME";
    wrong = decode(&out->master, a, name);
    return wrong != NULL ? wrong : read_db(out, rest);
}

static const char *read_unix(struct weir_redis_url *out, struct weir_arena *a, struct weir_str rest)
{
    if (weir_str_starts(rest, WEIR_STR("//"))) {
        rest = (struct weir_str){rest.ptr + 2, rest.len - 2};
        const char *slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;
        struct weir_str authority = {rest.ptr, slash != NULL ? (size_t)(slash - rest.ptr) : rest.len};
        rest = (struct weir_str){rest.ptr + authority.len, rest.len - authority.len};
        const char *wrong = read_credentials(out, a, &authority);
        if (wrong != NULL)
            return wrong;
        if (authority.len > 0)
            return "names a host before the socket's path: write unix:/path or unix:///path";
    }
    if (rest.len == 0 || rest.ptr[0] != '/')
        return "does not hold an absolute path: unix:/path";
    const char *wrong = decode(&out->path, a, rest);
    if (wrong == NULL && strlen(out->path) > WEIR_REDIS_PATH_MAX)
        return "holds a path that is too long for a socket: 107 bytes at most";
    return wrong;
}

static const char *read_query(struct weir_redis_url *out, struct weir_arena *a, struct weir_str query)
{
    const char *wrong = NULL;
    while (wrong == NULL && query.len > 0) {
        struct weir_str value = cut(&query, '&'), name = cut(&value, '=');
        if (weir_str_eq(name, WEIR_STR("db")) && out->kind == WEIR_REDIS_UNIX)
            wrong = read_db(out, value);
        else if (weir_str_eq(name, WEIR_STR("sentinel_username")) && out->kind == WEIR_REDIS_SENTINEL)
            wrong = decode(&out->sentinel.user, a, value);
        else if (weir_str_eq(name, WEIR_STR("sentinel_password")) && out->kind == WEIR_REDIS_SENTINEL)
            wrong = decode(&out->sentinel.password, a, value);
        else
            return "has a query that is not known: db for unix:, sentinel_username and sentinel_password for sentinels";
    }
    if (wrong == NULL && out->sentinel.user != NULL && out->sentinel.password == NULL)
        return "has a sentinel_username without a sentinel_password";
    return wrong;
}

static const char *check_bytes(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || (unsigned char)s.ptr[i] >= 0x7f || s.ptr[i] == '#')
            return "holds a character that no URL has: write it as %XX";
    return NULL;
}

const char *weir_redis_url_parse(struct weir_redis_url *out, struct weir_arena *a, const char *text)
{
    static const struct scheme {
        const char *prefix;
        enum weir_redis_kind kind;
        bool tls;
        const char *(*read)(struct weir_redis_url *out, struct weir_arena *a, struct weir_str rest);
    } schemes[] = {
        {"redis://", WEIR_REDIS_TCP, false, read_tcp},
        {"rediss://", WEIR_REDIS_TCP, true, read_tcp},
        {"unix:", WEIR_REDIS_UNIX, false, read_unix},
        {"redis+unix:", WEIR_REDIS_UNIX, false, read_unix},
        {"redis+sentinel://", WEIR_REDIS_SENTINEL, false, read_sentinel},
        {"rediss+sentinel://", WEIR_REDIS_SENTINEL, true, read_sentinel},
    };
    const char *wrong = check_bytes(weir_str_of(text));
    for (size_t i = 0; wrong == NULL && i < sizeof schemes / sizeof schemes[0]; i++) {
        const struct scheme *s = &schemes[i];
        if (!weir_str_starts(weir_str_of(text), weir_str_of(s->prefix)))
            continue;
        struct weir_str query = weir_str_of(text + strlen(s->prefix)), rest = cut(&query, '?');
        *out = (struct weir_redis_url){.kind = s->kind, .tls = s->tls};
        wrong = s->read(out, a, rest);
        return wrong != NULL ? wrong : read_query(out, a, query);
    }
    return wrong != NULL ? wrong : "is not a store's URL: redis://, rediss://, redis+sentinel:// or unix:";
}
