#include "node/peer_auth.h"

#include <mbedtls/constant_time.h>
#include <stdio.h>
#include <string.h>

/* SHA-256's block (FIPS 180-4). */
#define BLOCK_BYTES 64u

/* -- HMAC (RFC 2104) -- */

static bool begin(mbedtls_sha256_context *c, const uint8_t key[BLOCK_BYTES], uint8_t pad)
{
    uint8_t block[BLOCK_BYTES];
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        block[i] = key[i] ^ pad;
    mbedtls_sha256_init(c);
    return mbedtls_sha256_starts(c, 0) == 0 && mbedtls_sha256_update(c, block, sizeof block) == 0;
}

bool weir_peer_key_init(struct weir_peer_key *k, struct weir_str secret)
{
    uint8_t key[BLOCK_BYTES] = {0};
    if (secret.len > BLOCK_BYTES) {
        if (mbedtls_sha256((const uint8_t *)secret.ptr, secret.len, key, 0) != 0)
            return false;
    } else if (secret.len > 0) {
        memcpy(key, secret.ptr, secret.len);
    }
    return begin(&k->inner, key, 0x36) && begin(&k->outer, key, 0x5c);
}

bool weir_peer_key_mac(const struct weir_peer_key *k, const struct weir_str *parts, size_t count,
                       uint8_t mac[WEIR_PEER_MAC_BYTES])
{
    mbedtls_sha256_context c;
    mbedtls_sha256_init(&c);
    mbedtls_sha256_clone(&c, &k->inner);
    bool ok = true;
    for (size_t i = 0; i < count; i++)
        ok = ok && mbedtls_sha256_update(&c, (const uint8_t *)parts[i].ptr, parts[i].len) == 0;
    ok = ok && mbedtls_sha256_finish(&c, mac) == 0;
    mbedtls_sha256_clone(&c, &k->outer);
    ok = ok && mbedtls_sha256_update(&c, mac, WEIR_PEER_MAC_BYTES) == 0 && mbedtls_sha256_finish(&c, mac) == 0;
    mbedtls_sha256_free(&c);
    return ok;
}

static bool sign(uint8_t mac[WEIR_PEER_MAC_BYTES], const struct weir_peer_key *k, struct weir_str text,
                 const struct weir_peer_request *r)
{
    const struct weir_str line = WEIR_STR("\n");
    const struct weir_str parts[] = {text, line, r->id, line, r->method, line, r->authority, line, r->target};
    return weir_peer_key_mac(k, parts, sizeof parts / sizeof parts[0], mac);
}

/* -- writing -- */

static void put_hex(char *out, const uint8_t mac[WEIR_PEER_MAC_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < WEIR_PEER_MAC_BYTES; i++) {
        *out++ = digits[mac[i] >> 4];
        *out++ = digits[mac[i] & 15];
    }
}

size_t weir_peer_pass_write(char out[WEIR_PEER_PASS_TEXT_MAX], const struct weir_peer_key *k,
                            const struct weir_peer_pass *p, const struct weir_peer_request *r)
{
    char address[WEIR_IP_TEXT_MAX], shard[16] = "-";
    uint8_t mac[WEIR_PEER_MAC_BYTES];
    int address_len = (int)weir_ip_format(&p->client, address);
    if (p->shard != WEIR_PEER_NO_SHARD)
        snprintf(shard, sizeof shard, "%u", p->shard);
    int n = snprintf(out, WEIR_PEER_PASS_TEXT_MAX, "1;%.*s;%llu;%.*s;%u%s;%s;%llu", WEIR_FMT(p->node),
                     (unsigned long long)p->store_ms, address_len, address, p->http_version, p->secure ? "s" : "",
                     shard, (unsigned long long)p->epoch);
    size_t len = (size_t)n;
    if (n < 0 || len + 1 + 2 * sizeof mac > WEIR_PEER_PASS_TEXT_MAX || !sign(mac, k, (struct weir_str){out, len}, r))
        return 0;
    out[len++] = ';';
    put_hex(out + len, mac);
    return len + 2 * sizeof mac;
}

/* -- reading -- */

