#include "core/render_cluster.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "core/cluster_snapshot.h"
#include "core/render.h"
#include "helper/core_failmalloc.h"
#include "helper_snapshot.h"

static struct helper_snapshot h;
static struct weir_cluster_peer peers[3];
static uint16_t owner[8] = {0, 0, 2, 0, 2, 2, 2, 0};
static struct weir_cluster_sight sight;
static struct weir_cluster_snapshot cluster;
static struct weir_event_ring ring;

static const struct weir_cluster_circuit_snapshot circuits[] = {
    {.provider = "openai",
     .endpoint = "http://10.0.0.1:9001",
     .shared = true,
     .phase = WEIR_BREAKER_OPEN,
     .reason = WEIR_BREAKER_BY_OPERATOR,
     .gen = 4,
     .since_ms = 12500,
     .open_left_ms = 47500,
     .failures = 5},
    {.provider = "openai", .endpoint = "http://10.0.0.2:9001", .gen = 1, .cooldown_left_ms = 1250}};
static const struct weir_cluster_limit_snapshot limits[] = {{.provider = "openai",
                                                             .mode = WEIR_CLUSTER_LIMIT_DEGRADED,
                                                             .strict = true,
                                                             .fail_closed = true,
                                                             .limit = 600,
                                                             .burst = 60,
                                                             .share = 200,
                                                             .leased = 3,
                                                             .told = true,
                                                             .remaining = 17,
                                                             .waiting = 2},
                                                            {.provider = "new", .limit = 60, .burst = 6}};

static void set_peer(struct weir_cluster_peer *p, const char *id, const char *advertise)
{
    *p = (struct weir_cluster_peer){.alive = true, .weight = 100, .state = WEIR_NODE_ACTIVE, .epoch_seen = 6};
    strcpy(p->id, id);
    strcpy(p->advertise, advertise);
    strcpy(p->version, "0.1.0");
}

static void setup(void)
{
    helper_snapshot_fill(&h);
    set_peer(&peers[0], "a", "10.0.0.1:8100");
    set_peer(&peers[1], "b", "10.0.0.2:8100");
    set_peer(&peers[2], "c", "10.0.0.3:8100");
    peers[0].seen_ms = 9000;
    peers[1].alive = false;
    peers[1].seen_ms = 4000;
    peers[1].suspect = true;
    peers[2].state = WEIR_NODE_DRAINING;
    peers[2].load = (struct weir_coord_load){1, 2, 3, 4, 5, 6};
    sight = (struct weir_cluster_sight){.contact = true,
                                        .self = 2,
                                        .peer_count = 3,
                                        .peers = peers,
                                        .alive_count = 2,
                                        .epoch = 7,
                                        .leader = "co-1",
                                        .shard_count = 8,
                                        .owner = owner,
                                        .owned_count = 4,
                                        .secret = "not to be shown"};
    cluster = (struct weir_cluster_snapshot){.cluster = "demo",
                                             .id = "c",
                                             .advertise = "10.0.0.3:8100",
                                             .store = "redis://10.0.0.9:6379",
                                             .affinity = "sticky",
                                             .state = WEIR_NODE_DRAINING,
                                             .member = true,
                                             .contact = true,
                                             .contact_since_unix_ms = 1795000000000,
                                             .now_ms = 10000,
                                             .sight = &sight,
                                             .circuits = circuits,
                                             .circuit_count = 2,
                                             .limits = limits,
                                             .limit_count = 2};
    cluster.counts.requests[WEIR_COORD_BEAT] = 11;
    cluster.advice.hints = WEIR_STR("{\"schema\":1,\"cluster\":{}}");
    cluster.advice.analytics = WEIR_STR("{\"schema\":1,\"patterns\":[]}");
    cluster.counts.away = 2;
    cluster.counts.refused = 1;
    h.s.cluster = &cluster;
}

static void teardown(void)
{
    weir_event_ring_close(&ring);
}

typedef int (*render_fn)(struct weir_textbuf *out, const struct weir_snapshot *s);

static int render_events(struct weir_textbuf *out, const struct weir_snapshot *s)
{
    return weir_render_cluster_events(out, s, &ring, 2);
}

