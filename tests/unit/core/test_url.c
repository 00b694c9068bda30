#include "check_main.h"
#include "core/url.h"
#include "helper/core_failmalloc.h"

static struct weir_arena arena;

static void setup(void)
{
    weir_arena_init(&arena);
}

static void teardown(void)
{
    weir_arena_reset(&arena);
}

static enum weir_url_wrong resolve(struct weir_url *out, const char *reference)
{
    /* what RFC 3986 5.4 starts from, but for the parameters and a port */
    const struct weir_url_base base = {false, WEIR_STR("api.example:8080"), WEIR_STR("/b/c/d?q")};
    return weir_url_resolve(out, &arena, &base, weir_str_of(reference));
}

static void leads_to(const char *reference, const char *id, const char *target)
{
    struct weir_url u;
    enum weir_url_wrong wrong = resolve(&u, reference);
    ck_assert_msg(wrong == WEIR_URL_FINE, "%s refused: %d", reference, (int)wrong);
    ck_assert_str_eq(u.origin.id, id);
    ck_assert_msg(weir_str_eq(u.target, weir_str_of(target)), "%s leads to %.*s, not %s", reference, WEIR_FMT(u.target),
                  target);
}

#define HERE "http://api.example:8080"

START_TEST(test_references_within_the_origin)
{
    static const struct {
        const char *reference, *target;
    } cases[] = {
        {"", "/b/c/d?q"},
        {"#top", "/b/c/d?q"},
        {"?y", "/b/c/d?y"},
        {"?", "/b/c/d?"},
        {"g", "/b/c/g"},
        {"g/", "/b/c/g/"},
        {"/g", "/g"},
        {"g?y", "/b/c/g?y"},
        {"g?y/./x", "/b/c/g?y/./x"},
        {"g?y/../x", "/b/c/g?y/../x"},
        {"g#s/../x", "/b/c/g"},
        {"g?y#s?t", "/b/c/g?y"},
        {".", "/b/c/"},
        {"./", "/b/c/"},
        {"..", "/b/"},
        {"../", "/b/"},
        {"../g", "/b/g"},
        {"../..", "/"},
        {"../../g", "/g"},
        {"../../../../g", "/g"},
        {"/./g", "/g"},
        {"/../g", "/g"},
        {"g.", "/b/c/g."},
        {".g", "/b/c/.g"},
        {"g..", "/b/c/g.."},
        {"..g", "/b/c/..g"},
        {"./../g", "/b/g"},
        {"./g/.", "/b/c/g/"},
        {"g/./h", "/b/c/g/h"},
        {"g/../h", "/b/c/h"},
        {"g;x=1/../y", "/b/c/y"},
        {"/a//b/..//c", "/a///c"},
        {"/..", "/"},
        {"/.//x", "//x"},
        {"/%2e%2e/x", "/%2e%2e/x"},
        {"./a:b", "/b/c/a:b"},
        {"/a:b", "/a:b"},
        {"/caf\xc3\xa9?\xff", "/caf%C3%A9?%FF"},
        {"/x?[a]={b}|^\"<>", "/x?[a]={b}|^\"<>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        leads_to(cases[i].reference, HERE, cases[i].target);
}
END_TEST

START_TEST(test_references_elsewhere)
{
    leads_to("//other.example", "http://other.example:80", "/");
    leads_to("//other.example?x", "http://other.example:80", "/?x");
    leads_to("//other.example/a/../b#f", "http://other.example:80", "/b");
    leads_to("https://Other.Example/x", "https://other.example:443", "/x");
    leads_to("HTTP://api.example:8080/x", HERE, "/x");
    leads_to("http://other.example:0080/x", "http://other.example:80", "/x");
    leads_to("http://[::1]:9/x", "http://[::1]:9", "/x");
    leads_to("http://127.0.0.1", "http://127.0.0.1:80", "/");
}
END_TEST

START_TEST(test_a_base_without_a_path)
{
    const struct weir_url_base star = {true, WEIR_STR("a.example"), WEIR_STR("*")};
    struct weir_url u;
    ck_assert_int_eq(weir_url_resolve(&u, &arena, &star, WEIR_STR("x")), WEIR_URL_FINE);
    ck_assert_str_eq(u.origin.id, "https://a.example:443");
    ck_assert_str_eq(u.origin.authority, "a.example");
    ck_assert(u.origin.tls && u.origin.port == 443 && weir_str_eq(u.target, WEIR_STR("/x")));
}
END_TEST

/* A query without a path asks for the same thing: the base's own dots are not touched. */
START_TEST(test_the_base_path_stays)
{
    const struct weir_url_base dotted = {false, WEIR_STR("a.example"), WEIR_STR("/a/../b")};
    struct weir_url u;
    ck_assert_int_eq(weir_url_resolve(&u, &arena, &dotted, WEIR_STR("?q")), WEIR_URL_FINE);
    ck_assert(weir_str_eq(u.target, WEIR_STR("/a/../b?q")));
}
END_TEST

START_TEST(test_what_is_refused)
{
    static const struct {
        const char *reference;
        enum weir_url_wrong wrong;
    } cases[] = {
        {"ftp://x/", WEIR_URL_SCHEME},
        {"javascript:alert(1)", WEIR_URL_SCHEME},
        {"data:,x", WEIR_URL_SCHEME},
        {"file:///etc/passwd", WEIR_URL_SCHEME},
        {"unix:/run/x", WEIR_URL_SCHEME},
        {":x", WEIR_URL_SCHEME},
        {"1a:b", WEIR_URL_SCHEME},
        {"a_b:c", WEIR_URL_SCHEME},
        {"httpx://x/", WEIR_URL_SCHEME},
        {"http:g", WEIR_URL_AUTHORITY},
        {"http:/g", WEIR_URL_AUTHORITY},
        {"http:", WEIR_URL_AUTHORITY},
        {"http://", WEIR_URL_AUTHORITY},
        {"///x", WEIR_URL_AUTHORITY},
        {"http://user@x/", WEIR_URL_AUTHORITY},
        {"//api.example:8080@evil.example/", WEIR_URL_AUTHORITY},
        {"http://x:/", WEIR_URL_AUTHORITY},
        {"http://x:0/", WEIR_URL_AUTHORITY},
        {"http://x:65536/", WEIR_URL_AUTHORITY},
        {"http://x:8a/", WEIR_URL_AUTHORITY},
        {"http://x:-1/", WEIR_URL_AUTHORITY},
        {"http://[::1/", WEIR_URL_AUTHORITY},
        {"http://[::1]x/", WEIR_URL_AUTHORITY},
        {"http://::1/", WEIR_URL_AUTHORITY},
        {"http://a%2eb/", WEIR_URL_AUTHORITY},
        {"http://2130706433/", WEIR_URL_AUTHORITY},
        {"http://127.1/", WEIR_URL_AUTHORITY},
        {"http://a..b/", WEIR_URL_AUTHORITY},
        {"http://\xc3\xa9.example/", WEIR_URL_AUTHORITY},
        {"/a b", WEIR_URL_BYTES},
        {" /a", WEIR_URL_BYTES},
        {"/a\tb", WEIR_URL_BYTES},
        {"/a\r\nHost: x", WEIR_URL_BYTES},
        {"/a\x7f", WEIR_URL_BYTES},
        {"/\\evil.example", WEIR_URL_BYTES},
        {"\\\\evil.example", WEIR_URL_BYTES},
        {"/a#b\n", WEIR_URL_BYTES},
    };
    struct weir_url u;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum weir_url_wrong wrong = resolve(&u, cases[i].reference);
        ck_assert_msg(wrong == cases[i].wrong, "%s: %d", cases[i].reference, (int)wrong);
    }
    const struct weir_url_base base = {false, WEIR_STR("a"), WEIR_STR("/")};
    ck_assert_int_eq(weir_url_resolve(&u, &arena, &base, (struct weir_str){"/\0x", 3}), WEIR_URL_BYTES);
}
END_TEST

START_TEST(test_lengths)
{
    char long_one[WEIR_URL_BYTES_MAX + 2], base_target[WEIR_URL_BYTES_MAX];
    struct weir_url u;
    memset(long_one, 'a', sizeof long_one);
    memset(base_target, 'b', sizeof base_target);
    long_one[0] = base_target[0] = '/';
    struct weir_url_base base = {false, WEIR_STR("a"), WEIR_STR("/")};
    struct weir_str whole = {long_one, WEIR_URL_BYTES_MAX};
    ck_assert_int_eq(weir_url_resolve(&u, &arena, &base, whole), WEIR_URL_FINE);
    ck_assert(weir_str_eq(u.target, whole));
    whole.len++;
    ck_assert_int_eq(weir_url_resolve(&u, &arena, &base, whole), WEIR_URL_LONG);
    /* as long, once it is resolved or escaped */
    base_target[sizeof base_target - 2] = '/';
    base.target = (struct weir_str){base_target, sizeof base_target};
    ck_assert_int_eq(weir_url_resolve(&u, &arena, &base, WEIR_STR("x")), WEIR_URL_FINE);
    ck_assert_int_eq(weir_url_resolve(&u, &arena, &base, WEIR_STR("xy")), WEIR_URL_LONG);
    memset(long_one + 1, 0xff, sizeof long_one - 1);
    whole.len = WEIR_URL_BYTES_MAX;
    ck_assert_int_eq(weir_url_resolve(&u, &arena, &base, whole), WEIR_URL_LONG);
}
END_TEST

START_TEST(test_out_of_memory)
{
    const struct weir_url_base base = {false, WEIR_STR("a.example"), WEIR_STR("/b/c")};
    static char reference[4000];
    memset(reference, 'x', sizeof reference);
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_url u;
        failmalloc_begin(n);
        enum weir_url_wrong wrong = weir_url_resolve(&u, &arena, &base, (struct weir_str){reference, sizeof reference});
        weir_arena_reset(&arena);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(wrong, more ? WEIR_URL_MEMORY : WEIR_URL_FINE);
        ck_assert_int_eq(left, 0);
    }
}
END_TEST

CHECK_MAIN("url", setup, teardown, test_references_within_the_origin, test_references_elsewhere,
           test_a_base_without_a_path, test_the_base_path_stays, test_what_is_refused, test_lengths, test_out_of_memory)
