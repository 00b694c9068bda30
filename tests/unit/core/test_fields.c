/* Names and ids, and lists of fields that keep their order. */
#include "core/fields.h"

#include "check_main.h"
#include "helper/core_failmalloc.h"

static struct weir_arena arena;
static struct weir_fields fields;

static void setup(void)
{
    weir_arena_init(&arena);
    fields = (struct weir_fields){0};
}

static void teardown(void)
{
    weir_arena_reset(&arena);
}

static void add(const char *name, const char *value)
{
    ck_assert(weir_fields_add(&fields, &arena, weir_str_of(name), weir_str_of(value)));
}

/* The list as "name=value name=value". */
static const char *text(void)
{
    static char out[4096];
    out[0] = '\0';
    for (size_t i = 0; i < fields.count; i++) {
        strcat(out, i > 0 ? " " : "");
        strncat(out, fields.at[i].name.ptr, fields.at[i].name.len);
        strcat(out, "=");
        strncat(out, fields.at[i].value.ptr, fields.at[i].value.len);
    }
    return out;
}

START_TEST(test_every_name_has_its_id)
{
#define CASE(id, name)                                                   \
    ck_assert_int_eq(weir_field_id_of(WEIR_STR(name)), WEIR_FIELD_##id); \
    ck_assert(weir_str_eq(weir_field_name(WEIR_FIELD_##id), WEIR_STR(name)));
    WEIR_FIELD_MAP(CASE)
#undef CASE
}
END_TEST

/* Whatever differs from a known name in one character is not it. */
START_TEST(test_no_other_name_has_an_id)
{
    for (int id = WEIR_FIELD_OTHER + 1; id < WEIR_FIELD_COUNT; id++) {
        struct weir_str name = weir_field_name((enum weir_field_id)id);
        char near[64];
        for (size_t i = 0; i < name.len; i++) {
            memcpy(near, name.ptr, name.len);
            near[i] = near[i] == '~' ? '!' : '~';
            ck_assert_int_eq(weir_field_id_of((struct weir_str){near, name.len}), WEIR_FIELD_OTHER);
        }
        memcpy(near, name.ptr, name.len);
        near[name.len] = 's';
        ck_assert_int_eq(weir_field_id_of((struct weir_str){near, name.len + 1}), WEIR_FIELD_OTHER);
    }
    ck_assert_int_eq(weir_field_id_of(WEIR_STR("")), WEIR_FIELD_OTHER);
    ck_assert_int_eq(weir_field_id_of(WEIR_STR("Host")), WEIR_FIELD_OTHER); /* lower case is the caller's part */
    ck_assert_int_eq(weir_field_id_of(WEIR_STR("a-name-longer-than-any-that-is-known")), WEIR_FIELD_OTHER);
}
END_TEST

START_TEST(test_get_and_find)
{
    add("host", "a");
    add("x-a", "1");
    add("via", "b");
    add("x-a", "2");
    ck_assert(weir_str_eq(weir_fields_get(&fields, WEIR_FIELD_VIA)->value, WEIR_STR("b")));
    ck_assert_ptr_null(weir_fields_get(&fields, WEIR_FIELD_TE));
    ck_assert(weir_str_eq(weir_fields_find(&fields, WEIR_STR("x-a"))->value, WEIR_STR("1")));
    ck_assert_ptr_null(weir_fields_find(&fields, WEIR_STR("x-b")));
}
END_TEST

START_TEST(test_set_replaces_the_first_and_drops_the_others)
{
    add("via", "1");
    add("x-a", "2");
    add("via", "3");
    ck_assert(weir_fields_set(&fields, &arena, WEIR_FIELD_VIA, WEIR_STR("4")));
    ck_assert_str_eq(text(), "via=4 x-a=2");
    ck_assert(weir_fields_set(&fields, &arena, WEIR_FIELD_DATE, WEIR_STR("5")));
    ck_assert_str_eq(text(), "via=4 x-a=2 date=5");
}
END_TEST

START_TEST(test_drop_keeps_the_order)
{
    add("te", "1");
    add("x-a", "2");
    add("te", "3");
    add("x-b", "4");
    add("x-a", "5");
    ck_assert_uint_eq(weir_fields_drop(&fields, WEIR_FIELD_TE), 2);
    ck_assert_str_eq(text(), "x-a=2 x-b=4 x-a=5");
    ck_assert_uint_eq(weir_fields_drop_name(&fields, WEIR_STR("x-a")), 2);
    ck_assert_str_eq(text(), "x-b=4");
    ck_assert_uint_eq(weir_fields_drop(&fields, WEIR_FIELD_TE), 0);
}
END_TEST

START_TEST(test_grows)
{
    for (int i = 0; i < 100; i++)
        add(i % 2 == 0 ? "via" : "x-a", i % 3 == 0 ? "1" : "2");
    ck_assert_uint_eq(fields.count, 100);
    ck_assert_int_eq(fields.at[98].id, WEIR_FIELD_VIA);
    ck_assert_int_eq(fields.at[99].id, WEIR_FIELD_OTHER);
}
END_TEST

START_TEST(test_out_of_memory)
{
    bool failed;
    failmalloc_begin(1);
    bool added = weir_fields_add_id(&fields, &arena, WEIR_FIELD_VIA, WEIR_STR("x"));
    long left = failmalloc_end(&failed);
    ck_assert(failed && !added);
    ck_assert_int_eq(left, 0);
    ck_assert_uint_eq(fields.count, 0);
}
END_TEST

CHECK_MAIN("fields", setup, teardown, test_every_name_has_its_id, test_no_other_name_has_an_id, test_get_and_find,
           test_set_replaces_the_first_and_drops_the_others, test_drop_keeps_the_order, test_grows, test_out_of_memory)