static const render_fn pages[] = {weir_render_cluster_state,
                                  weir_render_cluster_nodes,
                                  weir_render_cluster_shards,
                                  weir_render_cluster_map,
                                  weir_render_cluster_breakers,
                                  weir_render_cluster_limits,
                                  render_events,
                                  weir_render_cluster_hints,
                                  weir_render_cluster_analytics};
#define PAGES (sizeof pages / sizeof pages[0])

static json_t *answer_of(render_fn render)
{
    struct weir_textbuf out;
    json_error_t error;
    weir_textbuf_init(&out, WEIR_RENDER_BYTES_MAX);
    ck_assert_int_eq(render(&out, &h.s), 0);
    json_t *o = json_loadb(out.ptr, out.len, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(o != NULL, "%s", error.text);
    weir_textbuf_close(&out);
    return o;
}

/* The answer less its timestamp is exactly that. */
static void is(json_t *answer, const char *wanted)
{
    json_error_t error;
    json_t *w = json_loads(wanted, 0, &error);
    ck_assert_msg(w != NULL, "%s", error.text);
    ck_assert(json_is_string(json_object_get(answer, "timestamp")));
    json_object_del(answer, "timestamp");
    char *text = json_dumps(answer, JSON_INDENT(1));
    ck_assert_msg(json_equal(answer, w), "%s", text);
    free(text);
    json_decref(w);
    json_decref(answer);
}

#define HEAD  "{\"schema\":1,\"node\":\"c\",\"version\":\"1.2.3\",\"cluster\":\"demo\","
#define ALONE "{\"schema\":1,\"node\":\"node-1\",\"version\":\"1.2.3\",\"cluster\":null,"

START_TEST(test_who_leads)
{
    static const struct {
        struct weir_cluster_lead lead;
        const char *shown;
    } cases[] = {{{.known = true, .terms = 3, .leader = "co-2", .until_ms = 12500},
                  "{\"coordinator\": \"co-2\", \"lease_seconds\": 2.5, \"terms\": 3}"},
                 {{.known = true, .terms = 3, .leader = "co-2", .until_ms = 9000},
                  "{\"coordinator\": \"co-2\", \"lease_seconds\": 0.0, \"terms\": 3}"},
                 {{.known = true, .terms = 3}, "{\"coordinator\": null, \"lease_seconds\": 0.0, \"terms\": 3}"},
                 {{.known = false, .terms = 3, .leader = "co-2"}, "null"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cluster.lead = cases[i].lead;
        json_t *state = answer_of(weir_render_cluster_state);
        char *text = json_dumps(json_object_get(state, "lead"), JSON_ENCODE_ANY);
        ck_assert_str_eq(text, cases[i].shown);
        ck_assert_str_eq(json_string_value(json_object_get(state, "leader")), "co-1"); /* the map's */
        free(text);
        json_decref(state);
    }
}
END_TEST

START_TEST(test_state)
{
    json_t *answer = answer_of(weir_render_cluster_state);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(answer, "requests"), "beat")), 11);
    ck_assert_uint_eq(json_object_size(json_object_get(answer, "requests")), WEIR_COORD_OPS);
    json_object_del(answer, "requests");
    is(answer, HEAD
       "\"state\":\"draining\",\"member\":true,\"refused\":null,\"contact\":true,\"store_error\":null,"
       "\"since\":\"2026-11-18T11:06:40.000Z\",\"store\":\"redis://10.0.0.9:6379\",\"epoch\":7,"
       "\"leader\":\"co-1\",\"lead\":null,\"mode\":\"sticky\",\"pool_sharding\":false,\"shard_count\":8,\"owned\":4,"
       "\"nodes\":{\"alive\":2,\"total\":3},\"requests_failed\":3}");
}
END_TEST

