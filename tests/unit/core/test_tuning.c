/* The rows of both formulas were computed by the guide's Python; numbers with a fraction are in hexadecimal, so that
 * not one bit is left to rounding. Most of the sizes lie next to a whole number, where another order of operations
 * gives another one. */
#include "core/tuning.h"

#include "check_main.h"

#include <math.h>

static const struct {
    int64_t rps;
    double response_ms;
    uint32_t size;
} sizes[] = {
    {INT64_C(0), 0x0.0p+0, 10},
    {INT64_C(1), 0x1.0000000000000p+0, 10},
    {INT64_C(-5), 0x1.9000000000000p+6, 10},
    {INT64_C(100), 0x1.9000000000000p+6, 15},
    {INT64_C(100), 0x1.0aa3d70a3d70ap+6, 10},
    {INT64_C(10), 0x1.4d55c28f5c28fp+9, 10},
    {INT64_C(10), 0x1.6eb3333333333p+9, 11},
    {INT64_C(50), 0x1.9000000000000p+7, 15},
    {INT64_C(200), 0x1.4000000000000p+4, 10},
    {INT64_C(1000), 0x1.f400000000000p+8, 750},
    {INT64_C(1000), 0x1.4d00000000000p+9, 999},
    {INT64_C(1000), 0x1.4d5999999999ap+9, 1000},
    {INT64_C(667), 0x1.f3b3333333333p+9, 999},
    {INT64_C(100), 0x1.2533333333333p+6, 10},
    {INT64_C(100), 0x1.259999999999ap+6, 11},
    {INT64_C(7), 0x1.7cf3cf3cf3cf4p+10, 16},
    {INT64_C(3), 0x1.318e38e38e38ep+11, 11},
    {INT64_C(33), 0x1.6333333333333p+4, 10},
    {INT64_C(1099511627776), 0x1.12e0be826d695p-30, 10},
    {INT64_C(9007199254740992), 0x1.203af9ee75616p-50, 10},
    {INT64_C(9007199254740993), 0x1.c25c268497682p-44, 10},
    {INT64_C(10), -0x1.8000000000000p+1, 10},
    {INT64_C(1000000), 0x1.7e43c8800759cp+996, 1000},
    {INT64_C(1327), 0x1.ec56af0a18909p+8, 980},
    {INT64_C(618), 0x1.be9a18dab7ec2p+8, 414},
    {INT64_C(2667), 0x1.d7f0e5dbf8f60p+3, 59},
    {INT64_C(297), 0x1.dcfdfd2077862p+10, 850},
    {INT64_C(2195), 0x1.018e17b6e9a57p+5, 106},
    {INT64_C(1498), 0x1.0db16375eacf2p+8, 606},
    {INT64_C(238), 0x1.497b56c47b56dp+11, 941},
    {INT64_C(2079), 0x1.25bb20387a7abp+6, 229},
    {INT64_C(154), 0x1.a83e0f83e0f84p+8, 98},
    {INT64_C(1777), 0x1.48a4cedfdfbaep+7, 438},
    {INT64_C(287), 0x1.295424de66e03p+9, 256},
    {INT64_C(372), 0x1.012b201d5cac8p+10, 574},
    {INT64_C(1739), 0x1.ad5d93c035637p+4, 70},
    {INT64_C(2317), 0x1.390c6954e431bp+5, 136},
    {INT64_C(915), 0x1.dd3b386c2ea16p+8, 655},
    {INT64_C(2570), 0x1.3a659a659a65ap+7, 606},
    {INT64_C(254), 0x1.89b366cd9b367p+10, 600},
    {INT64_C(2399), 0x1.ce6a3690a1100p+6, 416},
    {INT64_C(204), 0x1.819ef4499ef45p+9, 236},
    {INT64_C(191), 0x1.fa1bb327c33d4p+10, 580},
    {INT64_C(546), 0x1.75a05a05a05a0p+8, 306},
    {INT64_C(1717), 0x1.e7ac1ba1f825dp+5, 157},
    {INT64_C(2215), 0x1.39046e2e9d917p+5, 130},
    {INT64_C(2339), 0x1.728759ee1f981p+6, 325},
    {INT64_C(2295), 0x1.eaec1b83cfa9cp+7, 845},
    {INT64_C(2794), 0x1.7439e82d722a2p+5, 195},
    {INT64_C(423), 0x1.dcc0db7c783bbp+9, 605},
    {INT64_C(2340), 0x1.7a58fae503a59p+7, 664},
    {INT64_C(770), 0x1.528734162a1cdp+8, 390},
    {INT64_C(400), 0x1.db00000000000p+9, 570},
    {INT64_C(2917), 0x1.0e98ff53c0eddp+4, 74},
    {INT64_C(2312), 0x1.4790fa63cd36ap+4, 71},
    {INT64_C(2536), 0x1.ceabbe514ba47p+5, 220},
    {INT64_C(2034), 0x1.cecc90a7d0575p+7, 706},
    {INT64_C(2178), 0x1.11a54286ef4f4p+7, 447},
    {INT64_C(1287), 0x1.f77f1ada67d51p+7, 486},
    {INT64_C(2399), 0x1.09636b50d9f9ap+8, 955},
    {INT64_C(1857), 0x1.10d76c95cde98p+7, 380},
    {INT64_C(1228), 0x1.1ea51b8496190p+7, 264},
    {INT64_C(737), 0x1.47e7eab213aefp+9, 725},
    {INT64_C(1000), 0x1.f000000000000p+5, 93},
    {INT64_C(2353), 0x1.6741f7a8ac0b8p+6, 317},
    {INT64_C(2152), 0x1.3fb3ddbd6205bp+7, 516},
    {INT64_C(1407), 0x1.66357e16ece54p+8, 756},
    {INT64_C(1839), 0x1.b8d1bcb79101ap+6, 304},
    {INT64_C(2495), 0x1.671e44bed87f4p+4, 84},
    {INT64_C(484), 0x1.6fc4c2a50658ep+9, 534},
    {INT64_C(1713), 0x1.1518c2146c98ep+6, 178},
    {INT64_C(1402), 0x1.39d65e383d5a3p+6, 165},
    {INT64_C(2003), 0x1.258f45e940083p+7, 441},
    {INT64_C(161), 0x1.0181533697960p+12, 995},
    {INT64_C(2738), 0x1.5ab9a061bcce3p+4, 89},
    {INT64_C(2286), 0x1.5b9f8aeff2dc4p+7, 596},
    {INT64_C(1286), 0x1.732d412945f05p+7, 358},
    {INT64_C(2848), 0x1.5891bce246f39p+6, 368},
    {INT64_C(2435), 0x1.1ba42ef5a970ap+7, 518},
    {INT64_C(2376), 0x1.cf862d656c519p+7, 826},
    {INT64_C(1869), 0x1.c89277e556106p+4, 80},
    {INT64_C(384), 0x1.a80b8e38e38e4p+10, 977},
    {INT64_C(1106), 0x1.2a5f5d0c7fc4cp+8, 495},
    {INT64_C(1428), 0x1.2b00000000000p+9, 1000},
    {INT64_C(1498), 0x1.3bafb4a2339c1p+9, 1000},
    {INT64_C(1396), 0x1.71e0000000000p+9, 1000},
    {INT64_C(1468), 0x1.5b451eb851eb8p+8, 764},
    {INT64_C(47), 0x1.a74b851eb851fp+9, 59},
    {INT64_C(345), 0x1.12eed916872b0p+9, 284},
    {INT64_C(121), 0x1.88f0a3d70a3d7p+7, 35},
    {INT64_C(265), 0x1.4c46c8b439581p+9, 264},
    {INT64_C(801), 0x1.9c924dd2f1aa0p+9, 991},
    {INT64_C(166), 0x1.2ba04189374bcp+7, 37},
    {INT64_C(1126), 0x1.f433333333333p+7, 422},
    {INT64_C(1678), 0x1.8386c226809d5p+8, 975},
    {INT64_C(571), 0x1.3de51eb851eb8p+9, 544},
    {INT64_C(1399), 0x1.8de6666666666p+9, 1000},
    {INT64_C(310), 0x1.2b33333333333p+6, 34},
    {INT64_C(476), 0x1.2880000000000p+9, 423},
    {INT64_C(994), 0x1.7600000000000p+9, 1000},
    {INT64_C(539), 0x1.fb9999999999ap+7, 205},
    {INT64_C(859), 0x1.e12dab9f559b4p+8, 619},
    {INT64_C(1160), 0x1.1eccccccccccdp+8, 499},
};

