#include "core/wheel.h"

#include "check_main.h"

static int fired;

static void fire(struct weir_deadline *d, uint64_t now_ms)
{
    (void)d;
    (void)now_ms;
    fired++;
}

START_TEST(test_fires_once)
{
    struct weir_wheel w;
    struct weir_deadline d;
    ck_assert_int_eq(weir_wheel_init(&w, 1000), 0);
    weir_deadline_init(&d, fire);
    weir_deadline_set(&w, &d, 1010);
    ck_assert_uint_eq(weir_wheel_next_ms(&w), 1012);
    weir_wheel_run(&w, 1011);
    ck_assert_int_eq(fired, 0);
    weir_wheel_run(&w, 1012);
    ck_assert_int_eq(fired, 1);
    weir_wheel_run(&w, 100000);
    ck_assert_int_eq(fired, 1);
    weir_wheel_close(&w);
}
END_TEST

CHECK_MAIN("wheel", NULL, NULL, test_fires_once)