START_TEST(test_nodes)
{
#define LOAD(a, b, c, d, e, f)                                                                             \
    "\"load\":{\"in_flight\":" a ",\"connections\":" b ",\"utilization_percent\":" c ",\"loop_lag_us\":" d \
    ",\"requests_per_second\":" e ",\"errors_per_second\":" f "}}"
    is(answer_of(weir_render_cluster_nodes),
       HEAD "\"nodes\":["
            "{\"id\":\"a\",\"advertise\":\"10.0.0.1:8100\",\"state\":\"active\",\"alive\":true,\"suspect\":false,"
            "\"self\":false,"
            "\"weight\":100,\"version\":\"0.1.0\",\"epoch_seen\":6,\"shards\":4,\"age_ms\":1000," LOAD(
                "0", "0", "0", "0", "0",
                "0") ","
                     "{\"id\":\"b\",\"advertise\":\"10.0.0.2:8100\",\"state\":\"active\",\"alive\":false,\"suspect\":"
                     "true,\"self\":false,"
                     "\"weight\":100,\"version\":\"0.1.0\",\"epoch_seen\":6,\"shards\":0,\"age_ms\":6000," LOAD(
                         "0", "0", "0", "0", "0",
                         "0") ","
                              "{\"id\":\"c\",\"advertise\":\"10.0.0.3:8100\",\"state\":\"draining\",\"alive\":true,"
                              "\"suspect\":false,\"self\":true,"
                              "\"weight\":100,\"version\":\"0.1.0\",\"epoch_seen\":6,\"shards\":4,\"age_ms\":0," LOAD(
                                  "1", "2", "3", "4", "5", "6") "]}");
}
END_TEST

START_TEST(test_shards)
{
    is(answer_of(weir_render_cluster_shards), HEAD "\"epoch\":7,\"leader\":\"co-1\",\"shard_count\":8,\"owners\":["
                                                   "{\"node\":\"a\",\"count\":4,\"ranges\":[[0,1],[3,3],[7,7]]},"
                                                   "{\"node\":\"b\",\"count\":0,\"ranges\":[]},"
                                                   "{\"node\":\"c\",\"count\":4,\"ranges\":[[2,2],[4,6]]}]}");
}
END_TEST

/* The map that was published, not who stands in; before there is one, how many shards it shall have. */
START_TEST(test_map)
{
    static const char text[] = "weir-shard-map 1\nepoch 7\nleader co-1\nshards 3\nnodes 2\nnode a 2 0-1\nnode b 1 2\n";
    struct weir_shard_map *map;
    struct weir_err err;
    cluster.shard_count = 8;
    cluster.failover = true;
    is(answer_of(weir_render_cluster_map),
       HEAD "\"shard_count\":8,\"failover\":true,\"load_moves\":false,\"map\":null}");
    ck_assert_int_eq(weir_shard_map_parse(&map, weir_str_of(text), &err), 0);
    cluster.map = map;
    cluster.load_moves = true;
    cluster.failover = false;
    is(answer_of(weir_render_cluster_map),
       HEAD "\"shard_count\":8,\"failover\":false,\"load_moves\":true,\"map\":\"weir-shard-map 1\\nepoch 7\\nleader "
            "co-1\\nshards 3\\nnodes 2\\nnode a 2 0-1\\nnode b 1 2\\n\"}");
    weir_shard_map_free(&map);
}
END_TEST

START_TEST(test_breakers)
{
    is(answer_of(weir_render_cluster_breakers),
       HEAD "\"breakers\":["
            "{\"provider\":\"openai\",\"endpoint\":\"http://10.0.0.1:9001\",\"state\":\"open\",\"shared\":true,"
            "\"generation\":4,\"state_seconds\":12.5,\"retry_in_seconds\":47.5,\"cooldown_seconds\":0.0,"
            "\"failures_in_a_row\":5,\"reason\":\"operator\"},"
            "{\"provider\":\"openai\",\"endpoint\":\"http://10.0.0.2:9001\",\"state\":\"closed\",\"shared\":false,"
            "\"generation\":1,\"state_seconds\":0.0,\"retry_in_seconds\":0.0,\"cooldown_seconds\":1.25,"
            "\"failures_in_a_row\":0,\"reason\":null}]}");
}
END_TEST

START_TEST(test_limits)
{
    is(answer_of(weir_render_cluster_limits),
       HEAD "\"limits\":[{\"provider\":\"openai\",\"requests_per_minute\":600,\"burst\":60,\"mode\":\"degraded\","
            "\"strict\":true,\"fail\":\"closed\",\"share_per_minute\":200,\"leased\":3,\"remaining\":17,\"waiting\":2},"
            "{\"provider\":\"new\",\"requests_per_minute\":60,\"burst\":6,\"mode\":\"leased\",\"strict\":false,"
            "\"fail\":\"open\",\"share_per_minute\":0,\"leased\":0,\"remaining\":null,\"waiting\":0}]}");
}
END_TEST

