/* x-weir-peer is hostile in two ways: unsigned, when nothing but its MAC may be looked at, and signed by a peer gone
 * mad. What is taken of the second kind is written again as a text that is taken and says the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/peer_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct weir_peer_request request = {WEIR_STR("id"), WEIR_STR("GET"), WEIR_STR("a"), WEIR_STR("/")};

static enum weir_peer_pass_word read_copy(struct weir_peer_pass *out, const struct weir_peer_key *key, const char *text,
                                          size_t n, char *copy)
{
    memcpy(copy, text, n);
    return weir_peer_pass_read(out, key, (struct weir_str){copy, n}, &request, 1000, 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    struct weir_peer_key key;
    struct weir_peer_pass pass, again;
    uint8_t mac[WEIR_PEER_MAC_BYTES];
    char signed_text[WEIR_PEER_PASS_TEXT_MAX], *copy = malloc(size + WEIR_PEER_PASS_TEXT_MAX);
    assert(copy != NULL && weir_peer_key_init(&key, WEIR_STR("secret")));
    enum weir_peer_pass_word w = read_copy(&pass, &key, (const char *)data, size, copy);
    assert(w == WEIR_PEER_PASS_MALFORMED || w == WEIR_PEER_PASS_FORGED);
    size_t room = sizeof signed_text - 1 - sizeof mac * 2, n = size < room ? size : room;
    memcpy(signed_text, data, n);
    const struct weir_str line = WEIR_STR("\n");
    const struct weir_str parts[] = {{signed_text, n},  line, request.id,    line, request.method, line,
                                     request.authority, line, request.target};
    assert(weir_peer_key_mac(&key, parts, sizeof parts / sizeof parts[0], mac));
    signed_text[n++] = ';';
    for (size_t i = 0; i < sizeof mac; i++) {
        signed_text[n++] = digits[mac[i] >> 4];
        signed_text[n++] = digits[mac[i] & 15];
    }
    w = read_copy(&pass, &key, signed_text, n, copy);
    assert(w != WEIR_PEER_PASS_FORGED);
    if (w == WEIR_PEER_PASS_GOOD) {
        n = weir_peer_pass_write(signed_text, &key, &pass, &request);
        char *second = malloc(n);
        assert(n > 0 && second != NULL);
        assert(read_copy(&again, &key, signed_text, n, second) == WEIR_PEER_PASS_GOOD);
        assert(again.shard == pass.shard && again.epoch == pass.epoch && weir_str_eq(again.node, pass.node));
        free(second);
    }
    free(copy);
    return 0;
}
