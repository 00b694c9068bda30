#include "check_main.h"
#include "helper/core_coord.h"

#define LEASE_MS 3000u

static struct coord_fixture f;

static void setup(void)
{
    coord_setup(&f);
}

static void teardown(void)
{
    coord_teardown(&f);
}

static void pass_ms(uint64_t ms)
{
    f.now_us += ms * 1000;
}

static enum weir_coord_word lead(const char *id, uint64_t token)
{
    struct weir_coord_request q = coord_lead(id, token, LEASE_MS);
    return coord_do(&f, &q);
}

static enum weir_coord_word publish(const char *id, uint64_t token, uint64_t epoch, const char *map)
{
    struct weir_coord_request q = coord_publish(id, token, epoch, map);
    return coord_do(&f, &q);
}

START_TEST(test_one_leads_until_its_lease_is_over)
{
    ck_assert_int_eq(lead("a", 0), WEIR_COORD_OK);
    uint64_t token = f.reply.lead.led.token;
    ck_assert_uint_eq(f.reply.lead.led.left_ms, LEASE_MS);
    pass_ms(LEASE_MS - 1);
    ck_assert_int_eq(lead("b", 0), WEIR_COORD_STALE);
    ck_assert_str_eq(f.reply.lead.led.leader, "a");
    ck_assert_uint_eq(f.reply.lead.led.left_ms, 1);
    ck_assert_uint_eq(f.reply.lead.led.token, token);
    ck_assert_int_eq(lead("a", token), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.lead.led.token, token);
    pass_ms(LEASE_MS);
    ck_assert_int_eq(lead("b", 0), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.lead.led.token, token + 1);
    ck_assert_int_eq(lead("a", token), WEIR_COORD_STALE);
}
END_TEST

START_TEST(test_a_restarted_leader_waits_for_its_own_lease)
{
    lead("a", 0);
    ck_assert_int_eq(lead("a", 0), WEIR_COORD_STALE);
    pass_ms(LEASE_MS);
    ck_assert_int_eq(lead("a", 0), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.lead.led.token, 2);
}
END_TEST

START_TEST(test_resigning_frees_the_lead_and_spends_the_token)
{
    lead("a", 0);
    struct weir_coord_request q = coord_lead("b", 1, LEASE_MS);
    q.op = WEIR_COORD_RESIGN;
    coord_do(&f, &q);
    ck_assert_int_eq(lead("b", 0), WEIR_COORD_STALE);
    q.resign.id = "a";
    coord_do(&f, &q);
    ck_assert_int_eq(publish("a", 1, 1, "m"), WEIR_COORD_STALE);
    ck_assert_int_eq(lead("b", 0), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.lead.led.token, 2);
}
END_TEST

START_TEST(test_a_clock_set_back_makes_no_lease_longer)
{
    lead("a", 0);
    f.now_us -= UINT64_C(3600) * 1000000;
    ck_assert_int_eq(lead("b", 0), WEIR_COORD_STALE);
    ck_assert_uint_eq(f.reply.lead.led.left_ms, LEASE_MS);
    pass_ms(LEASE_MS);
    ck_assert_int_eq(lead("b", 0), WEIR_COORD_OK);
}
END_TEST

START_TEST(test_only_the_leader_publishes)
{
    ck_assert_int_eq(publish("a", 0, 1, "map"), WEIR_COORD_STALE);
    lead("a", 0);
    ck_assert_int_eq(publish("a", 2, 1, "map"), WEIR_COORD_STALE);
    ck_assert_int_eq(publish("b", 1, 1, "map"), WEIR_COORD_STALE);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_MAP], 0);
    ck_assert_int_eq(publish("a", 1, 1, "map"), WEIR_COORD_OK);
    ck_assert_uint_eq(f.reply.lead.map_epoch, 1);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_MAP], 1);
    pass_ms(LEASE_MS);
    ck_assert_int_eq(publish("a", 1, 2, "late"), WEIR_COORD_STALE);
    coord_ask(&f, WEIR_COORD_MAP);
    ck_assert_uint_eq(f.reply.map.epoch, 1);
    ck_assert_str_eq(f.reply.map.leader, "a");
    ck_assert(weir_str_eq(f.reply.map.map, WEIR_STR("map")));
}
END_TEST

START_TEST(test_maps_are_ordered_by_epoch_then_leader)
{
    lead("b", 0);
    ck_assert_int_eq(publish("b", 1, 0, "none"), WEIR_COORD_STALE);
    ck_assert_int_eq(publish("b", 1, 5, "one"), WEIR_COORD_OK);
    ck_assert_int_eq(publish("b", 1, 5, "two"), WEIR_COORD_STALE);
    ck_assert_int_eq(publish("b", 1, 4, "two"), WEIR_COORD_STALE);
    pass_ms(LEASE_MS);
    lead("a", 0);
    ck_assert_int_eq(publish("a", 2, 5, "two"), WEIR_COORD_STALE);
    ck_assert_uint_eq(f.reply.lead.map_epoch, 5);
    pass_ms(LEASE_MS);
    lead("c", 0);
    ck_assert_int_eq(publish("c", 3, 5, "two"), WEIR_COORD_OK);
    coord_ask(&f, WEIR_COORD_MAP);
    ck_assert_str_eq(f.reply.map.leader, "c");
}
END_TEST

