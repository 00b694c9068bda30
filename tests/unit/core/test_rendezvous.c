#include <math.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/rendezvous.h"
#include "core/rng.h"

#define COUNT 40

/* For what is asked very often: each ck_assert writes to a file. */
#define MUST(what)                     \
    do {                               \
        if (!(what))                   \
            ck_abort_msg("%s", #what); \
    } while (0)

static struct weir_rng rng;

static void setup(void)
{
    rng.state = 1;
}

static uint64_t chance(void)
{
    return weir_rng_next(&rng);
}

/* A number of any size: of so many leading zeros or ones. */
static uint64_t any_size(void)
{
    uint64_t v = chance() >> chance() % 64;
    return chance() % 2 == 0 ? v : ~v;
}

START_TEST(test_logarithms)
{
    double unit = ldexp(1, -WEIR_RENDEZVOUS_LOG_BITS);
    ck_assert_uint_eq(weir_rendezvous_log(UINT64_MAX), 0);
    ck_assert_uint_eq(weir_rendezvous_log(UINT64_C(0xb644e26d8d675460)), UINT64_C(538850623488)); /* docs/sharding.md */
    ck_assert_uint_eq(weir_rendezvous_log(0), UINT64_C(64) << WEIR_RENDEZVOUS_LOG_BITS);
    ck_assert_uint_eq(weir_rendezvous_log(UINT64_MAX / 2), UINT64_C(1) << WEIR_RENDEZVOUS_LOG_BITS);
    for (int i = 0; i < 100000; i++) {
        uint64_t h = any_size();
        double exact = h < UINT64_MAX / 2 ? 64 - log2((double)h + 1) : -log1p(-ldexp((double)~h, -64)) / log(2);
        double ours = (double)weir_rendezvous_log(h) * unit;
        MUST(ours > exact * (1 - 1e-9) - unit);
        MUST(ours < exact * (1 + 1e-4) + unit);
    }
}
END_TEST

START_TEST(test_a_higher_hash_never_has_a_higher_logarithm)
{
    for (int i = 0; i < 100000; i++) {
        uint64_t h = any_size(), step = any_size() >> chance() % 64;
        if (h > UINT64_MAX - step)
            continue;
        MUST(weir_rendezvous_log(h) >= weir_rendezvous_log(h + step));
    }
}
END_TEST

static uint32_t fill(struct weir_rendezvous_candidate *c, uint32_t weight_max)
{
    uint32_t count = 1 + (uint32_t)(chance() % COUNT);
    for (uint32_t i = 0; i < count; i++) {
        c[i] = (struct weir_rendezvous_candidate){chance(), 1 + (uint32_t)(chance() % weight_max), i};
        if (i > 0 && chance() % 8 == 0)
            c[i].hash = c[i - 1].hash; /* a tie when the weights are one */
    }
    return count;
}

static uint32_t winner(uint32_t shard, const struct weir_rendezvous_candidate *c, uint32_t count)
{
    struct weir_rendezvous r;
    weir_rendezvous_init(&r, shard);
    for (uint32_t i = 0; i < count; i++)
        weir_rendezvous_offer(&r, c[i].hash, c[i].weight, c[i].number);
    return r.best;
}

/* One by one, at once, in any order, or sorted: the same winner. */
START_TEST(test_all_ways_agree)
{
    for (int i = 0; i < 20000; i++) {
        struct weir_rendezvous_candidate c[COUNT], swap;
        struct weir_rendezvous_place places[COUNT];
        uint32_t count = fill(c, i % 2 == 0 ? 1 : 1000), shard = (uint32_t)(chance() % 65536);
        for (uint32_t k = 0; k < count; k++)
            places[k] = weir_rendezvous_place_of(shard, c[k].hash, c[k].weight, c[k].number);
        weir_rendezvous_sort(places, count);
        for (int turn = 0; turn < 3; turn++) {
            MUST(winner(shard, c, count) == places[0].number);
            bool alike = weir_rendezvous_alike(c, count);
            MUST(weir_rendezvous_pick(shard, c, count, alike) == places[0].number);
            uint32_t x = (uint32_t)(chance() % count), y = (uint32_t)(chance() % count);
            swap = c[x];
            c[x] = c[y];
            c[y] = swap;
        }
    }
}
END_TEST

START_TEST(test_nobody_and_weights_of_zero)
{
    struct weir_rendezvous_candidate c[] = {{1, 0, 0}, {2, 3, 1}, {3, 0, 2}};
    ck_assert_uint_eq(winner(5, c, 0), WEIR_RENDEZVOUS_NOBODY);
    ck_assert_uint_eq(winner(5, c, 1), WEIR_RENDEZVOUS_NOBODY);
    ck_assert_uint_eq(weir_rendezvous_pick(5, c, 1, weir_rendezvous_alike(c, 1)), WEIR_RENDEZVOUS_NOBODY);
    ck_assert_uint_eq(winner(5, c, 3), 1);
    struct weir_rendezvous_place places[3];
    for (uint32_t i = 0; i < 3; i++)
        places[i] = weir_rendezvous_place_of(5, c[i].hash, c[i].weight, i);
    weir_rendezvous_sort(places, 3);
    ck_assert_uint_eq(places[0].number, 1);
}
END_TEST

/* 1, 2, 5 and 1000 of 1008, within five deviations. */
START_TEST(test_shares_are_the_weights)
{
    static const uint32_t weights[] = {1, 2, 5, 1000};
    const uint32_t shards = 1000000;
    uint32_t won[4] = {0};
    struct weir_rendezvous_candidate c[4];
    for (uint32_t i = 0; i < 4; i++)
        c[i] = (struct weir_rendezvous_candidate){chance(), weights[i], i};
    for (uint32_t s = 0; s < shards; s++)
        won[weir_rendezvous_pick(s, c, 4, false)]++;
    for (uint32_t i = 0; i < 4; i++) {
        double p = weights[i] / 1008.0, mean = p * shards;
        ck_assert(fabs(won[i] - mean) < 5 * sqrt(mean * (1 - p)));
    }
}
END_TEST

/* Who leaves gives its shards to the others and moves none of theirs. */
START_TEST(test_only_the_shards_of_who_leaves_move)
{
    struct weir_rendezvous_candidate c[COUNT];
    for (int i = 0; i < 200; i++) {
        uint32_t count = fill(c, 10);
        for (uint32_t s = 0; s < 200 && count > 1; s++) {
            uint32_t before = winner(s, c, count), after = winner(s, c, count - 1);
            MUST(before == count - 1 || before == after);
        }
    }
}
END_TEST

CHECK_MAIN("rendezvous", setup, NULL, test_logarithms, test_a_higher_hash_never_has_a_higher_logarithm,
           test_all_ways_agree, test_nobody_and_weights_of_zero, test_shares_are_the_weights,
           test_only_the_shards_of_who_leaves_move)
