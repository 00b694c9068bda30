#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "core/rng.h"
#include "core/shard_map.h"
#include "helper/core_failmalloc.h"

static struct weir_rng rng;
static struct weir_textbuf text;
static struct weir_err err;

static void setup(void)
{
    rng.state = 1;
    weir_textbuf_init(&text, WEIR_SHARD_MAP_TEXT_MAX);
}

static void teardown(void)
{
    weir_textbuf_close(&text);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(weir_rng_next(&rng) % n);
}

/* Nodes node-0000, node-0001 ...; owners by chance, in runs. */
static struct weir_shard_map *make(uint32_t shards, uint32_t nodes, uint32_t weight_max)
{
    struct weir_shard_map *m = weir_shard_map_new(shards, nodes);
    ck_assert_ptr_nonnull(m);
    for (uint32_t i = 0; i < nodes; i++) {
        char id[16];
        snprintf(id, sizeof id, "node-%04u", i);
        weir_shard_map_node_set(m, i, weir_str_of(id), 1 + below(weight_max));
    }
    for (uint32_t s = 0; s < shards; s++)
        m->owner[s] = (uint16_t)(s > 0 && below(3) > 0 ? m->owner[s - 1] : below(nodes));
    weir_shard_map_count(m);
    m->epoch = weir_rng_next(&rng) >> below(64);
    if (below(4) > 0)
        snprintf(m->leader, sizeof m->leader, "coordinator-%u", below(10));
    return m;
}

static struct weir_str printed(const struct weir_shard_map *m)
{
    weir_textbuf_close(&text);
    weir_shard_map_print(&text, m);
    ck_assert(!text.failed);
    return (struct weir_str){text.ptr, text.len};
}

static struct weir_shard_map *parsed(struct weir_str s)
{
    struct weir_shard_map *m;
    ck_assert_msg(weir_shard_map_parse(&m, s, &err) == WEIR_OK, "%s", err.msg);
    return m;
}

#define HEAD "weir-shard-map 1\nepoch 12\nleader coordinator-a\nshards 64\n"
#define GOOD HEAD "nodes 3\nnode node-a 1 0-15,32,40-47\nnode node-b 2 16-31,33-39,48-63\nnode node-c 1 -\n"

START_TEST(test_the_text_of_the_header)
{
    struct weir_shard_map *m = parsed(WEIR_STR(GOOD));
    ck_assert_uint_eq(m->epoch, 12);
    ck_assert_str_eq(m->leader, "coordinator-a");
    ck_assert_uint_eq(m->shard_count, 64);
    ck_assert_uint_eq(m->node_count, 3);
    ck_assert_str_eq(m->nodes[1].id, "node-b");
    ck_assert_uint_eq(m->nodes[1].weight, 2);
    ck_assert_uint_eq(m->nodes[0].shard_count, 25);
    ck_assert_uint_eq(m->nodes[2].shard_count, 0);
    ck_assert_uint_eq(m->nodes[0].hash, UINT64_C(0x05378e2c8885d70b));
    ck_assert_uint_eq(m->owner[15], 0);
    ck_assert_uint_eq(m->owner[16], 1);
    ck_assert_uint_eq(m->owner[32], 0);
    ck_assert_uint_eq(m->owner[63], 1);
    ck_assert(weir_str_eq(printed(m), WEIR_STR(GOOD)));
    weir_shard_map_free(&m);
}
END_TEST

START_TEST(test_any_map_is_read_as_it_was_written)
{
    for (int i = 0; i < 300; i++) {
        struct weir_shard_map *m = make(1 + below(i < 290 ? 200 : WEIR_SHARDS_MAX), 1 + below(40), 1000);
        struct weir_shard_map *back = parsed(printed(m)), *copy = weir_shard_map_copy(m);
        ck_assert(weir_shard_map_same(m, back) && weir_shard_map_same(m, copy));
        ck_assert(!weir_shard_map_newer(m, back) && !weir_shard_map_newer(copy, m));
        ck_assert_uint_eq(back->epoch, m->epoch);
        ck_assert_str_eq(back->leader, m->leader);
        ck_assert_int_eq(memcmp(back->nodes, m->nodes, m->node_count * sizeof *m->nodes), 0);
        weir_shard_map_free(&m);
        weir_shard_map_free(&back);
        weir_shard_map_free(&copy);
    }
}
END_TEST