static const struct {
    double latency_s, provider_s, connect_s, read_s, total_s;
} timeouts[] = {
    {0x0.0p+0, 0x0.0p+0, 0x1.4000000000000p+2, 0x1.4000000000000p+3, 0x1.4000000000000p+4},
    {0x1.999999999999ap-5, 0x1.e000000000000p+4, 0x1.4000000000000p+2, 0x1.8000000000000p+4, 0x1.1000000000000p+5},
    {0x1.4000000000000p+1, 0x1.9000000000000p+3, 0x1.4000000000000p+2, 0x1.4000000000000p+3, 0x1.4000000000000p+4},
    {0x1.4cccccccccccdp+1, 0x1.9333333333333p+3, 0x1.4cccccccccccdp+2, 0x1.428f5c28f5c29p+3, 0x1.447ae147ae148p+4},
    {0x1.8000000000000p+1, 0x1.e000000000000p+5, 0x1.8000000000000p+2, 0x1.8000000000000p+5, 0x1.d800000000000p+5},
    {0x1.999999999999ap-4, 0x1.899999999999ap+3, 0x1.4000000000000p+2, 0x1.4000000000000p+3, 0x1.4000000000000p+4},
    {0x1.5666666666666p+3, 0x1.8f9999999999ap+6, 0x1.5666666666666p+4, 0x1.3fae147ae147cp+6, 0x1.a947ae147ae16p+6},
    {-0x1.0000000000000p+2, -0x1.0000000000000p+0, 0x1.4000000000000p+2, 0x1.4000000000000p+3, 0x1.4000000000000p+4},
    {0x1.4000000036f9cp+1, 0x1.9000000089706p+3, 0x1.4000000036f9cp+2, 0x1.400000006df38p+3, 0x1.4000000044b83p+4},
    {0x1.e848000000000p+19, 0x1.dcd6500000000p+29, 0x1.e848000000000p+20, 0x1.7d78400000000p+29, 0x1.7e6c642800000p+29},
    {0x1.6189374bc6a7fp+2, 0x1.eee147ae147aep+5, 0x1.6189374bc6a7fp+3, 0x1.8be76c8b43958p+5, 0x1.0624dd2f1a9fcp+6},
    {0x1.3c395810624ddp+2, 0x1.448f5c28f5c29p+6, 0x1.3c395810624ddp+3, 0x1.03a5e353f7ceep+6, 0x1.3f2d0e560418ap+6},
    {0x1.ba5e353f7ced9p-2, 0x1.afc28f5c28f5cp+6, 0x1.4000000000000p+2, 0x1.596872b020c4ap+6, 0x1.816872b020c4ap+6},
    {0x1.8f5c28f5c28f6p+2, 0x1.a3c28f5c28f5cp+6, 0x1.8f5c28f5c28f6p+3, 0x1.4fced916872b0p+6, 0x1.95ba5e353f7cfp+6},
    {0x1.9883126e978d5p+2, 0x1.78b851eb851ecp+5, 0x1.9883126e978d5p+3, 0x1.2d604189374bdp+5, 0x1.bb810624dd2f2p+5},
    {0x1.989374bc6a7f0p+1, 0x1.8d70a3d70a3d7p+3, 0x1.989374bc6a7f0p+2, 0x1.4000000000000p+3, 0x1.5624dd2f1a9fcp+4},
    {0x1.44bc6a7ef9db2p+2, 0x1.de147ae147ae1p+2, 0x1.44bc6a7ef9db2p+3, 0x1.4000000000000p+3, 0x1.925e353f7ced9p+4},
    {0x1.13f7ced916873p-1, 0x1.90ccccccccccdp+4, 0x1.4000000000000p+2, 0x1.40a3d70a3d70bp+4, 0x1.e0a3d70a3d70bp+4},
    {0x1.4c49ba5e353f8p+0, 0x1.467ae147ae148p+5, 0x1.4000000000000p+2, 0x1.052f1a9fbe76dp+5, 0x1.552f1a9fbe76dp+5},
    {0x1.af1a9fbe76c8bp-2, 0x1.eb851eb851eb8p-6, 0x1.4000000000000p+2, 0x1.4000000000000p+3, 0x1.4000000000000p+4},
    {0x1.35c28f5c28f5cp+0, 0x1.85c28f5c28f5cp+3, 0x1.4000000000000p+2, 0x1.4000000000000p+3, 0x1.4000000000000p+4},
    {0x1.745a1cac08312p+1, 0x1.87ae147ae147bp+1, 0x1.745a1cac08312p+2, 0x1.4000000000000p+3, 0x1.4d16872b020c4p+4},
    {0x1.bfae147ae147bp+2, 0x1.26c28f5c28f5cp+6, 0x1.bfae147ae147bp+3, 0x1.d79db22d0e560p+5, 0x1.37c49ba5e353fp+6},
    {0x1.3020c49ba5e35p+0, 0x1.e451eb851eb85p+4, 0x1.4000000000000p+2, 0x1.8374bc6a7ef9ep+4, 0x1.11ba5e353f7cfp+5},
    {0x1.63b645a1cac08p+1, 0x1.5d9999999999ap+5, 0x1.63b645a1cac08p+2, 0x1.17ae147ae147bp+5, 0x1.6c24dd2f1a9fcp+5},
    {0x1.f74bc6a7ef9dbp-1, 0x1.977ae147ae148p+6, 0x1.4000000000000p+2, 0x1.45fbe76c8b43ap+6, 0x1.6dfbe76c8b43ap+6},
    {0x1.fc7ae147ae148p+2, 0x1.bf5c28f5c28f6p+5, 0x1.fc7ae147ae148p+3, 0x1.65e353f7ced92p+5, 0x1.06810624dd2f2p+6},
    {0x1.ef7ced916872bp+1, 0x1.49eb851eb851fp+3, 0x1.ef7ced916872bp+2, 0x1.4000000000000p+3, 0x1.6bdf3b645a1cbp+4},
    {0x1.a2d0e56041893p-1, 0x1.48f5c28f5c28fp+5, 0x1.4000000000000p+2, 0x1.072b020c49ba6p+5, 0x1.572b020c49ba6p+5},
    {0x1.0f1a9fbe76c8bp+1, 0x1.8dd70a3d70a3dp+6, 0x1.4000000000000p+2, 0x1.3e45a1cac0831p+6, 0x1.6645a1cac0831p+6},
    {0x1.4ac083126e979p+0, 0x1.628f5c28f5c29p+1, 0x1.4000000000000p+2, 0x1.4000000000000p+3, 0x1.4000000000000p+4},
    {0x1.e6e978d4fdf3bp+2, 0x1.fb1eb851eb852p+5, 0x1.e6e978d4fdf3bp+3, 0x1.95b22d0e56042p+5, 0x1.1bb645a1cac08p+6},
    {0x1.2c49ba5e353f8p+0, 0x1.04b851eb851ecp+6, 0x1.4000000000000p+2, 0x1.a126e978d4fe0p+5, 0x1.f126e978d4fe0p+5},
    {0x1.ba5e353f7ced9p-3, 0x1.faf5c28f5c28fp+5, 0x1.4000000000000p+2, 0x1.95916872b020cp+5, 0x1.e5916872b020cp+5},
    {0x1.f4fdf3b645a1dp+2, 0x1.9e66666666666p+6, 0x1.f4fdf3b645a1dp+3, 0x1.4b851eb851eb8p+6, 0x1.9e24dd2f1a9fcp+6},
    {0x1.647ae147ae148p+2, 0x1.f547ae147ae14p+4, 0x1.647ae147ae148p+3, 0x1.910624dd2f1aap+4, 0x1.49a1cac083127p+5},
    {0x1.778d4fdf3b646p+1, 0x1.40ccccccccccdp+4, 0x1.778d4fdf3b646p+2, 0x1.00a3d70a3d70bp+4, 0x1.ae872b020c49cp+4},
    {0x1.8b4395810624ep+2, 0x1.ff47ae147ae14p+5, 0x1.8b4395810624ep+3, 0x1.990624dd2f1aap+5, 0x1.11eb851eb851fp+6},
    {0x1.8ed916872b021p+2, 0x1.3c7ae147ae148p+5, 0x1.8ed916872b021p+3, 0x1.fa5e353f7cedap+4, 0x1.88e5604189375p+5},
    {0x1.c8b4395810625p+0, 0x1.85851eb851eb8p+6, 0x1.4000000000000p+2, 0x1.379db22d0e560p+6, 0x1.5f9db22d0e560p+6},
};

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

