#include "check_main.h"
#include "core/redirect.h"

static struct weir_arena arena;
static struct weir_fields fields;
static struct weir_redirect_sight sight;

static const struct weir_config_endpoint endpoints[] = {
    {.id = "http://a.example:80"},
    {.id = "http://b.example:8080"},
    {.id = "https://s.example:443", .tls = true},
};

static void setup(void)
{
    weir_arena_init(&arena);
    fields = (struct weir_fields){0};
    sight = (struct weir_redirect_sight){
        .status = 307,
        .fields = &fields,
        .method = WEIR_STR("POST"),
        .asked = {false, WEIR_STR("a.example"), WEIR_STR("/v1/x?y")},
        .policy = WEIR_CONFIG_REDIRECTS_SAME_ORIGIN,
        .endpoints = endpoints,
        .endpoint_count = 3,
        .has_body = true,
        .body_ended = true,
        .replayable = true,
    };
}

static void teardown(void)
{
    weir_arena_reset(&arena);
}

static void location(const char *value)
{
    ck_assert(weir_fields_add_id(&fields, &arena, WEIR_FIELD_LOCATION, weir_str_of(value)));
}

static void passes(enum weir_redirect_reason reason)
{
    struct weir_redirect_decision d = weir_redirect_decide(&sight, &arena);
    ck_assert_int_eq(d.word, WEIR_REDIRECT_PASS);
    ck_assert_str_eq(weir_redirect_reason_label(d.reason), weir_redirect_reason_label(reason));
}

static struct weir_redirect_decision follows(void)
{
    struct weir_redirect_decision d = weir_redirect_decide(&sight, &arena);
    ck_assert_msg(d.word == WEIR_REDIRECT_FOLLOW, "not followed: %s", weir_redirect_reason_text(d.reason));
    ck_assert_int_eq(d.reason, WEIR_REDIRECT_NONE);
    return d;
}

START_TEST(test_which_statuses)
{
    location("/v1/x/");
    for (unsigned status = 100; status < 600; status++) {
        sight.status = status;
        if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
            follows();
        else
            passes(WEIR_REDIRECT_STATUS);
    }
}
END_TEST

START_TEST(test_methods)
{
    static const struct {
        const char *method, *then[5]; /* at 301, 302, 303, 307, 308 */
    } cases[] = {
        {"GET", {"GET", "GET", "GET", "GET", "GET"}},
        {"HEAD", {"HEAD", "HEAD", "HEAD", "HEAD", "HEAD"}},
        {"POST", {"GET", "GET", "GET", "POST", "POST"}},
        {"PUT", {"PUT", "PUT", "GET", "PUT", "PUT"}},
        {"DELETE", {"DELETE", "DELETE", "GET", "DELETE", "DELETE"}},
        {"post", {"post", "post", "GET", "post", "post"}},
    };
    static const unsigned statuses[] = {301, 302, 303, 307, 308};
    location("/x");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < 5; j++) {
            sight.status = statuses[j];
            sight.method = weir_str_of(cases[i].method);
            struct weir_redirect_decision d = follows();
            bool same = strcmp(cases[i].then[j], cases[i].method) == 0;
            ck_assert(weir_str_eq(d.method, weir_str_of(cases[i].then[j])));
            ck_assert_int_eq(d.keeps_body, same);
        }
    }
    sight.has_body = false;
    ck_assert(!follows().keeps_body);
}
END_TEST

START_TEST(test_where_to)
{
    location("x/");
    struct weir_redirect_decision d = follows();
    ck_assert(!d.foreign && d.endpoint == 0 && weir_str_eq(d.to.target, WEIR_STR("/v1/x/")));
    fields.count = 0;
    location("http://B.example:8080/q?r#s");
    d = follows();
    ck_assert(!d.foreign && d.endpoint == 1 && weir_str_eq(d.to.target, WEIR_STR("/q?r")));
    fields.count = 0;
    location("https://s.example/q");
    ck_assert_uint_eq(follows().endpoint, 2);
}
END_TEST