START_TEST(test_events)
{
    for (int i = 1; i <= 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"id\":%d,\"unix_ms\":%d,\"event\":\"x\"}", i, i);
        ck_assert_ptr_nonnull(weir_event_ring_add(&ring, weir_str_of(text)));
    }
    is(answer_of(render_events), HEAD "\"events\":[{\"id\":2,\"unix_ms\":2,\"event\":\"x\"},"
                                      "{\"id\":3,\"unix_ms\":3,\"event\":\"x\"}]}");
}
END_TEST

/* Without a cluster the same pages are there, and what there is to say of the node itself is said. */
START_TEST(test_alone)
{
    h.s.cluster = NULL;
    for (size_t p = 0; p < 2; p++)
        for (size_t i = 0; i < WEIR_PG_COUNT; i++)
            h.providers[p].gauges[i] = WEIR_GAUGE_NONE;
    h.providers[1].gauges[WEIR_PG_RATE_LIMIT] = 50;
    h.providers[1].gauges[WEIR_PG_RATE_TOKENS] = 4;
    h.providers[1].gauges[WEIR_PG_RATE_WAITING] = 1;
    h.openai[1].circuit = (struct weir_circuit_snapshot){
        .enabled = true, .phase = WEIR_BREAKER_HALF_OPEN, .reason = WEIR_BREAKER_BY_WAITED, .failures = 5};
    h.s.gauges[WEIR_NG_DRAINING] = 0;
    is(answer_of(weir_render_cluster_state), ALONE
       "\"state\":\"active\",\"member\":false,\"refused\":null,\"contact\":null,\"store_error\":null,\"since\":null,"
       "\"store\":null,"
       "\"epoch\":0,\"leader\":null,\"lead\":null,\"mode\":null,\"pool_sharding\":false,\"shard_count\":0,\"owned\":0,"
       "\"nodes\":{\"alive\":1,\"total\":1}}");
    h.s.gauges[WEIR_NG_DRAINING] = 1;
    is(answer_of(weir_render_cluster_nodes),
       ALONE "\"nodes\":[{\"id\":\"node-1\",\"state\":\"draining\",\"alive\":true,\"suspect\":false,\"self\":true,"
             "\"version\":\"1.2.3\"}]}");
    is(answer_of(weir_render_cluster_shards), ALONE "\"epoch\":0,\"leader\":null,\"shard_count\":0,\"owners\":[]}");
    is(answer_of(weir_render_cluster_map),
       ALONE "\"shard_count\":0,\"failover\":false,\"load_moves\":false,\"map\":null}");
    is(answer_of(weir_render_cluster_breakers),
       ALONE "\"breakers\":[{\"provider\":\"openai\",\"endpoint\":\"http://10.0.0.2:9001\",\"state\":\"half-open\","
             "\"shared\":false,\"generation\":null,\"state_seconds\":0.0,\"retry_in_seconds\":0.0,"
             "\"cooldown_seconds\":0.0,\"failures_in_a_row\":5,\"reason\":\"recovery_timeout\"}]}");
    is(answer_of(weir_render_cluster_limits),
       ALONE "\"limits\":[{\"provider\":\"anthropic\",\"requests_per_minute\":50,\"mode\":\"local\",\"remaining\":4,"
             "\"waiting\":1}]}");
    is(answer_of(render_events), ALONE "\"events\":[]}");
}
END_TEST

/* -- what the coordinator advises -- */

static void is_json(json_t *answer, const char *wanted)
{
    json_error_t error;
    json_t *w = json_loads(wanted, 0, &error);
    ck_assert_msg(w != NULL, "%s", error.text);
    char *text = json_dumps(answer, JSON_INDENT(1));
    ck_assert_msg(json_equal(answer, w), "%s", text);
    free(text);
    json_decref(w);
    json_decref(answer);
}

