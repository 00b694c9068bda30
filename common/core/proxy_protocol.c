#include "core/proxy_protocol.h"

static const char V2_SIGNATURE[12] = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
#define V1_PREFIX "PROXY "

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };
enum { V2_TCP4_LEN = 12, V2_TCP6_LEN = 36, V2_UNIX_LEN = 216 };

/* Whether both agree as far as the shorter one goes. */
static bool may_begin_with(struct weir_str bytes, const char *prefix, size_t len)
{
    return memcmp(bytes.ptr, prefix, bytes.len < len ? bytes.len : len) == 0;
}

/* The next word of a version 1 line; words are separated by exactly one space. */
static bool next_word(struct weir_str *line, struct weir_str *word)
{
    if (line->ptr == NULL)
        return false;
    const char *space = line->len > 0 ? memchr(line->ptr, ' ', line->len) : NULL;
    *word = (struct weir_str){line->ptr, space != NULL ? (size_t)(space - line->ptr) : line->len};
    if (space != NULL)
        *line = (struct weir_str){space + 1, line->len - word->len - 1};
    else
        *line = (struct weir_str){NULL, 0};
    return word->len > 0;
}

static bool parse_port(struct weir_str *line, uint16_t *port)
{
    struct weir_str word;
    uint64_t value;
    if (!next_word(line, &word) || (word.len > 1 && word.ptr[0] == '0') || !weir_str_to_u64(word, &value) ||
        value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

static bool parse_address(struct weir_str *line, bool v6, struct weir_ip *ip)
{
    struct weir_str word;
    if (!next_word(line, &word) || !weir_ip_parse(ip, word))
        return false;
    return v6 == (memchr(word.ptr, ':', word.len) != NULL);
}

static bool parse_v1_line(struct weir_proxy_header *h, struct weir_str line)
{
    struct weir_str family;
    if (!next_word(&line, &family))
        return false;
    if (weir_str_eq(family, WEIR_STR("UNKNOWN"))) /* whatever follows is to be ignored */
        return true;
    bool v6 = weir_str_eq(family, WEIR_STR("TCP6"));
    if (!v6 && !weir_str_eq(family, WEIR_STR("TCP4")))
        return false;
    h->has_addrs = true;
    return parse_address(&line, v6, &h->source) && parse_address(&line, v6, &h->destination) &&
           parse_port(&line, &h->source_port) && parse_port(&line, &h->destination_port) && line.ptr == NULL;
}

static enum weir_proxy_status parse_v1(struct weir_proxy_header *out, struct weir_str bytes)
{
    const size_t prefix_len = sizeof V1_PREFIX - 1;
    size_t looked = bytes.len < WEIR_PROXY_V1_MAX ? bytes.len : WEIR_PROXY_V1_MAX;
    const char *cr = memchr(bytes.ptr, '\r', looked);
    size_t line_len = cr != NULL ? (size_t)(cr - bytes.ptr) : looked;
    if (line_len + 2 > WEIR_PROXY_V1_MAX || memchr(bytes.ptr, '\n', line_len) != NULL)
        return WEIR_PROXY_BAD;
    if (cr == NULL || line_len + 1 == bytes.len)
        return WEIR_PROXY_MORE;
    if (cr[1] != '\n' || line_len < prefix_len)
        return WEIR_PROXY_BAD;
    struct weir_proxy_header h = {.len = line_len + 2};
    if (!parse_v1_line(&h, (struct weir_str){bytes.ptr + prefix_len, line_len - prefix_len}))
        return WEIR_PROXY_BAD;
    *out = h;
    return WEIR_PROXY_OK;
}

static uint16_t read_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* The address block of a PROXY command. Datagram protocols and unassigned families are refused, as the document asks.
 */
static bool parse_v2_addresses(struct weir_proxy_header *h, uint8_t family, const uint8_t *p, size_t n)
{
    switch (family) {
    case V2_UNSPEC:
        return true;
    case V2_UNIX:
        return n >= V2_UNIX_LEN;
    case V2_TCP4:
        if (n < V2_TCP4_LEN)
            return false;
        h->source = weir_ip_from_v4(p);
        h->destination = weir_ip_from_v4(p + 4);
        p += 8;
        break;
    case V2_TCP6:
        if (n < V2_TCP6_LEN)
            return false;
        memcpy(h->source.bytes, p, 16);
        memcpy(h->destination.bytes, p + 16, 16);
        p += 32;
        break;
    default:
        return false;
    }
    h->has_addrs = true;
    h->source_port = read_u16(p);
    h->destination_port = read_u16(p + 2);
    return true;
}

static enum weir_proxy_status parse_v2(struct weir_proxy_header *out, struct weir_str bytes)
{
    const uint8_t *p = (const uint8_t *)bytes.ptr;
    if (bytes.len > 12 && p[12] != V2_LOCAL && p[12] != V2_PROXY)
        return WEIR_PROXY_BAD;
    if (bytes.len < WEIR_PROXY_V2_FIXED)
        return WEIR_PROXY_MORE;
    size_t rest = read_u16(p + 14);
    if (rest > WEIR_PROXY_V2_REST_MAX)
        return WEIR_PROXY_BAD;
    if (bytes.len < WEIR_PROXY_V2_FIXED + rest)
        return WEIR_PROXY_MORE;
    struct weir_proxy_header h = {.len = WEIR_PROXY_V2_FIXED + rest};
    if (p[12] == V2_PROXY && !parse_v2_addresses(&h, p[13], p + WEIR_PROXY_V2_FIXED, rest))
        return WEIR_PROXY_BAD;
    *out = h;
    return WEIR_PROXY_OK;
}

enum weir_proxy_status weir_proxy_parse(struct weir_proxy_header *out, struct weir_str bytes)
{
    if (bytes.len == 0)
        return WEIR_PROXY_MORE;
    if (may_begin_with(bytes, V1_PREFIX, sizeof V1_PREFIX - 1))
        return parse_v1(out, bytes);
    if (may_begin_with(bytes, V2_SIGNATURE, sizeof V2_SIGNATURE))
        return parse_v2(out, bytes);
    return WEIR_PROXY_BAD;
}
