/* The field x-weir-peer, by which a node proves that a request comes from a peer, and tells of whom that one has it:
 *
 *     x-weir-peer: 1;NODE;STORE_MS;CLIENT;HOW;SHARD;EPOCH;MAC
 *
 * NODE is the sender's id, STORE_MS the time by the store's clock, CLIENT the address of the connection by which the
 * request came to the sender, HOW its HTTP version (10, 11, 20) and "s" if that was over TLS, SHARD and EPOCH what it
 * was placed by ("-": no shard). MAC is HMAC-SHA256 (RFC 2104) under the cluster's secret, in hexadecimal, over all
 * before it and over the request's id, method, authority and target, each behind a line feed.
 *
 * So nobody without the secret can make one, nor use one for another request; it is good for a time on both sides of
 * STORE_MS, in which the same request could be repeated by whoever reads the link: where links cross a network that is
 * not trusted, distributed_pool.peer_tls keeps it to itself. */
#ifndef WEIR_NODE_PEER_AUTH_H
#define WEIR_NODE_PEER_AUTH_H

#include <mbedtls/sha256.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/cidr.h"
#include "core/coord.h"
#include "core/str.h"

#define WEIR_PEER_MAC_BYTES 32u
/* The longest of each part, with what is between them. */
#define WEIR_PEER_PASS_TEXT_MAX ((size_t)320)
/* Clocks of nodes differ by what an answer of the store takes, and a request may wait in a full socket. */
#define WEIR_PEER_WINDOW_MS UINT64_C(30000)
/* Without the store a node goes by its own clock, which runs on from what the store's was; the others may meanwhile
 * have a store of another clock. */
#define WEIR_PEER_WINDOW_AWAY_MS UINT64_C(300000)
#define WEIR_PEER_NO_SHARD       UINT32_MAX

/* The secret, made ready: the state of the hash behind each of HMAC's two pads. Read by any thread. */
struct weir_peer_key {
    mbedtls_sha256_context inner, outer;
};

/* Ends up without pointers, so nothing is to be closed. False: hashing failed. */
WEIR_MUST_USE bool weir_peer_key_init(struct weir_peer_key *k, struct weir_str secret);
WEIR_MUST_USE bool weir_peer_key_mac(const struct weir_peer_key *k, const struct weir_str *parts, size_t count,
                                     uint8_t mac[WEIR_PEER_MAC_BYTES]);

/* What it is good for. */
struct weir_peer_request {
    struct weir_str id, method, authority, target;
};

struct weir_peer_pass {
    struct weir_str node;
    uint64_t store_ms;
    struct weir_ip client;
    uint8_t http_version;
    bool secure;
    uint32_t shard; /* WEIR_PEER_NO_SHARD: none */
    uint64_t epoch;
};

/* Writes the field's value; returns its length, 0 when hashing failed. */
size_t weir_peer_pass_write(char out[WEIR_PEER_PASS_TEXT_MAX], const struct weir_peer_key *k,
                            const struct weir_peer_pass *p, const struct weir_peer_request *r);

enum weir_peer_pass_word {
    WEIR_PEER_PASS_GOOD,
    WEIR_PEER_PASS_MALFORMED,
    WEIR_PEER_PASS_FORGED, /* the MAC is not ours: another secret, or another request */
    WEIR_PEER_PASS_EXPIRED,
};
const char *weir_peer_pass_word_text(enum weir_peer_pass_word w);

/* text is hostile. On GOOD *out is filled in, its node lies in text; that it is a member is not asked here. */
enum weir_peer_pass_word weir_peer_pass_read(struct weir_peer_pass *out, const struct weir_peer_key *k,
                                             struct weir_str text, const struct weir_peer_request *r, uint64_t store_ms,
                                             uint64_t window_ms);

#endif