START_TEST(test_hints)
{
    cluster.advice.hints = WEIR_STR("{\"schema\":1,\"cluster\":{\"desired_nodes\":3},\"later\":[1,null]}");
    cluster.advice.age_ms = 2500;
    is_json(answer_of(weir_render_cluster_hints), "{\"schema\":1,\"cluster\":{\"desired_nodes\":3},\"later\":[1,null],"
                                                  "\"valid\":true,\"age_s\":2.5,\"node\":\"c\"}");
    cluster.advice.why = "they are old";
    is_json(answer_of(weir_render_cluster_hints), "{\"schema\":1,\"valid\":false,\"reason\":\"they are old\"}");
    h.s.cluster = NULL;
    is_json(answer_of(weir_render_cluster_hints),
            "{\"schema\":1,\"valid\":false,\"reason\":\"this node is in no cluster\"}");
}
END_TEST

START_TEST(test_analytics)
{
    static const char *const none[] = {"", "[1]", "{", "{}"};
    cluster.advice.analytics = WEIR_STR("{\"schema\":1,\"patterns\":[{}],\"performance\":[]}");
    is_json(answer_of(weir_render_cluster_analytics),
            "{\"schema\":1,\"patterns\":[{}],\"performance\":[],\"valid\":true,\"node\":\"c\"}");
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cluster.advice.analytics = weir_str_of(none[i]); /* what the store had is not looked at before */
        is_json(answer_of(weir_render_cluster_analytics),
                "{\"schema\":1,\"valid\":false,\"reason\":\"no analytics were published yet\",\"patterns\":[],"
                "\"performance\":[]}");
    }
    h.s.cluster = NULL;
    is_json(answer_of(weir_render_cluster_analytics),
            "{\"schema\":1,\"valid\":false,\"reason\":\"this node is in no cluster\",\"patterns\":[],"
            "\"performance\":[]}");
}
END_TEST

START_TEST(test_secrets_are_not_shown)
{
    for (size_t i = 0; i < PAGES; i++) {
        json_t *answer = answer_of(pages[i]);
        char *text = json_dumps(answer, 0);
        ck_assert_ptr_null(strstr(text, "not to be shown"));
        free(text);
        json_decref(answer);
    }
}
END_TEST

START_TEST(test_out_of_memory)
{
    for (size_t i = 0; i < PAGES; i++) {
        bool more = true;
        for (unsigned long n = 1; more; n = failmalloc_next(n)) {
            struct weir_textbuf out;
            failmalloc_begin(n);
            weir_textbuf_init(&out, WEIR_RENDER_BYTES_MAX);
            int rv = pages[i](&out, &h.s);
            weir_textbuf_close(&out);
            long left = failmalloc_end(&more);
            ck_assert_int_eq(left, 0);
            ck_assert_int_eq(rv, more ? WEIR_ENOMEM : 0);
        }
    }
}
END_TEST

START_TEST(test_operated_is_json_whatever_is_named)
{
    static const char url[] = "http://a\"b\\c\n:1";
    struct weir_textbuf out;
    weir_textbuf_init(&out, WEIR_RENDER_BYTES_MAX);
    ck_assert_int_eq(weir_render_operated(&out, "n1", "endpoint", "http://a:1", "open"), 0);
    ck_assert(weir_str_eq((struct weir_str){out.ptr, out.len},
                          WEIR_STR("{\"schema\":1,\"node\":\"n1\",\"endpoint\":\"http://a:1\",\"state\":\"open\"}\n")));
    weir_textbuf_clear(&out);
    ck_assert_int_eq(weir_render_operated(&out, "n\"1", "endpoint", url, "open"), 0);
    json_t *o = json_loadb(out.ptr, out.len, 0, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_str_eq(json_string_value(json_object_get(o, "endpoint")), url);
    ck_assert_str_eq(json_string_value(json_object_get(o, "node")), "n\"1");
    json_decref(o);
    weir_textbuf_close(&out);
}
END_TEST

CHECK_MAIN("render_cluster", setup, teardown, test_who_leads, test_state, test_nodes, test_shards, test_map,
           test_breakers, test_limits, test_events, test_alone, test_hints, test_analytics, test_secrets_are_not_shown,
           test_operated_is_json_whatever_is_named, test_out_of_memory)
