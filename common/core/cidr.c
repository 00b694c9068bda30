#include "core/cidr.h"

#include <stdio.h>

static const uint8_t V4_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct weir_ip weir_ip_from_v4(const uint8_t bytes[4])
{
    struct weir_ip ip;
    memcpy(ip.bytes, V4_PREFIX, 12);
    memcpy(ip.bytes + 12, bytes, 4);
    return ip;
}

bool weir_ip_is_v4(const struct weir_ip *ip)
{
    return memcmp(ip->bytes, V4_PREFIX, 12) == 0;
}

bool weir_ip_is_loopback(const struct weir_ip *ip)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    return weir_ip_is_v4(ip) ? ip->bytes[12] == 127 : memcmp(ip->bytes, v6_loopback, 16) == 0;
}

bool weir_ip_eq(const struct weir_ip *a, const struct weir_ip *b)
{
    return memcmp(a->bytes, b->bytes, 16) == 0;
}

static bool parse_v4(uint8_t out[4], struct weir_str s)
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (at >= s.len || s.ptr[at++] != '.'))
            return false;
        unsigned value = 0;
        size_t digits = 0;
        for (; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9' && digits < 3; at++, digits++)
            value = value * 10 + (unsigned)(s.ptr[at] - '0');
        bool leading_zero = digits > 1 && s.ptr[at - digits] == '0'; /* octal to some readers: refused */
        if (digits == 0 || leading_zero || value > 255)
            return false;
        out[part] = (uint8_t)value;
    }
    return at == s.len;
}

/* Up to four hex digits; how many there were. */
static size_t parse_group(struct weir_str s, uint16_t *out)
{
    size_t n = 0;
    unsigned value = 0;
    for (; n < s.len && n < 4 && weir_hex_value(s.ptr[n]) >= 0; n++)
        value = value * 16 + (unsigned)weir_hex_value(s.ptr[n]);
    *out = (uint16_t)value;
    return n;
}

/* Groups are laid down from the left; where "::" stood, the rest is moved to the right end afterwards. */
static bool parse_v6(uint8_t out[16], struct weir_str s)
{
    size_t used = 0, gap = SIZE_MAX;
    memset(out, 0, 16);
    if (s.len >= 2 && s.ptr[0] == ':') {
        if (s.ptr[1] != ':')
            return false;
        gap = 0;
        s = (struct weir_str){s.ptr + 2, s.len - 2};
    }
    while (s.len > 0) {
        uint16_t group;
        size_t n = parse_group(s, &group);
        if (n < s.len && s.ptr[n] == '.') { /* the last 32 bits in dotted form */
            if (used > 12 || !parse_v4(out + used, s))
                return false;
            used += 4;
            break;
        }
        if (n == 0 || used == 16)
            return false;
        out[used++] = (uint8_t)(group >> 8);
        out[used++] = (uint8_t)group;
        s = (struct weir_str){s.ptr + n, s.len - n};
        if (s.len == 0)
            break;
        if (s.len < 2 || s.ptr[0] != ':')
            return false;
        size_t colons = s.ptr[1] == ':' ? 2 : 1;
        if (colons == 2) {
            if (gap != SIZE_MAX)
                return false;
            gap = used;
        }
        s = (struct weir_str){s.ptr + colons, s.len - colons};
    }
    if (gap == SIZE_MAX)
        return used == 16;
    if (used == 16) /* "::" stands for at least one group */
        return false;
    memmove(out + gap + (16 - used), out + gap, used - gap);
    memset(out + gap, 0, 16 - used);
    return true;
}

bool weir_ip_parse(struct weir_ip *out, struct weir_str text)
{
    uint8_t v4[4];
    if (text.len > 0 && memchr(text.ptr, ':', text.len) != NULL)
        return parse_v6(out->bytes, text);
    if (!parse_v4(v4, text))
        return false;
    *out = weir_ip_from_v4(v4);
    return true;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952 4.2). */
static void find_zero_run(const struct weir_ip *ip, int *start, int *len)
{
    *start = -1;
    *len = 1;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && ip->bytes[2 * (i + n)] == 0 && ip->bytes[2 * (i + n) + 1] == 0)
            n++;
        if (n > *len) {
            *start = i;
            *len = n;
        }
    }
}

size_t weir_ip_format(const struct weir_ip *ip, char *buf)
{
    const uint8_t *b = ip->bytes;
    if (weir_ip_is_v4(ip))
        return (size_t)snprintf(buf, WEIR_IP_TEXT_MAX, "%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
    int run, run_len;
    find_zero_run(ip, &run, &run_len);
    size_t n = 0;
    for (int i = 0; i < 8; i++) {
        if (i == run) {
            n += (size_t)snprintf(buf + n, WEIR_IP_TEXT_MAX - n, "::");
            i += run_len - 1;
            continue;
        }
        const char *colon = i > 0 && i != run + (run >= 0 ? run_len : 0) ? ":" : "";
        n += (size_t)snprintf(buf + n, WEIR_IP_TEXT_MAX - n, "%s%x", colon, (unsigned)(b[2 * i] << 8 | b[2 * i + 1]));
    }
    return n;
}

/* Clears what lies behind the prefix; whether there was anything. */
static bool clear_host_bits(struct weir_net *net)
{
    bool any = false;
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = net->bits > 8 * i ? net->bits - 8 * i : 0;
        uint8_t mask = kept >= 8 ? 0xff : (uint8_t)(0xff00u >> kept);
        any = any || (net->ip.bytes[i] & ~mask) != 0;
        net->ip.bytes[i] &= mask;
    }
    return any;
}

int weir_net_parse(struct weir_net *out, struct weir_str text, struct weir_err *err)
{
    const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    struct weir_str host = {text.ptr, slash != NULL ? (size_t)(slash - text.ptr) : text.len};
    if (!weir_ip_parse(&out->ip, host))
        return weir_err_set(err, WEIR_EINVAL, "'%.*s' is not an IP address or network", WEIR_FMT(text));
    bool v4 = memchr(host.ptr, ':', host.len) == NULL;
    uint64_t bits = v4 ? 32 : 128, bits_max = bits;
    if (slash != NULL) {
        struct weir_str prefix = {slash + 1, text.len - host.len - 1};
        if (!weir_str_to_u64(prefix, &bits) || bits > bits_max)
            return weir_err_set(err, WEIR_EINVAL, "'%.*s': the prefix length is not a number from 0 to %u",
                                WEIR_FMT(text), (unsigned)bits_max);
    }
    out->bits = (uint8_t)(v4 ? bits + 96 : bits);
    if (clear_host_bits(out)) {
        char net[WEIR_IP_TEXT_MAX];
        weir_ip_format(&out->ip, net);
        return weir_err_set(err, WEIR_EINVAL, "'%.*s' has bits set behind its prefix; the network is %s/%u",
                            WEIR_FMT(text), net, (unsigned)bits);
    }
    return WEIR_OK;
}

bool weir_net_has(const struct weir_net *net, const struct weir_ip *ip)
{
    size_t whole = net->bits / 8;
    unsigned rest = net->bits % 8;
    if (memcmp(net->ip.bytes, ip->bytes, whole) != 0)
        return false;
    return rest == 0 || ((net->ip.bytes[whole] ^ ip->bytes[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

bool weir_nets_have(const struct weir_net *nets, size_t count, const struct weir_ip *ip)
{
    for (size_t i = 0; i < count; i++) {
        if (weir_net_has(&nets[i], ip))
            return true;
    }
    return false;
}
