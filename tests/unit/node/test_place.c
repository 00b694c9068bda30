/* Where requests of a cluster go: to the owner that may be asked, to a less loaded peer, or nowhere else. */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "node/place.h"

#define NOW UINT64_C(100000)

static struct weir_cluster_view view;
static struct weir_config_distributed config;
static struct weir_peer peers[4];
static struct weir_peer_state states[4];
static struct weir_view_endpoint endpoints[4];
static struct weir_endpoint runtimes[4];
static const uint16_t owner[] = {0, 1, 2, 3, 9};

static void setup(void)
{
    memset(states, 0, sizeof states);
    memset(runtimes, 0, sizeof runtimes);
    config = (struct weir_config_distributed){.peer_ack_timeout_ms = 100, .failover_timeout_ms = 10000};
    for (uint32_t i = 0; i < 4; i++) {
        endpoints[i] = (struct weir_view_endpoint){.rt = &runtimes[i]};
        peers[i] = (struct weir_peer){.index = i, .link.endpoints = &endpoints[i]};
        peers[i].rt = i != 1 ? &states[i] : NULL;
        peers[i].may_take = i != 1;
    }
    view = (struct weir_cluster_view){.config = &config,
                                      .peers = peers,
                                      .peer_count = 4,
                                      .self = 1,
                                      .taking_count = 3,
                                      .shard_count = 5,
                                      .owner = owner,
                                      .secret = WEIR_STR("secret")};
}

static void teardown(void)
{
}

START_TEST(test_a_shard_is_its_owners)
{
    ck_assert_ptr_eq(weir_place_owner(&view, 0, NOW), &peers[0]);
    ck_assert_ptr_null(weir_place_owner(&view, 1, NOW)); /* this node */
    ck_assert_ptr_eq(weir_place_owner(&view, 3, NOW), &peers[3]);
    ck_assert_ptr_null(weir_place_owner(&view, 4, NOW)); /* an owner that there is not */
    ck_assert_ptr_null(weir_place_owner(&view, 5, NOW));
}
END_TEST

START_TEST(test_an_owner_that_may_not_be_asked_is_served_for)
{
    peers[0].may_take = false;
    ck_assert_ptr_null(weir_place_owner(&view, 0, NOW));
    weir_peer_suspect(&states[2], NOW, 1000);
    ck_assert_ptr_null(weir_place_owner(&view, 2, NOW + 999));
    ck_assert_ptr_eq(weir_place_owner(&view, 2, NOW + 1000), &peers[2]); /* one tries it */
    ck_assert_ptr_null(weir_place_owner(&view, 2, NOW + 1000));
    view.secret.len = 0;
    ck_assert_ptr_null(weir_place_owner(&view, 3, NOW));
}
END_TEST

START_TEST(test_no_hop_within_the_bound)
{
    for (uint32_t i = 0; i < 4; i++)
        weir_peer_told(&states[i], &runtimes[i], NOW, 8);
    ck_assert_ptr_null(weir_place_less_loaded(&view, 1, NOW, 0));
    ck_assert_ptr_null(weir_place_less_loaded(&view, 10, NOW, 0)); /* (24 + 10) / 4 x 1.25, rounded up, is 11 */
    ck_assert_ptr_nonnull(weir_place_less_loaded(&view, 13, NOW, 0));
}
END_TEST

START_TEST(test_one_request_alone_stays)
{
    ck_assert_ptr_null(weir_place_less_loaded(&view, 1, NOW, 0));
    ck_assert_ptr_nonnull(weir_place_less_loaded(&view, 2, NOW, 0));
}
END_TEST

START_TEST(test_the_less_loaded_of_two)
{
    unsigned times[4] = {0};
    weir_peer_told(&states[0], &runtimes[0], NOW, 9);
    weir_peer_told(&states[2], &runtimes[2], NOW, 5);
    weir_peer_told(&states[3], &runtimes[3], NOW, 1);
    for (uint64_t i = 0; i < 6000; i++) {
        uint64_t random = (i % 3) | (i / 3 % 2) << 32;
        const struct weir_peer *p = weir_place_less_loaded(&view, 100, NOW, random);
        ck_assert_ptr_nonnull(p);
        times[p->index]++;
    }
    ck_assert_uint_eq(times[0], 0); /* the most loaded never wins */
    ck_assert_uint_eq(times[1], 0);
    ck_assert_uint_eq(times[2], 2000);
    ck_assert_uint_eq(times[3], 4000);
}
END_TEST

START_TEST(test_nobody_with_more_to_do_is_burdened)
{
    peers[2].may_take = peers[3].may_take = false;
    view.taking_count = 1;
    weir_peer_told(&states[0], &runtimes[0], NOW, 2);
    ck_assert_ptr_null(weir_place_less_loaded(&view, 3, NOW, 7)); /* they would only change places */
    ck_assert_ptr_eq(weir_place_less_loaded(&view, 6, NOW, 7), &peers[0]);
    view.taking_count = 0;
    peers[0].may_take = false;
    ck_assert_ptr_null(weir_place_less_loaded(&view, 1000, NOW, 7));
}
END_TEST

START_TEST(test_a_skewed_load_is_evened)
{
    /* All of 400 requests land on one node of four and stay. */
    uint32_t own = 0, max = 0;
    uint64_t random = 88172645463325252u;
    for (unsigned n = 0; n < 400; n++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        const struct weir_peer *p = weir_place_less_loaded(&view, own + 1, NOW, random);
        if (p != NULL)
            atomic_fetch_add(&runtimes[p->index].in_flight, 1);
        else
            own++;
    }
    max = own;
    for (uint32_t i = 0; i < 4; i++)
        if (i != 1 && runtimes[i].in_flight > max)
            max = runtimes[i].in_flight;
    ck_assert_uint_le(max, 125);
}
END_TEST

CHECK_MAIN("place", setup, teardown, test_a_shard_is_its_owners, test_an_owner_that_may_not_be_asked_is_served_for,
           test_no_hop_within_the_bound, test_one_request_alone_stays, test_the_less_loaded_of_two,
           test_nobody_with_more_to_do_is_burdened, test_a_skewed_load_is_evened)