START_TEST(test_sizes_as_python_computes_them)
{
    for (size_t i = 0; i < COUNT(sizes); i++)
        ck_assert_msg(weir_tuning_pool_size(sizes[i].rps, sizes[i].response_ms) == sizes[i].size, "row %zu: %u", i,
                      weir_tuning_pool_size(sizes[i].rps, sizes[i].response_ms));
}
END_TEST

START_TEST(test_sizes_where_python_raises)
{
    ck_assert_uint_eq(weir_tuning_pool_size(1, NAN), 10);
    ck_assert_uint_eq(weir_tuning_pool_size(0, INFINITY), 10);
    ck_assert_uint_eq(weir_tuning_pool_size(1, INFINITY), 1000);
    ck_assert_uint_eq(weir_tuning_pool_size(1, -INFINITY), 10);
    ck_assert_uint_eq(weir_tuning_pool_size(INT64_MAX, 1e308), 1000);
    ck_assert_uint_eq(weir_tuning_pool_size(INT64_MIN, 1e308), 10);
}
END_TEST

START_TEST(test_timeouts_as_python_computes_them)
{
    for (size_t i = 0; i < COUNT(timeouts); i++) {
        struct weir_tuning_timeouts t = weir_tuning_timeouts(timeouts[i].latency_s, timeouts[i].provider_s);
        ck_assert(t.connect_s == timeouts[i].connect_s && t.read_s == timeouts[i].read_s &&
                  t.total_s == timeouts[i].total_s);
    }
    struct weir_tuning_timeouts t = weir_tuning_timeouts(NAN, NAN);
    ck_assert(t.connect_s == 5.0 && t.read_s == 10.0 && t.total_s == 20.0);
}
END_TEST

