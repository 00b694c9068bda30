#include "check_main.h"
#include "core/hash.h"

/* Values of the reference implementation (libxxhash); nodes of other versions rely on them. */
START_TEST(test_the_published_values)
{
    static const struct {
        const char *text;
        uint64_t plain, seeded;
    } vectors[] = {
        {"", 0xef46db3751d8e999, 0xc4349fc93c010000},
        {"a", 0xd24ec4f1a98c6e5b, 0x9a7c6d2ea45568c9},
        {"abc", 0x44bc2cf5ad770999, 0x2ed0f59d6b43ac8b},
        {"session-1", 0xb098057f22ed07c3, 0x2c920eb2b8419623},
        {"session-12", 0x2e26fb22fe3f8370, 0xe50c78ec4435db0e},
        {"node-a", 0x05378e2c8885d70b, 0xe6ec1188f9ad4a6e},
        {"12345678901234567890123456789012", 0x40fd1aa52d98274c, 0xe15899fe6d8d34fe},
        {"Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1, 0xeb8b157ca26cbf34},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct weir_str text = weir_str_of(vectors[i].text);
        ck_assert_uint_eq(weir_hash64_str(text, 0), vectors[i].plain);
        ck_assert_uint_eq(weir_hash64_str(text, UINT64_C(0x9e3779b97f4a7c15)), vectors[i].seeded);
    }
    ck_assert_uint_eq(weir_hash64(NULL, 0, 0), vectors[0].plain);
}
END_TEST

/* Every length up to 256, each with a seed of its own, folded into one number; at odd addresses too. */
START_TEST(test_every_length_and_address)
{
    for (size_t shift = 0; shift < 8; shift++) {
        uint8_t buf[264];
        uint64_t fold = 0;
        for (size_t n = 0; n <= 256; n++) {
            for (size_t i = 0; i < n; i++)
                buf[shift + i] = (uint8_t)(i * 7 + n);
            fold = (fold ^ weir_hash64(buf + shift, n, n)) * 31;
        }
        ck_assert_uint_eq(fold, UINT64_C(0xc0b98e56e9dee1f5));
    }
}
END_TEST

/* What a node's claim to a shard is must not change either. */
START_TEST(test_pairs)
{
    ck_assert_uint_eq(weir_hash_number(0), UINT64_C(0xe220a8397b1dcdaf)); /* splitmix64 with seed 0 */
    uint64_t a = weir_hash64_str(WEIR_STR("node-a"), 0), b = weir_hash64_str(WEIR_STR("node-b"), 0);
    ck_assert_uint_ne(weir_hash_pair(a, 0), weir_hash_pair(a, 1));
    ck_assert_uint_ne(weir_hash_pair(a, 0), weir_hash_pair(b, 0));
    ck_assert_uint_eq(weir_hash_pair(a, 7), UINT64_C(0xb644e26d8d675460));
}
END_TEST

CHECK_MAIN("hash", NULL, NULL, test_the_published_values, test_every_length_and_address, test_pairs)
