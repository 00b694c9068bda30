#include "core/url.h"

/* The parts of a reference (RFC 3986 section 4.1); ptr is NULL where a part is absent, which is not the same as empty.
 */
struct parts {
    struct weir_str scheme, authority, path, query;
};

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_scheme(struct weir_str s)
{
    if (s.len == 0 || !is_alpha(s.ptr[0]))
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (!is_alpha(s.ptr[i]) && !(s.ptr[i] >= '0' && s.ptr[i] <= '9') && strchr("+-.", s.ptr[i]) == NULL)
            return false;
    return true;
}

static struct weir_str until(struct weir_str s, const char *stops)
{
    size_t n = 0;
    while (n < s.len && strchr(stops, s.ptr[n]) == NULL)
        n++;
    return (struct weir_str){s.ptr, n};
}

static struct weir_str behind(struct weir_str s, size_t n)
{
    return (struct weir_str){s.ptr + n, s.len - n};
}

/* No byte is NUL here: strchr would find the terminator. */
static bool has_fit_bytes(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f || s.ptr[i] == '\\')
            return false;
    return true;
}

/* False: a colon in the first segment that no scheme stands before. */
static bool split(struct parts *p, struct weir_str ref)
{
    *p = (struct parts){0};
    ref = until(ref, "#");
    struct weir_str first = until(ref, ":/?");
    if (first.len < ref.len && ref.ptr[first.len] == ':') {
        if (!is_scheme(first))
            return false;
        p->scheme = first;
        ref = behind(ref, first.len + 1);
    }
    if (weir_str_starts(ref, WEIR_STR("//"))) {
        ref = behind(ref, 2);
        p->authority = until(ref, "/?");
        ref = behind(ref, p->authority.len);
    }
    p->path = until(ref, "?");
    if (p->path.len < ref.len)
        p->query = behind(ref, p->path.len + 1);
    return true;
}

/* -- the target -- */

struct writer {
    char *at;
    size_t len;
};

static void put(struct writer *w, struct weir_str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c < 0x80) {
            w->at[w->len++] = (char)c;
            continue;
        }
        w->at[w->len++] = '%';
        w->at[w->len++] = digits[c >> 4];
        w->at[w->len++] = digits[c & 15];
    }
}

/* RFC 3986 5.2.4, in place; the path begins with a slash. */
static size_t remove_dot_segments(char *path, size_t len)
{
    size_t out = 0;
    for (size_t i = 0; i < len;) {
        size_t end = i + 1;
        while (end < len && path[end] != '/')
            end++;
        const struct weir_str segment = {path + i + 1, end - i - 1};
        bool up = weir_str_eq(segment, WEIR_STR("..")), dot = up || weir_str_eq(segment, WEIR_STR("."));
        while (up && out > 0 && path[--out] != '/')
            ;
        if (!dot) {
            memmove(path + out, path + i, end - i);
            out += end - i;
        } else if (end == len) {
            path[out++] = '/';
        }
        i = end;
    }
    if (out == 0)
        path[out++] = '/';
    return out;
}

/* The base's path up to its last slash (RFC 3986 5.2.3). */
static struct weir_str folder_of(struct weir_str path)
{
    const char *slash = path.len > 0 ? memrchr(path.ptr, '/', path.len) : NULL;
    return slash != NULL ? (struct weir_str){path.ptr, (size_t)(slash - path.ptr) + 1} : WEIR_STR("/");
}

static enum weir_url_wrong make_target(struct weir_str *out, struct weir_arena *a, const struct parts *base,
                                       const struct parts *ref)
{
    bool same_place = ref->authority.ptr == NULL;
    bool same_path = same_place && ref->path.len == 0;
    bool merged = same_place && ref->path.len > 0 && ref->path.ptr[0] != '/';
    struct weir_str query = same_path && ref->query.ptr == NULL ? base->query : ref->query;
    size_t most = base->path.len + 3 * (ref->path.len + query.len) + 3;
    struct writer w = {weir_arena_bytes(a, most), 0};
    if (w.at == NULL)
        return WEIR_URL_MEMORY;
    if (merged)
        put(&w, folder_of(base->path));
    put(&w, same_path ? base->path : ref->path);
    if (w.len == 0)
        put(&w, WEIR_STR("/"));
    if (!same_path)
        w.len = remove_dot_segments(w.at, w.len);
    if (query.ptr != NULL) {
        put(&w, WEIR_STR("?"));
        put(&w, query);
    }
    *out = (struct weir_str){w.at, w.len};
    return w.len <= WEIR_URL_BYTES_MAX ? WEIR_URL_FINE : WEIR_URL_LONG;
}

/* -- the origin -- */

static enum weir_url_wrong make_origin(struct weir_config_endpoint *out, struct weir_arena *a, bool tls,
                                       struct weir_str authority)
{
    struct weir_str parts[] = {tls ? WEIR_STR("https://") : WEIR_STR("http://"), authority};
    struct weir_str url = weir_arena_join(a, parts, 2);
    if (url.ptr == NULL)
        return WEIR_URL_MEMORY;
    *out = (struct weir_config_endpoint){.weight = 1};
    const char *wrong = weir_config_url_parse(out, a, url.ptr);
    if (wrong == NULL)
        return WEIR_URL_FINE;
    return wrong == weir_err_text(WEIR_ENOMEM) ? WEIR_URL_MEMORY : WEIR_URL_AUTHORITY;
}

enum weir_url_wrong weir_url_resolve(struct weir_url *out, struct weir_arena *a, const struct weir_url_base *base,
                                     struct weir_str reference)
{
    struct parts ref, from;
    if (reference.len > WEIR_URL_BYTES_MAX)
        return WEIR_URL_LONG;
    if (!has_fit_bytes(reference))
        return WEIR_URL_BYTES;
    if (!split(&ref, reference))
        return WEIR_URL_SCHEME;
    bool tls = ref.scheme.ptr != NULL ? weir_str_eq_nocase(ref.scheme, WEIR_STR("https")) : base->tls;
    if (ref.scheme.ptr != NULL && !tls && !weir_str_eq_nocase(ref.scheme, WEIR_STR("http")))
        return WEIR_URL_SCHEME;
    if (ref.scheme.ptr != NULL && ref.authority.ptr == NULL)
        return WEIR_URL_AUTHORITY; /* "http:g": the scheme is not to be ignored (RFC 3986 5.2.2) */
    struct weir_str target = base->target.len > 0 && base->target.ptr[0] == '/' ? base->target : WEIR_STR("/");
    from = (struct parts){.path = until(target, "?")};
    if (from.path.len < target.len)
        from.query = behind(target, from.path.len + 1);
    enum weir_url_wrong wrong = make_target(&out->target, a, &from, &ref);
    if (wrong != WEIR_URL_FINE)
        return wrong;
    return make_origin(&out->origin, a, tls, ref.authority.ptr != NULL ? ref.authority : base->authority);
}