START_TEST(test_bands_at_their_bounds)
{
    enum weir_load_band normal = WEIR_LOAD_NORMAL;
    ck_assert_int_eq(weir_load_band_next(WEIR_LOAD_LOW, 0.29999), WEIR_LOAD_LOW);
    ck_assert_int_eq(weir_load_band_next(WEIR_LOAD_LOW, 0.3), WEIR_LOAD_NORMAL);
    ck_assert_int_eq(weir_load_band_next(normal, 0.69999), WEIR_LOAD_NORMAL);
    ck_assert_int_eq(weir_load_band_next(normal, 0.7), WEIR_LOAD_HIGH);
    ck_assert_int_eq(weir_load_band_next(WEIR_LOAD_LOW, 0.7), WEIR_LOAD_HIGH);
    /* Downwards a twentieth lower. */
    ck_assert_int_eq(weir_load_band_next(WEIR_LOAD_HIGH, 0.66), WEIR_LOAD_HIGH);
    ck_assert_int_eq(weir_load_band_next(WEIR_LOAD_HIGH, 0.64), WEIR_LOAD_NORMAL);
    ck_assert_int_eq(weir_load_band_next(normal, 0.26), WEIR_LOAD_NORMAL);
    ck_assert_int_eq(weir_load_band_next(normal, 0.24), WEIR_LOAD_LOW);
    ck_assert_int_eq(weir_load_band_next(WEIR_LOAD_HIGH, 0.24), WEIR_LOAD_LOW);
    ck_assert(weir_load_factor(WEIR_LOAD_LOW) == 0.5 && weir_load_factor(normal) == 1.0 &&
              weir_load_factor(WEIR_LOAD_HIGH) == 1.5);
}
END_TEST