/* No two shards in a row with one owner, ids and weights of full length. */
START_TEST(test_the_longest_text_fits)
{
    struct weir_shard_map *m = weir_shard_map_new(WEIR_SHARDS_MAX, WEIR_CLUSTER_NODES_MAX);
    for (uint32_t i = 0; i < WEIR_CLUSTER_NODES_MAX; i++) {
        char id[WEIR_NODE_ID_MAX + 1];
        snprintf(id, sizeof id, "%064u", i);
        weir_shard_map_node_set(m, i, weir_str_of(id), 1000);
    }
    for (uint32_t s = 0; s < WEIR_SHARDS_MAX; s++)
        m->owner[s] = (uint16_t)(s % WEIR_CLUSTER_NODES_MAX);
    weir_shard_map_count(m);
    m->epoch = UINT64_MAX;
    struct weir_shard_map *back = parsed(printed(m));
    ck_assert(weir_shard_map_same(m, back));
    weir_shard_map_free(&m);
    weir_shard_map_free(&back);
}
END_TEST

START_TEST(test_what_is_refused)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "line 0: not a shard map of version 1"},
        {"weir-shard-map 2\n", "line 1: not a shard map of version 1"},
        {"weir-shard-map 1", "line 0: not a shard map of version 1"},
        {"weir-shard-map 1\nepoch 012\n", "line 2: then not an epoch"},
        {"weir-shard-map 1\nepoch 18446744073709551616\n", "line 2: then not an epoch"},
        {"weir-shard-map 1\nepoch -1\n", "line 2: then not an epoch"},
        {"weir-shard-map 1\nepoch 1\nleader a b\n", "line 3: not a leader's id"},
        {"weir-shard-map 1\nepoch 1\nleader \n", "line 3: not a leader's id"},
        {"weir-shard-map 1\nepoch 1\nshards 0\n", "line 3: then not a count of shards"},
        {"weir-shard-map 1\nepoch 1\nshards 65537\n", "line 3: then not a count of shards"},
        {"weir-shard-map 1\nepoch 1\nshards 4 \n", "line 3: then not a count of shards"},
        {HEAD "nodes 0\n", "line 5: then not a count of nodes"},
        {HEAD "nodes 1025\n", "line 5: then not a count of nodes"},
        {HEAD "nodes 1\n", "line 5: then not a node's line"},
        {HEAD "nodes 1\nnode a 1 0-63", "line 5: then not a node's line"},
        {HEAD "nodes 1\nnode a/b 1 0-63\n", "line 6: not a node's id"},
        {HEAD "nodes 1\nnode \n", "line 6: not a node's id"},
        {HEAD "nodes 1\nnode a\n", "line 6: not a node's id"},
        {HEAD "nodes 1\nnode a \n", "line 6: not a weight"},
        {HEAD "nodes 1\nnode a 0 0-63\n", "line 6: not a weight"},
        {HEAD "nodes 1\nnode a 1001 0-63\n", "line 6: not a weight"},
        {HEAD "nodes 1\nnode a 1\n", "line 6: not a weight"},
        {HEAD "nodes 1\nnode a 1 \n", "line 6: not a list of shards in ascending order"},
        {HEAD "nodes 1\nnode a 1 0-64\n", "line 6: not a range of shards"},
        {HEAD "nodes 1\nnode a 1 0-0,2-63\n", "line 6: not a range of shards"},
        {HEAD "nodes 1\nnode a 1 5-4\n", "line 6: not a range of shards"},
        {HEAD "nodes 1\nnode a 1 0-\n", "line 6: not a range of shards"},
        {HEAD "nodes 1\nnode a 1 0-10,11-63\n", "line 6: not a list of shards in ascending order"},
        {HEAD "nodes 1\nnode a 1 20-63,0-10\n", "line 6: not a list of shards in ascending order"},
        {HEAD "nodes 1\nnode a 1 0-61,63x\n", "line 6: not a list of shards"},
        {HEAD "nodes 1\nnode a 1 0-61,63,\n", "line 6: not a list of shards in ascending order"},
        {HEAD "nodes 1\nnode a 1 0-62\n", "line 6: not every shard has an owner"},
        {HEAD "nodes 1\nnode a 1 0-63\nnode b 1 -\n", "line 6: then more than the nodes"},
        {HEAD "nodes 1\nnode a 1 0-63\n\n", "line 6: then more than the nodes"},
        {HEAD "nodes 2\nnode b 1 0-63\nnode a 1 -\n", "line 7: nodes are not in ascending order"},
        {HEAD "nodes 2\nnode a 1 0-63\nnode a 1 -\n", "line 7: nodes are not in ascending order"},
        {HEAD "nodes 2\nnode a 1 0-63\nnode b 1 63\n", "line 7: a shard that has an owner already"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct weir_shard_map *m;
        ck_assert_int_eq(weir_shard_map_parse(&m, weir_str_of(bad[i].text), &err), WEIR_EPROTO);
        ck_assert_ptr_null(m);
        ck_assert_str_eq(err.msg + strlen("shard map, "), bad[i].why);
    }
    struct weir_shard_map *m;
    ck_assert_int_eq(weir_shard_map_parse(&m, (struct weir_str){GOOD, WEIR_SHARD_MAP_TEXT_MAX + 1}, &err), WEIR_EPROTO);
}
END_TEST

