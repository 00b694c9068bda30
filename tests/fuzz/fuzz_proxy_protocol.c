/* A header is the same however it is cut: every shorter slice of one that is taken asks for more, and bytes behind it
 * change nothing. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum weir_proxy_status parse(struct weir_proxy_header *h, const uint8_t *data, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1); /* of exactly this size, so that the sanitizer sees a byte too far */
    assert(copy != NULL);
    memcpy(copy, data, n);
    enum weir_proxy_status status = weir_proxy_parse(h, (struct weir_str){copy, n});
    free(copy);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_proxy_header whole, part;
    enum weir_proxy_status status = parse(&whole, data, size);
    if (status == WEIR_PROXY_MORE)
        assert(size < WEIR_PROXY_HEADER_MAX);
    if (status == WEIR_PROXY_OK) {
        assert(whole.len <= size && whole.len <= WEIR_PROXY_HEADER_MAX);
        assert(parse(&part, data, whole.len) == WEIR_PROXY_OK);
        assert(part.len == whole.len && part.has_addrs == whole.has_addrs);
        for (size_t n = 0; n<whole.len; n += whole.len> 256 ? 61 : 1)
            assert(parse(&part, data, n) == WEIR_PROXY_MORE);
    }
    return 0;
}