START_TEST(test_a_load_around_a_bound_does_not_flap)
{
    enum weir_load_band band = WEIR_LOAD_NORMAL;
    unsigned changes = 0;
    for (int i = 0; i < 1000; i++) {
        enum weir_load_band next = weir_load_band_next(band, i % 2 == 0 ? 0.69 : 0.71);
        changes += next != band;
        band = next;
    }
    ck_assert_uint_eq(changes, 1);
}
END_TEST

START_TEST(test_a_peak_counts_for_ten_seconds)
{
    for (uint64_t offset = 0; offset < 3000; offset += 137) {
        struct weir_load l = {0};
        uint64_t start = 1000000 + offset;
        weir_load_note(&l, start, 80);
        weir_load_note(&l, start + 1, 3);
        for (uint64_t ms = 0; ms <= 10000; ms += 250)
            ck_assert_uint_eq(weir_load_peak(&l, start + ms), 80);
        ck_assert_uint_eq(weir_load_peak(&l, start + 10000 + WEIR_LOAD_SLOT_MS), 0);
    }
}
END_TEST

START_TEST(test_the_ring_against_a_list_of_all_notes)
{
    enum { STEPS = 4000 };
    static uint64_t at[STEPS], value[STEPS];
    struct weir_load l = {0};
    uint64_t state = 42, now = 5;
    for (unsigned i = 0; i < STEPS; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        now += (state >> 40) % ((state >> 20) % 50 == 0 ? 30000 : 900);
        at[i] = now;
        value[i] = (state >> 33) % 1000;
        weir_load_note(&l, now, value[i]);
        uint64_t least = 0, most = 0;
        for (unsigned j = 0; j <= i; j++) {
            if (at[j] + 10000 >= now && value[j] > least)
                least = value[j];
            if (at[j] + 11000 >= now && value[j] > most)
                most = value[j];
        }
        uint64_t peak = weir_load_peak(&l, now);
        ck_assert_uint_ge(peak, least);
        ck_assert_uint_le(peak, most);
    }
}
END_TEST