START_TEST(test_without_memory)
{
    struct weir_shard_map *m = make(64, 3, 1);
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        struct weir_shard_map *back = NULL, *copy;
        failmalloc_begin(n);
        int code = weir_shard_map_parse(&back, WEIR_STR(GOOD), &err);
        copy = weir_shard_map_copy(m);
        weir_shard_map_print(&text, m);
        bool complete = code == WEIR_OK && copy != NULL && !text.failed;
        weir_shard_map_free(&back);
        weir_shard_map_free(&copy);
        weir_textbuf_close(&text);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert_int_eq(complete, !more);
        ck_assert(code == WEIR_OK || code == WEIR_ENOMEM);
    }
    weir_shard_map_free(&m);
}
END_TEST

START_TEST(test_order_of_maps)
{
    struct weir_shard_map *a = make(8, 2, 1), *b = weir_shard_map_copy(a);
    snprintf(a->leader, sizeof a->leader, "a");
    snprintf(b->leader, sizeof b->leader, "b");
    a->epoch = b->epoch = 5;
    ck_assert(weir_shard_map_newer(b, a) && !weir_shard_map_newer(a, b));
    a->epoch = 6;
    ck_assert(weir_shard_map_newer(a, b) && !weir_shard_map_newer(b, a));
    ck_assert(!weir_shard_map_newer(a, a));
    ck_assert(weir_shard_map_newer(a, NULL) && !weir_shard_map_newer(NULL, a) && !weir_shard_map_newer(NULL, NULL));
    ck_assert(weir_shard_map_same(a, b));
    a->owner[3] ^= 1;
    ck_assert(!weir_shard_map_same(a, b));
    a->owner[3] ^= 1;
    a->nodes[1].weight++;
    ck_assert(!weir_shard_map_same(a, b));
    weir_shard_map_free(&a);
    weir_shard_map_free(&b);
}
END_TEST

