/* x-weir-peer: what is written is read, and nothing else is taken. HMAC-SHA256 against the vectors of RFC 4231. */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "node/peer_auth.h"

#define NOW UINT64_C(1800000000000)

static struct weir_peer_key key;
static struct weir_peer_pass pass, got;
static struct weir_peer_request request;
static char text[WEIR_PEER_PASS_TEXT_MAX];
static size_t len;

static void write_pass(void)
{
    len = weir_peer_pass_write(text, &key, &pass, &request);
    ck_assert_uint_gt(len, 0);
}

/* In memory of exactly its size. */
static enum weir_peer_pass_word read_at(uint64_t store_ms)
{
    char *copy = malloc(len + 1);
    memcpy(copy, text, len);
    enum weir_peer_pass_word w =
        weir_peer_pass_read(&got, &key, (struct weir_str){copy, len}, &request, store_ms, WEIR_PEER_WINDOW_MS);
    free(copy);
    return w;
}

static void setup(void)
{
    ck_assert(weir_peer_key_init(&key, WEIR_STR("a secret of the cluster")));
    pass = (struct weir_peer_pass){
        .node = WEIR_STR("node-a"), .store_ms = NOW, .http_version = 11, .secure = true, .shard = 17, .epoch = 5};
    ck_assert(weir_ip_parse(&pass.client, WEIR_STR("192.0.2.7")));
    request = (struct weir_peer_request){.id = WEIR_STR("id-1"),
                                         .method = WEIR_STR("POST"),
                                         .authority = WEIR_STR("api.example.org"),
                                         .target = WEIR_STR("/v1/messages?beta=true")};
    write_pass();
}

static void teardown(void)
{
}

START_TEST(test_hmac_is_rfc_4231s)
{
    static const struct {
        struct weir_str key, data;
        uint8_t first[4];
    } vectors[] = {
        {WEIR_STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
         WEIR_STR("Hi There"),
         {0xb0, 0x34, 0x4c, 0x61}},
        {WEIR_STR("Jefe"), WEIR_STR("what do ya want for nothing?"), {0x5b, 0xdc, 0xc1, 0x46}},
    };
    uint8_t mac[WEIR_PEER_MAC_BYTES], long_key[131];
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        ck_assert(weir_peer_key_init(&key, vectors[i].key));
        ck_assert(weir_peer_key_mac(&key, &vectors[i].data, 1, mac));
        ck_assert_mem_eq(mac, vectors[i].first, 4);
    }
    memset(long_key, 0xaa, sizeof long_key);
    ck_assert(weir_peer_key_init(&key, (struct weir_str){(char *)long_key, sizeof long_key}));
    ck_assert(weir_peer_key_mac(&key, &WEIR_STR("Test Using Larger Than Block-Size Key - Hash Key First"), 1, mac));
    ck_assert_mem_eq(mac, ((uint8_t[]){0x60, 0xe4, 0x31, 0x59}), 4);
}
END_TEST

START_TEST(test_what_is_written_is_read)
{
    ck_assert_int_eq(read_at(NOW + 5), WEIR_PEER_PASS_GOOD);
    ck_assert_uint_eq(got.store_ms, NOW);
    ck_assert(weir_ip_eq(&got.client, &pass.client));
    ck_assert_uint_eq(got.http_version, 11);
    ck_assert(got.secure);
    ck_assert_uint_eq(got.shard, 17);
    ck_assert_uint_eq(got.epoch, 5);
    pass.shard = WEIR_PEER_NO_SHARD;
    pass.secure = false;
    pass.http_version = 20;
    write_pass();
    ck_assert_int_eq(read_at(NOW), WEIR_PEER_PASS_GOOD);
    ck_assert_uint_eq(got.shard, WEIR_PEER_NO_SHARD);
    ck_assert(!got.secure);
}
END_TEST

START_TEST(test_the_longest_fits)
{
    static char id[WEIR_NODE_ID_MAX];
    memset(id, 'n', sizeof id);
    pass = (struct weir_peer_pass){.node = {id, sizeof id},
                                   .store_ms = UINT64_MAX,
                                   .http_version = 20,
                                   .secure = true,
                                   .shard = UINT32_MAX - 1,
                                   .epoch = UINT64_MAX};
    memset(pass.client.bytes, 0xfe, sizeof pass.client.bytes);
    write_pass();
    ck_assert_int_eq(read_at(UINT64_MAX), WEIR_PEER_PASS_GOOD);
}
END_TEST