START_TEST(test_the_band_follows_the_peak_of_the_configured_limit)
{
    struct weir_load l = {0};
    weir_load_note(&l, 1000, 70);
    ck_assert_int_eq(weir_load_update(&l, 1000, 100), WEIR_LOAD_HIGH);
    weir_load_note(&l, 5000, 30);
    ck_assert_int_eq(weir_load_update(&l, 10999, 100), WEIR_LOAD_HIGH);
    ck_assert_int_eq(weir_load_update(&l, 12000, 100), WEIR_LOAD_NORMAL);
    ck_assert_int_eq(weir_load_update(&l, 17000, 100), WEIR_LOAD_LOW);
    weir_load_note(&l, 16000, 100); /* a clock that went back */
    ck_assert_int_eq(weir_load_update(&l, 17000, 100), WEIR_LOAD_HIGH);
}
END_TEST

static void limits(struct weir_tuning_wishes w, uint32_t max_connections, uint32_t max_keepalive)
{
    struct weir_tuning_limits l = weir_tuning_limits(&w);
    ck_assert_uint_eq(l.max_connections, max_connections);
    ck_assert_uint_eq(l.max_keepalive, max_keepalive);
}

START_TEST(test_limits_in_force)
{
    struct weir_tuning_wishes w = {.max_connections = 100, .max_keepalive = 30, .cap = 150};
    w.band = WEIR_LOAD_HIGH;
    limits(w, 100, 30); /* the band counts only where load_scaling is on */
    w.scaled = true;
    limits(w, 150, 45);
    w.band = WEIR_LOAD_NORMAL;
    limits(w, 100, 30);
    w.band = WEIR_LOAD_LOW;
    limits(w, 50, 15);
    w.tuned = 70;
    limits(w, 70, 15);
    w.hinted = 120;
    limits(w, 120, 15);
    w.hinted = 500;
    limits(w, 150, 15);
    w.scaled = false;
    w.hinted = 0;
    w.tuned = 20;
    limits(w, 20, 20);
}
END_TEST