START_TEST(test_find)
{
    struct weir_shard_map *m = make(8, 100, 1);
    for (uint16_t i = 0; i < 100; i++)
        ck_assert_uint_eq(weir_shard_map_find(m, weir_str_of(m->nodes[i].id)), i);
    static const char *const strangers[] = {"", "node-0100", "node-00", "node-00000", "aaa", "zzz", "node 1"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        ck_assert_uint_eq(weir_shard_map_find(m, weir_str_of(strangers[i])), WEIR_NODE_NOBODY);
    ck_assert_uint_eq(weir_shard_map_find(m, (struct weir_str){m->nodes[3].id, 1000}), WEIR_NODE_NOBODY);
    weir_shard_map_free(&m);
}
END_TEST

/* Each successor is whoever serves when all before it are dead, and the table of all shards says the same. */
START_TEST(test_successors_are_effective_owners)
{
    for (int i = 0; i < 300; i++) {
        uint32_t nodes = 1 + below(12);
        struct weir_shard_map *m = make(16, nodes, i % 2 == 0 ? 1 : 1000);
        struct weir_node_set alive = {0};
        uint16_t order[16], table[16];
        uint32_t shard = below(16), count = weir_shard_successors(m, shard, order, 16);
        ck_assert_uint_eq(count, nodes);
        ck_assert_uint_eq(order[0], m->owner[shard]);
        for (uint32_t n = 0; n < nodes; n++)
            weir_node_set_add(&alive, n);
        for (uint32_t k = 0; k < count; k++) {
            ck_assert_uint_eq(weir_shard_effective_owner(m, shard, &alive), order[k]);
            weir_shard_owners(m, &alive, table);
            for (uint32_t s = 0; s < 16; s++)
                ck_assert_uint_eq(table[s], weir_shard_effective_owner(m, s, &alive));
            weir_node_set_drop(&alive, order[k]);
        }
        ck_assert_uint_eq(weir_shard_effective_owner(m, shard, &alive), WEIR_NODE_NOBODY);
        weir_shard_owners(m, &alive, table);
        ck_assert_uint_eq(table[shard], WEIR_NODE_NOBODY);
        ck_assert_uint_eq(weir_shard_successors(m, shard, table, 0), 0);
        ck_assert_uint_eq(weir_shard_successors(m, shard, table, 2), nodes < 2 ? nodes : 2);
        weir_shard_map_free(&m);
    }
}
END_TEST

/* A dead node's shards are spread by the weights of the others, not given to one neighbour. */
START_TEST(test_orphans_are_spread)
{
    struct weir_shard_map *m = make(16384, 9, 1);
    uint32_t orphans = m->nodes[4].shard_count, got[9] = {0};
    struct weir_node_set alive = {0};
    uint16_t *table = malloc(16384 * sizeof *table);
    for (uint32_t n = 0; n < 9; n++)
        if (n != 4)
            weir_node_set_add(&alive, n);
    weir_shard_owners(m, &alive, table);
    for (uint32_t s = 0; s < 16384; s++)
        if (table[s] != m->owner[s])
            got[table[s]]++;
    for (uint32_t n = 0; n < 9; n++)
        ck_assert(n == 4 ? got[n] == 0 : got[n] > orphans / 8 * 2 / 3 && got[n] < orphans / 8 * 3 / 2);
    free(table);
    weir_shard_map_free(&m);
}
END_TEST

START_TEST(test_rank_does_not_depend_on_the_order_of_endpoints)
{
    for (int i = 0; i < 1000; i++) {
        uint64_t hashes[WEIR_SHARD_RANK_MAX], turned[WEIR_SHARD_RANK_MAX];
        uint8_t out[WEIR_SHARD_RANK_MAX], out_turned[WEIR_SHARD_RANK_MAX];
        uint32_t count = 1 + below(WEIR_SHARD_RANK_MAX), by = below(count), shard = below(4096);
        for (uint32_t k = 0; k < count; k++)
            hashes[k] = weir_rng_next(&rng);
        for (uint32_t k = 0; k < count; k++)
            turned[k] = hashes[(k + by) % count];
        weir_shard_rank(shard, hashes, NULL, count, out);
        weir_shard_rank(shard, turned, NULL, count, out_turned);
        for (uint32_t k = 0; k < count; k++)
            ck_assert_uint_eq(hashes[out[k]], turned[out_turned[k]]);
    }
}
END_TEST

START_TEST(test_rank_by_weight)
{
    const uint64_t hashes[] = {weir_hash64("a", 1, 0), weir_hash64("b", 1, 0), weir_hash64("c", 1, 0)};
    const uint32_t weights[] = {3, 0, 1};
    uint32_t first[3] = {0}, others = 0;
    for (uint32_t s = 0; s < 40000; s++) {
        uint8_t out[3];
        weir_shard_rank(s, hashes, weights, 3, out);
        first[out[0]]++;
        others += out[2] != 1;
    }
    ck_assert_uint_eq(others, 0);
    ck_assert_uint_eq(first[1], 0);
    ck_assert(first[0] > 29500 && first[0] < 30500);
}
END_TEST

START_TEST(test_bounded_load)
{
    ck_assert_uint_eq(weir_bounded_load_cap(0, 1, 4, 125), 1);
    ck_assert_uint_eq(weir_bounded_load_cap(3, 1, 4, 125), 2); /* ceil(1.25) */
    ck_assert_uint_eq(weir_bounded_load_cap(7, 1, 4, 125), 3); /* ceil(2.5) */
    ck_assert_uint_eq(weir_bounded_load_cap(399, 1, 4, 125), 125);
    ck_assert_uint_eq(weir_bounded_load_cap(399, 3, 4, 125), 375);
    ck_assert_uint_eq(weir_bounded_load_cap(99, 1, 1, 100), 100);
    ck_assert_uint_eq(weir_bounded_load_cap(99, 0, 4, 125), 1);
    ck_assert_uint_eq(weir_bounded_load_cap(99, 1, 0, 125), 1);
    for (uint32_t i = 0; i < 1000; i++) { /* room for all, whatever the number of nodes */
        uint32_t nodes = 1 + below(100);
        ck_assert_uint_ge(weir_bounded_load_cap(i, 1, nodes, 125) * nodes, i + 1);
    }
}
END_TEST

CHECK_MAIN("shard_map", setup, teardown, test_the_text_of_the_header, test_any_map_is_read_as_it_was_written,
           test_the_longest_text_fits, test_what_is_refused, test_without_memory, test_order_of_maps, test_find,
           test_successors_are_effective_owners, test_orphans_are_spread,
           test_rank_does_not_depend_on_the_order_of_endpoints, test_rank_by_weight, test_bounded_load)