START_TEST(test_good_for_a_time_only)
{
    ck_assert_int_eq(read_at(NOW + WEIR_PEER_WINDOW_MS), WEIR_PEER_PASS_GOOD);
    ck_assert_int_eq(read_at(NOW - WEIR_PEER_WINDOW_MS), WEIR_PEER_PASS_GOOD);
    ck_assert_int_eq(read_at(NOW + WEIR_PEER_WINDOW_MS + 1), WEIR_PEER_PASS_EXPIRED);
    ck_assert_int_eq(read_at(NOW - WEIR_PEER_WINDOW_MS - 1), WEIR_PEER_PASS_EXPIRED);
    ck_assert_int_eq(read_at(0), WEIR_PEER_PASS_EXPIRED);
    ck_assert_int_eq(read_at(UINT64_MAX), WEIR_PEER_PASS_EXPIRED);
}
END_TEST

START_TEST(test_good_for_one_request_only)
{
    struct weir_str *parts[] = {&request.id, &request.method, &request.authority, &request.target};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct weir_str own = *parts[i];
        *parts[i] = WEIR_STR("another");
        ck_assert_int_eq(read_at(NOW), WEIR_PEER_PASS_FORGED);
        *parts[i] = own;
    }
    /* The same bytes, cut elsewhere. */
    request.method = WEIR_STR("POSTa");
    request.authority = WEIR_STR("pi.example.org");
    ck_assert_int_eq(read_at(NOW), WEIR_PEER_PASS_FORGED);
}
END_TEST

START_TEST(test_another_secret_is_forged)
{
    ck_assert(weir_peer_key_init(&key, WEIR_STR("a secret of the clusteR")));
    ck_assert_int_eq(read_at(NOW), WEIR_PEER_PASS_FORGED);
}
END_TEST

START_TEST(test_no_byte_may_be_another)
{
    for (size_t i = 0; i < len; i++) {
        text[i] ^= 1;
        ck_assert_int_ne(read_at(NOW), WEIR_PEER_PASS_GOOD);
        text[i] ^= 1;
    }
    size_t whole = len;
    for (len = 0; len < whole; len++)
        ck_assert_int_ne(read_at(NOW), WEIR_PEER_PASS_GOOD);
    ck_assert_int_eq(read_at(NOW), WEIR_PEER_PASS_GOOD);
}
END_TEST

/* Signed, but not by us: what a later version might say, or a peer gone mad. */
static void sign_text(const char *raw)
{
    static const char digits[] = "0123456789abcdef";
    const struct weir_str line = WEIR_STR("\n");
    const struct weir_str parts[] = {weir_str_of(raw),  line, request.id,    line, request.method, line,
                                     request.authority, line, request.target};
    uint8_t mac[WEIR_PEER_MAC_BYTES];
    ck_assert(weir_peer_key_mac(&key, parts, 9, mac));
    len = strlen(raw);
    memcpy(text, raw, len);
    text[len++] = ';';
    for (size_t i = 0; i < sizeof mac; i++) {
        text[len++] = digits[mac[i] >> 4];
        text[len++] = digits[mac[i] & 15];
    }
}

START_TEST(test_what_is_signed_may_be_wrong_all_the_same)
{
    static const char *const raw[] = {
        "",
        "2;node-a;1800000000000;192.0.2.7;11s;17;5",
        "1;node-a;1800000000000;192.0.2.7;11s;17",
        "1;node-a;1800000000000;192.0.2.7;11s;17;5;",
        "1;node-a;1800000000000;192.0.2.7;11s;17;5;6",
        "1;;1800000000000;192.0.2.7;11s;17;5",
        "1;no de;1800000000000;192.0.2.7;11s;17;5",
        "1;node-a;;192.0.2.7;11s;17;5",
        "1;node-a;-1;192.0.2.7;11s;17;5",
        "1;node-a;1800000000000;name;11s;17;5",
        "1;node-a;1800000000000;192.0.2.7;s;17;5",
        "1;node-a;1800000000000;192.0.2.7;12;17;5",
        "1;node-a;1800000000000;192.0.2.7;11s;4294967295;5",
        "1;node-a;1800000000000;192.0.2.7;11s;17;18446744073709551616",
    };
    sign_text("1;node-a;1800000000000;192.0.2.7;11s;17;5");
    ck_assert_int_eq(read_at(NOW), WEIR_PEER_PASS_GOOD);
    for (size_t i = 0; i < sizeof raw / sizeof raw[0]; i++) {
        sign_text(raw[i]);
        ck_assert_msg(read_at(NOW) == WEIR_PEER_PASS_MALFORMED, "%s", raw[i]);
    }
}
END_TEST

CHECK_MAIN("peer_auth", setup, teardown, test_hmac_is_rfc_4231s, test_what_is_written_is_read, test_the_longest_fits,
           test_good_for_a_time_only, test_good_for_one_request_only, test_another_secret_is_forged,
           test_no_byte_may_be_another, test_what_is_signed_may_be_wrong_all_the_same)