START_TEST(test_policies)
{
    sight.foreign_tls = true;
    location("http://b.example/x"); /* the host of an endpoint on another port */
    passes(WEIR_REDIRECT_ORIGIN);
    sight.policy = WEIR_CONFIG_REDIRECTS_ANY;
    struct weir_redirect_decision d = follows();
    ck_assert(d.foreign);
    ck_assert_str_eq(d.to.origin.id, "http://b.example:80");
    sight.asked.tls = true;
    passes(WEIR_REDIRECT_DOWNGRADE);
    fields.count = 0;
    location("https://elsewhere.example/x");
    ck_assert(follows().foreign);
    sight.foreign_tls = false;
    passes(WEIR_REDIRECT_TLS);
    fields.count = 0;
    location("http://b.example:8080/x"); /* configured: whoever wrote that wants it */
    ck_assert(!follows().foreign);
    sight.policy = WEIR_CONFIG_REDIRECTS_OFF;
    passes(WEIR_REDIRECT_DISABLED);
}
END_TEST

START_TEST(test_locations)
{
    passes(WEIR_REDIRECT_LOCATION);
    location("");
    passes(WEIR_REDIRECT_LOCATION);
    fields.count = 0;
    location("/x");
    location("/x");
    passes(WEIR_REDIRECT_LOCATION);
    static const char *const bad[] = {"ftp://a.example/", "http://u:p@a.example/", "/a b", "//a.example:x/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fields.count = 0;
        location(bad[i]);
        passes(WEIR_REDIRECT_LOCATION);
    }
}
END_TEST

START_TEST(test_bodies)
{
    location("/x");
    sight.replayable = false;
    passes(WEIR_REDIRECT_BODY);
    sight.status = 303; /* not sent again, so it need not be kept */
    ck_assert(!follows().keeps_body);
    sight.body_ended = false; /* but its rest would arrive for nobody */
    passes(WEIR_REDIRECT_BODY);
    sight.status = 307;
    sight.replayable = true;
    ck_assert(follows().keeps_body);
    sight.answer_begun = true;
    passes(WEIR_REDIRECT_ANSWER_BEGUN);
}
END_TEST

START_TEST(test_the_eleventh)
{
    location("/x");
    sight.followed = WEIR_REDIRECTS_MAX - 1;
    follows();
    sight.followed++;
    struct weir_redirect_decision d = weir_redirect_decide(&sight, &arena);
    ck_assert_int_eq(d.word, WEIR_REDIRECT_TOO_MANY);
    ck_assert_int_eq(d.reason, WEIR_REDIRECT_LIMIT);
    sight.replayable = false; /* what could not be followed anyway is the client's */
    passes(WEIR_REDIRECT_BODY);
}
END_TEST

static void add(struct weir_fields *f, const char *name)
{
    ck_assert(weir_fields_add(f, &arena, weir_str_of(name), WEIR_STR("v")));
}

START_TEST(test_credentials)
{
    static const char *const secret[] = {"authorization",     "cookie",
                                         "x-api-key",         "api-key",
                                         "x-goog-api-key",    "x-configured",
                                         "x-the-key",         "via",
                                         "forwarded",         "x-forwarded-for",
                                         "x-forwarded-proto", "x-forwarded-host",
                                         "x-real-ip",         "x-amz-security-token"};
    static const char *const open[] = {"accept", "content-type", "user-agent", "x-request-id", "traceparent"};
    struct weir_config_pair pair = {.name = "x-configured", .value = "secret"};
    struct weir_config_provider p = {.headers = {.at = &pair, .count = 1}};
    struct weir_fields f = {0};
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        add(&f, secret[i]);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        add(&f, open[i]);
    add(&f, "authorization");
    weir_redirect_drop_credentials(&f, &p, WEIR_STR("x-the-key"));
    ck_assert_uint_eq(f.count, sizeof open / sizeof open[0]);
    for (size_t i = 0; i < f.count; i++)
        ck_assert(weir_str_eq(f.at[i].name, weir_str_of(open[i])));
}
END_TEST

START_TEST(test_content)
{
    struct weir_fields f = {0};
    add(&f, "accept");
    add(&f, "content-type");
    add(&f, "content-encoding");
    add(&f, "expect");
    weir_redirect_drop_content(&f);
    ck_assert_uint_eq(f.count, 1);
    ck_assert(weir_str_eq(f.at[0].name, WEIR_STR("accept")));
}
END_TEST

START_TEST(test_words)
{
    for (int r = 0; r < WEIR_REDIRECT_REASON_COUNT; r++) {
        ck_assert_ptr_nonnull(weir_redirect_reason_label((enum weir_redirect_reason)r));
        ck_assert_ptr_nonnull(weir_redirect_reason_text((enum weir_redirect_reason)r));
    }
}
END_TEST

CHECK_MAIN("redirect", setup, teardown, test_which_statuses, test_methods, test_where_to, test_policies, test_locations,
           test_bodies, test_the_eleventh, test_credentials, test_content, test_words)