static const char *const words[] = {
    [WEIR_PEER_PASS_GOOD] = "good",
    [WEIR_PEER_PASS_MALFORMED] = "malformed",
    [WEIR_PEER_PASS_FORGED] = "signed with another secret, or for another request",
    [WEIR_PEER_PASS_EXPIRED] = "signed too long ago, or by another clock",
};

const char *weir_peer_pass_word_text(enum weir_peer_pass_word w)
{
    return words[w];
}

/* Takes the MAC off the end of the text. */
static bool take_mac(struct weir_str *text, uint8_t mac[WEIR_PEER_MAC_BYTES])
{
    const size_t digits = (size_t)2 * WEIR_PEER_MAC_BYTES;
    if (text->len > WEIR_PEER_PASS_TEXT_MAX || text->len < digits + 1 || text->ptr[text->len - digits - 1] != ';')
        return false;
    const char *at = text->ptr + text->len - digits;
    for (size_t i = 0; i < WEIR_PEER_MAC_BYTES; i++) {
        int high = weir_lower_hex_value(at[2 * i]), low = weir_lower_hex_value(at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    text->len -= digits + 1;
    return true;
}

/* The next part, up to the next semicolon. False: there is none. */
static bool next(struct weir_str *rest, struct weir_str *part)
{
    if (rest->ptr == NULL)
        return false;
    const char *end = rest->len > 0 ? memchr(rest->ptr, ';', rest->len) : NULL;
    part->ptr = rest->ptr;
    part->len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    *rest = end != NULL ? (struct weir_str){end + 1, rest->len - part->len - 1} : (struct weir_str){NULL, 0};
    return true;
}

static bool read_how(struct weir_peer_pass *out, struct weir_str part)
{
    uint64_t version;
    out->secure = part.len > 0 && part.ptr[part.len - 1] == 's';
    part.len -= out->secure;
    if (!weir_str_to_u64(part, &version) || (version != 10 && version != 11 && version != 20))
        return false;
    out->http_version = (uint8_t)version;
    return true;
}

static bool read_shard(struct weir_peer_pass *out, struct weir_str part)
{
    uint64_t shard;
    out->shard = WEIR_PEER_NO_SHARD;
    if (weir_str_eq(part, WEIR_STR("-")))
        return true;
    if (!weir_str_to_u64(part, &shard) || shard >= WEIR_PEER_NO_SHARD)
        return false;
    out->shard = (uint32_t)shard;
    return true;
}

static bool parse(struct weir_peer_pass *out, struct weir_str text)
{
    enum { FORMAT, NODE, TIME, CLIENT, HOW, SHARD, EPOCH, PARTS };
    struct weir_str part[PARTS];
    for (size_t i = 0; i < PARTS; i++)
        if (!next(&text, &part[i]))
            return false;
    if (text.ptr != NULL || !weir_str_eq(part[FORMAT], WEIR_STR("1")) || !weir_coord_id_valid(part[NODE]))
        return false;
    out->node = part[NODE];
    return weir_str_to_u64(part[TIME], &out->store_ms) && weir_ip_parse(&out->client, part[CLIENT]) &&
           read_how(out, part[HOW]) && read_shard(out, part[SHARD]) && weir_str_to_u64(part[EPOCH], &out->epoch);
}

enum weir_peer_pass_word weir_peer_pass_read(struct weir_peer_pass *out, const struct weir_peer_key *k,
                                             struct weir_str text, const struct weir_peer_request *r, uint64_t store_ms,
                                             uint64_t window_ms)
{
    uint8_t given[WEIR_PEER_MAC_BYTES], ours[WEIR_PEER_MAC_BYTES];
    *out = (struct weir_peer_pass){0};
    if (!take_mac(&text, given))
        return WEIR_PEER_PASS_MALFORMED;
    if (!sign(ours, k, text, r) || mbedtls_ct_memcmp(given, ours, sizeof ours) != 0)
        return WEIR_PEER_PASS_FORGED;
    if (!parse(out, text))
        return WEIR_PEER_PASS_MALFORMED;
    uint64_t apart = out->store_ms > store_ms ? out->store_ms - store_ms : store_ms - out->store_ms;
    return apart <= window_ms ? WEIR_PEER_PASS_GOOD : WEIR_PEER_PASS_EXPIRED;
}