START_TEST(test_who_leads_is_told_to_those_who_look)
{
    struct weir_coord_member m = coord_member("n", 1);
    struct weir_coord_request q = coord_beat(&m);
    coord_do(&f, &q);
    ck_assert_str_eq(f.reply.beat.led.leader, "");
    ck_assert_uint_eq(f.reply.beat.led.token, 0);
    lead("a", 0);
    publish("a", 1, 1, "map");
    pass_ms(1);
    coord_do(&f, &q);
    ck_assert_str_eq(f.reply.beat.led.leader, "a");
    ck_assert_uint_eq(f.reply.beat.led.left_ms, LEASE_MS - 1);
    pass_ms(LEASE_MS);
    coord_ask(&f, WEIR_COORD_MAP);
    ck_assert_str_eq(f.reply.map.leader, "a"); /* its map holds on */
    ck_assert_str_eq(f.reply.map.led.leader, "");
    ck_assert_uint_eq(f.reply.map.led.left_ms, 0);
    ck_assert_uint_eq(f.reply.map.led.token, 1);
    lead("b", 0);
    coord_ask(&f, WEIR_COORD_MAP);
    ck_assert_str_eq(f.reply.map.led.leader, "b");
    ck_assert_uint_eq(f.reply.map.led.token, 2);
}
END_TEST

START_TEST(test_the_highest_epoch_seen_is_told)
{
    struct weir_coord_member m = coord_member("n", 1);
    struct weir_coord_request q = coord_beat(&m);
    m.epoch_seen = 41;
    coord_do(&f, &q);
    lead("a", 0);
    ck_assert_uint_eq(f.reply.lead.epoch_seen, 41);
    ck_assert_uint_eq(f.reply.lead.map_epoch, 0);
    publish("a", 1, 50, "m");
    lead("a", 1);
    ck_assert_uint_eq(f.reply.lead.epoch_seen, 50);
    coord_do(&f, &q);
    ck_assert_uint_eq(f.reply.beat.map_epoch, 50);
    ck_assert_str_eq(f.reply.beat.map_leader, "a");
}
END_TEST

START_TEST(test_events_are_numbered_and_the_last_are_kept)
{
    struct weir_coord_request q = {.op = WEIR_COORD_EVENT, .event = WEIR_STR("{\"kind\":\"x\"}")};
    for (unsigned i = 0; i < WEIR_COORD_EVENTS_KEPT + 5; i++)
        ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_OK);
    ck_assert(weir_str_eq(f.last.event, WEIR_STR("{\"id\":1005,\"unix_ms\":1700000000000,\"kind\":\"x\"}")));
    struct weir_coord_request last = {.op = WEIR_COORD_EVENTS, .events_count = 2};
    coord_do(&f, &last);
    ck_assert_uint_eq(f.reply.events.count, 2);
    ck_assert(weir_str_starts(f.reply.events.at[0], WEIR_STR("{\"id\":1004,")));
    last.events_count = WEIR_COORD_EVENTS_KEPT + 1;
    coord_do(&f, &last);
    ck_assert_uint_eq(f.reply.events.count, WEIR_COORD_EVENTS_KEPT);
    ck_assert(weir_str_starts(f.reply.events.at[0], WEIR_STR("{\"id\":6,")));

    q.event = WEIR_STR("{}");
    coord_do(&f, &q);
    ck_assert(weir_str_eq(f.last.event, WEIR_STR("{\"id\":1006,\"unix_ms\":1700000000000}")));
    q.event = WEIR_STR("[]");
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_REFUSED);
    char text[WEIR_COORD_EVENT_MAX + 1];
    memset(text, ' ', sizeof text);
    text[0] = '{';
    text[WEIR_COORD_EVENT_MAX - 1] = text[WEIR_COORD_EVENT_MAX] = '}';
    q.event = (struct weir_str){text, WEIR_COORD_EVENT_MAX};
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_OK);
    q.event.len++;
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_REFUSED);
}
END_TEST

START_TEST(test_results_of_checks_are_pushed)
{
    struct weir_coord_request q = {.op = WEIR_COORD_CHECKED,
                                   .checked = {.endpoint = "http://e:80", .node = "a", .why = "status 500"}};
    ck_assert_int_eq(coord_do(&f, &q), WEIR_COORD_OK);
    ck_assert_uint_eq(f.pushes[WEIR_COORD_PUSH_CHECKED], 1);
    ck_assert_str_eq(f.last.checked.why, "status 500");
}
END_TEST

CHECK_MAIN("coord_lead", setup, teardown, test_one_leads_until_its_lease_is_over,
           test_a_restarted_leader_waits_for_its_own_lease, test_resigning_frees_the_lead_and_spends_the_token,
           test_a_clock_set_back_makes_no_lease_longer, test_only_the_leader_publishes,
           test_maps_are_ordered_by_epoch_then_leader, test_the_highest_epoch_seen_is_told,
           test_who_leads_is_told_to_those_who_look, test_events_are_numbered_and_the_last_are_kept,
           test_results_of_checks_are_pushed)
