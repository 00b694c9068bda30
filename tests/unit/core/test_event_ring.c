#include "core/event_ring.h"

#include <stdio.h>
#include <stdlib.h>

#include "check_main.h"
#include "helper/core_failmalloc.h"

static struct weir_event_ring ring;

static void teardown(void)
{
    weir_event_ring_close(&ring);
}

static const struct weir_event_entry *add(uint64_t id, uint64_t unix_ms)
{
    char text[128];
    snprintf(text, sizeof text, "{\"id\":%llu,\"unix_ms\":%llu,\"event\":\"node_lost\"}", (unsigned long long)id,
             (unsigned long long)unix_ms);
    return weir_event_ring_add(&ring, weir_str_of(text));
}

static void holds(size_t count, const uint64_t *ids)
{
    ck_assert_uint_eq(ring.count, count);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(ring.at[i]->id, ids[i]);
}

START_TEST(test_order_is_the_store_s)
{
    ck_assert_ptr_nonnull(add(7, 700));
    ck_assert_ptr_nonnull(add(5, 500));
    ck_assert_ptr_nonnull(add(8, 800));
    ck_assert_ptr_nonnull(add(6, 700)); /* in one millisecond: by id */
    holds(4, (const uint64_t[]){5, 6, 7, 8});
}
END_TEST

START_TEST(test_each_once)
{
    for (uint64_t id = 1; id <= 3; id++)
        ck_assert_ptr_nonnull(add(id, 100 * id));
    for (uint64_t id = 1; id <= 3; id++)
        ck_assert_ptr_null(add(id, 100 * id));
    holds(3, (const uint64_t[]){1, 2, 3});
    ck_assert_ptr_nonnull(add(1, 900)); /* the store was emptied: another event under an old id */
    holds(4, (const uint64_t[]){1, 2, 3, 1});
}
END_TEST

START_TEST(test_bound)
{
    for (uint64_t id = 2; id <= WEIR_COORD_EVENTS_KEPT + 11; id++)
        ck_assert_ptr_nonnull(add(id, id));
    ck_assert_uint_eq(ring.count, WEIR_COORD_EVENTS_KEPT);
    ck_assert_uint_eq(ring.at[0]->id, 12);
    ck_assert_uint_eq(ring.at[ring.count - 1]->id, WEIR_COORD_EVENTS_KEPT + 11);
    ck_assert_ptr_null(add(1, 1)); /* older than what is kept */
    ck_assert_uint_eq(ring.at[0]->id, 12);
}
END_TEST

START_TEST(test_after)
{
    ck_assert_uint_eq(weir_event_ring_after(&ring, 1), 0);
    for (uint64_t id = 1; id <= 3; id++)
        add(id, 100 * id);
    ck_assert_uint_eq(weir_event_ring_after(&ring, 1), 1);
    ck_assert_uint_eq(weir_event_ring_after(&ring, 3), 3);
    ck_assert_uint_eq(weir_event_ring_after(&ring, 9), 0);
}
END_TEST

START_TEST(test_no_events)
{
    static const char *const texts[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"id\":1}",
                                        "{\"id\":1,\"unix_ms\":\"2\"}",
                                        "{\"id\":-1,\"unix_ms\":2}",
                                        "{\"id\":1.5,\"unix_ms\":2}",
                                        "{\"id\":1,\"unix_ms\":2",
                                        "{\"id\":1,\"unix_ms\":2} x"};
    char large[WEIR_EVENT_TEXT_MAX + 64];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(weir_event_ring_add(&ring, weir_str_of(texts[i])) == NULL, "%s", texts[i]);
    snprintf(large, sizeof large, "{\"id\":1,\"unix_ms\":2,\"msg\":\"%0*d\"}", (int)WEIR_EVENT_TEXT_MAX, 0);
    ck_assert_ptr_null(weir_event_ring_add(&ring, weir_str_of(large)));
    ck_assert_uint_eq(ring.count, 0);
}
END_TEST

static void streams(const char *json, const char *wanted)
{
    struct weir_textbuf out;
    const struct weir_event_entry *e = weir_event_ring_add(&ring, weir_str_of(json));
    ck_assert_ptr_nonnull(e);
    weir_textbuf_init(&out, 65536);
    weir_event_entry_stream(&out, e);
    weir_textbuf_char(&out, '\0');
    ck_assert_str_eq(out.ptr, wanted);
    weir_textbuf_close(&out);
}

/* Nothing in an event can look like the end of it, or like another one. */
START_TEST(test_stream)
{
    streams("{\"id\":1, \"unix_ms\":2,\n\"event\":\"node_lost\"}",
            "id: 1\nevent: node_lost\ndata: {\"id\":1,\"unix_ms\":2,\"event\":\"node_lost\"}\n\n");
    streams("{\"id\":2,\"unix_ms\":2,\"event\":\"x\\ndata: y\",\"a\":\"\\n\\n\"}",
            "id: 2\ndata: {\"id\":2,\"unix_ms\":2,\"event\":\"x\\ndata: y\",\"a\":\"\\n\\n\"}\n\n");
    streams("{\"id\":3,\"unix_ms\":2}", "id: 3\ndata: {\"id\":3,\"unix_ms\":2}\n\n");
}
END_TEST

START_TEST(test_out_of_memory)
{
    static const char text[] = "{\"id\":1,\"unix_ms\":2,\"event\":\"x\"}";
    bool more = true;
    for (unsigned long n = 1; more; n = failmalloc_next(n)) {
        failmalloc_begin(n);
        bool added = weir_event_ring_add(&ring, weir_str_of(text)) != NULL;
        weir_event_ring_close(&ring);
        long left = failmalloc_end(&more);
        ck_assert_int_eq(left, 0);
        ck_assert(added != more);
    }
}
END_TEST

CHECK_MAIN("event_ring", NULL, teardown, test_order_is_the_store_s, test_each_once, test_bound, test_after,
           test_no_events, test_stream, test_out_of_memory)