START_TEST(test_limits_are_cut_off_and_bounded)
{
    struct weir_tuning_wishes w = {.max_connections = 25, .max_keepalive = 7, .cap = 37, .scaled = true};
    w.band = WEIR_LOAD_LOW;
    limits(w, 12, 3);
    w.band = WEIR_LOAD_HIGH;
    limits(w, 37, 10);
    w.max_connections = 15;
    w.band = WEIR_LOAD_LOW;
    limits(w, 10, 3);
    w.max_connections = 4; /* the lower bound raises no smaller limit */
    w.max_keepalive = 1;
    limits(w, 4, 1);
    w.max_keepalive = 0;
    limits(w, 4, 0);
    w.cap = 3;
    limits(w, 3, 0);
    w = (struct weir_tuning_wishes){.max_connections = UINT32_MAX,
                                    .max_keepalive = UINT32_MAX,
                                    .cap = UINT32_MAX,
                                    .scaled = true,
                                    .band = WEIR_LOAD_HIGH};
    limits(w, UINT32_MAX, UINT32_MAX);
}
END_TEST

static struct weir_tuning_history history;
static struct weir_tuning_sums sums;
static uint64_t at_ms;

/* A slot in which so many requests come and end after so many milliseconds each. */
static void slot(uint64_t requests, uint64_t each_ms)
{
    sums.requests += requests;
    sums.exchanges += requests;
    sums.exchange_us += requests * each_ms * 1000;
    at_ms += WEIR_TUNING_SLOT_MS;
    ck_assert(!weir_tuning_due(&history, at_ms - 1) || history.due_ms == 0);
    ck_assert(weir_tuning_due(&history, at_ms));
    weir_tuning_note(&history, at_ms, &sums);
}

START_TEST(test_the_size_that_is_measured)
{
    slot(1000, 1000); /* before it began to look: not measured */
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 0), 0);
    slot(500, 1000); /* 100 a second */
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 0), 150);
    slot(50, 1000);
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 150), 150); /* the peak of the minute */
    for (unsigned i = 0; i < WEIR_TUNING_SLOTS - 2; i++)
        slot(50, 1000);
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 150), 150);
    slot(50, 1000);
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 150), 15);
    slot(505, 950); /* 101 a second; over all of the minute, just below a second */
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 150), 150); /* by less than a tenth: stays */
    ck_assert_uint_lt(weir_tuning_measured_size(&history, 0), 150);
    ck_assert_uint_gt(weir_tuning_measured_size(&history, 15), 135);
}
END_TEST

START_TEST(test_nothing_to_measure)
{
    slot(0, 0);
    slot(0, 0);
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 99), 0);
    ck_assert(weir_tuning_measured_latency(&history) < 0);
    sums.requests += 7; /* long answers: none has ended */
    slot(0, 0);
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 99), 99);
    sums = (struct weir_tuning_sums){0}; /* an endpoint has gone with what it had counted */
    slot(0, 0);
    ck_assert_uint_eq(weir_tuning_measured_size(&history, 99), 99);
    sums.connects = 4;
    sums.connect_us = 8000000;
    slot(0, 0);
    ck_assert_double_eq(weir_tuning_measured_latency(&history), 2.0);
}
END_TEST

CHECK_MAIN("tuning", NULL, NULL, test_sizes_as_python_computes_them, test_sizes_where_python_raises,
           test_the_size_that_is_measured, test_nothing_to_measure, test_timeouts_as_python_computes_them,
           test_bands_at_their_bounds, test_a_load_around_a_bound_does_not_flap, test_a_peak_counts_for_ten_seconds,
           test_the_ring_against_a_list_of_all_notes, test_the_band_follows_the_peak_of_the_configured_limit,
           test_limits_in_force, test_limits_are_cut_off_and_bounded)
