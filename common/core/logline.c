#include "core/logline.h"

#include <assert.h>

/* What weir_line_end may still have to add. */
#define TAIL_JSON     ",\"truncated\":true}\n"
#define TAIL_LOGFMT   " truncated=true\n"
#define TAIL_RESERVED sizeof TAIL_JSON
#define NODE_MAX      ((size_t)128)
#define MARK_CUT      "..."
#define MARK_INVALID  "\xef\xbf\xbd" /* U+FFFD */

enum { QUOTES = 2 };

/* Bits of byte_class. */
enum { PLAIN = 1, BARE = 2 };
/* PLAIN bytes stand for themselves inside quotes; BARE ones need no quotes in logfmt. */
#define P PLAIN
#define B (PLAIN | BARE)
static const uint8_t byte_class[256] = {
    [' '] = P, ['!'] = B, ['#'] = B, ['$'] = B,         ['%'] = B,         ['&'] = B,         ['\''] = B,
    ['('] = B, [')'] = B, ['*'] = B, ['+'] = B,         [','] = B,         ['-'] = B,         ['.'] = B,
    ['/'] = B, [':'] = B, [';'] = B, ['<'] = B,         ['='] = P,         ['>'] = B,         ['?'] = B,
    ['@'] = B, ['['] = B, [']'] = B, ['^'] = B,         ['_'] = B,         ['`'] = B,         ['{'] = B,
    ['|'] = B, ['}'] = B, ['~'] = B, ['0' ... '9'] = B, ['A' ... 'Z'] = B, ['a' ... 'z'] = B,
};
#undef P
#undef B

/* Eight bytes at once: non-zero when one of them is below n (at most 128), or equals c. */
#define ONES            UINT64_C(0x0101010101010101)
#define HIGHS           (ONES * 0x80)
#define ANY_BELOW(x, n) (((x)-ONES * (n)) & ~(x)&HIGHS)
#define ANY_EQUAL(x, c) ANY_BELOW((x) ^ (ONES * (c)), 1)

/* How many bytes from p on are of the class. */
static inline size_t run_of(const char *p, size_t n, int class)
{
    size_t i = 0;
    for (uint64_t x; n - i >= sizeof x; i += sizeof x) {
        memcpy(&x, p + i, sizeof x);
        uint64_t stop = (x & HIGHS) | ANY_BELOW(x, 0x20) | ANY_EQUAL(x, '"') | ANY_EQUAL(x, '\\') | ANY_EQUAL(x, 0x7f);
        if (class == BARE)
            stop |= ANY_EQUAL(x, ' ') | ANY_EQUAL(x, '=');
        if (stop != 0)
            break;
    }
    while (i < n && (byte_class[(uint8_t)p[i]] & class) != 0)
        i++;
    return i;
}

const char *weir_log_level_text(enum weir_log_level level)
{
#define LEVEL(id, text) text,
    static const char *const texts[] = {WEIR_LOG_LEVEL_MAP(LEVEL)};
#undef LEVEL
    return texts[level];
}

static size_t room(const struct weir_line *l)
{
    return (size_t)(l->end - l->at);
}

/* The caller has checked the room. */
static void put(struct weir_line *l, const char *p, size_t n)
{
    memcpy(l->at, p, n);
    l->at += n;
}

/* Everything up to the value; false, and the line is marked, when key and n more bytes do not fit. */
static bool put_key(struct weir_line *l, const char *key, size_t n)
{
    size_t len = strlen(key);
    if (l->truncated || room(l) < len + 4 + n) {
        l->truncated = true;
        return false;
    }
    if (l->format == WEIR_LOG_JSON) {
        *l->at = l->at == l->start ? '{' : ',';
        l->at[1] = '"';
        memcpy(l->at + 2, key, len);
        l->at[len + 2] = '"';
        l->at[len + 3] = ':';
        l->at += len + 4;
        return true;
    }
    if (l->at != l->start)
        *l->at++ = ' ';
    memcpy(l->at, key, len);
    l->at[len] = '=';
    l->at += len + 1;
    return true;
}

/* Length of the UTF-8 character at p (RFC 3629, section 4), 0 when it is malformed, cut off, or a C1 control. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t n;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;
        if (p[0] == 0xc2)
            low = 0xa0;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;
        if (p[0] == 0xe0)
            low = 0xa0;
        if (p[0] == 0xed)
            high = 0x9f;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        if (p[0] == 0xf4)
            high = 0x8f;
    } else {
        return 0;
    }
    if (left < n || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* What the character at p becomes inside quotes; *used: the bytes of it. At most 6 bytes. */
static size_t escape(char out[6], const uint8_t *p, size_t left, size_t *used)
{
    static const char hex[] = "0123456789abcdef";
    *used = 1;
    if (*p == '"' || *p == '\\') {
        out[0] = '\\';
        out[1] = (char)*p;
        return 2;
    }
    if (*p < 0x20 || *p == 0x7f) {
        memcpy(out, "\\u00", 4);
        out[4] = hex[*p >> 4];
        out[5] = hex[*p & 15];
        return 6;
    }
    size_t n = utf8_len(p, left);
    if (n == 0) {
        memcpy(out, MARK_INVALID, 3);
        return 3;
    }
    *used = n;
    memcpy(out, p, n);
    return n;
}

/* The text between the quotes, at most max (4 or more) bytes of output; one that needs more than max - 3 is cut. */
static void put_escaped(struct weir_line *l, struct weir_str s, size_t max)
{
    const char *p = s.ptr, *end = p + s.len, *limit = l->at + max - (sizeof MARK_CUT - 1);
    bool fits = true;
    while (fits && p < end) {
        size_t n = run_of(p, (size_t)(end - p), PLAIN), left = (size_t)(limit - l->at);
        fits = n <= left;
        put(l, p, fits ? n : left);
        p += n;
        if (!fits || p == end)
            break;
        char esc[6];
        size_t used, len = escape(esc, (const uint8_t *)p, (size_t)(end - p), &used);
        fits = len <= left - n;
        if (fits)
            put(l, esc, len);
        p += used;
    }
    if (!fits)
        put(l, MARK_CUT, sizeof MARK_CUT - 1);
}

void weir_line_value(struct weir_line *l, struct weir_str value, size_t max)
{
    assert(max >= sizeof MARK_CUT && room(l) >= max + QUOTES);
    /* In logfmt a value of such bytes needs no quotes. */
    if (l->format == WEIR_LOG_LOGFMT && value.len > 0 && value.len < max &&
        run_of(value.ptr, value.len, BARE) == value.len) {
        put(l, value.ptr, value.len);
        return;
    }
    *l->at++ = '"';
    put_escaped(l, value, max);
    *l->at++ = '"';
}

void weir_line_str_cut(struct weir_line *l, const char *key, struct weir_str value, size_t max)
{
    enum { TELLING = 16 }; /* less of a value would say nothing */
    if (!put_key(l, key, QUOTES + TELLING))
        return;
    weir_line_value(l, value, max < room(l) - QUOTES ? max : room(l) - QUOTES);
}

void weir_line_str(struct weir_line *l, const char *key, struct weir_str value)
{
    weir_line_str_cut(l, key, value, WEIR_LOG_VALUE_MAX);
}

void weir_line_text(struct weir_line *l, const char *key, const char *text)
{
    if (text != NULL)
        weir_line_str(l, key, weir_str_of(text));
}

static unsigned digits_of(uint64_t v)
{
    unsigned n = 1;
    for (; v >= 10000; v /= 10000)
        n += 4;
    return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* The n = digits_of(v) digits of v. */
static void put_digits(char *out, uint64_t v, unsigned n)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464"
        "74849505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394"
        "9596979899";
    for (; n >= 2; n -= 2, v /= 100)
        memcpy(out + n - 2, &pairs[v % 100 * 2], 2);
    if (n == 1)
        out[0] = (char)('0' + v);
}

void weir_line_value_u64(struct weir_line *l, uint64_t v)
{
    unsigned n = digits_of(v);
    assert(room(l) >= WEIR_LINE_NUMBER_MAX);
    put_digits(l->at, v, n);
    l->at += n;
}

void weir_line_value_thousandths(struct weir_line *l, uint64_t v)
{
    weir_line_value_u64(l, v / 1000);
    unsigned rest = (unsigned)(v % 1000);
    l->at[0] = '.';
    l->at[1] = (char)('0' + rest / 100);
    put_digits(l->at + 2, rest % 100, 2);
    l->at += 4;
}

static void put_sign(struct weir_line *l, bool negative)
{
    if (negative)
        *l->at++ = '-';
}

void weir_line_u64(struct weir_line *l, const char *key, uint64_t value)
{
    if (put_key(l, key, WEIR_LINE_NUMBER_MAX))
        weir_line_value_u64(l, value);
}

void weir_line_i64(struct weir_line *l, const char *key, int64_t value)
{
    if (!put_key(l, key, WEIR_LINE_NUMBER_MAX + 1))
        return;
    put_sign(l, value < 0);
    weir_line_value_u64(l, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void weir_line_double(struct weir_line *l, const char *key, double value)
{
    double size = value < 0 ? -value : value;
    /* Written so that what is not a number fails the comparison. */
    if (!(size < 1e15) || !put_key(l, key, WEIR_LINE_NUMBER_MAX + 1))
        return;
    put_sign(l, value < 0);
    weir_line_value_thousandths(l, (uint64_t)(size * 1000 + 0.5));
}

void weir_line_us_as_ms(struct weir_line *l, const char *key, uint64_t us)
{
    if (put_key(l, key, WEIR_LINE_NUMBER_MAX))
        weir_line_value_thousandths(l, us);
}

void weir_line_bool(struct weir_line *l, const char *key, bool value)
{
    struct weir_str text = value ? WEIR_STR("true") : WEIR_STR("false");
    if (put_key(l, key, text.len))
        put(l, text.ptr, text.len);
}

void weir_rfc3339_ms(char out[WEIR_RFC3339_MS_LEN], uint64_t unix_ms)
{
    const uint64_t last_ms = 253402300799999; /* of the year 9999 */
    if (unix_ms > last_ms)
        unix_ms = last_ms;
    unsigned ms = (unsigned)(unix_ms % 1000), second = (unsigned)(unix_ms / 1000 % 86400);
    /* Civil from days: years that begin in March, so that the leap day is the last one; eras of 400 years. */
    uint64_t day = unix_ms / 86400000 + 719468, era = day / 146097;
    unsigned doe = (unsigned)(day % 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153, mday = doy - (153 * mp + 2) / 5 + 1;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    unsigned year = yoe + (unsigned)era * 400 + (month <= 2);

    memcpy(out, "0000-00-00T00:00:00.000Z", WEIR_RFC3339_MS_LEN);
    put_digits(out, year / 100, 2);
    put_digits(out + 2, year % 100, 2);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, mday, 2);
    put_digits(out + 11, second / 3600, 2);
    put_digits(out + 14, second / 60 % 60, 2);
    put_digits(out + 17, second % 60, 2);
    out[20] = (char)('0' + ms / 100);
    put_digits(out + 21, ms % 100, 2);
}

void weir_line_open(struct weir_line *l, char *buf, enum weir_log_format format)
{
    char *end = buf + WEIR_LOG_LINE_MAX - TAIL_RESERVED;
    *l = (struct weir_line){.start = buf, .at = buf, .end = end, .format = format};
}

void weir_line_begin(struct weir_line *l, char *buf, enum weir_log_format format, uint64_t unix_ms,
                     enum weir_log_level level, const char *event, const char *msg, const char *node)
{
    *l = (struct weir_line){.start = buf, .at = buf, .end = buf + WEIR_LOG_LINE_MAX - TAIL_RESERVED, .format = format};
    char ts[WEIR_RFC3339_MS_LEN];
    weir_rfc3339_ms(ts, unix_ms);
    weir_line_str(l, "ts", (struct weir_str){ts, sizeof ts});
    weir_line_text(l, "level", weir_log_level_text(level));
    weir_line_text(l, "event", event);
    weir_line_text(l, "msg", msg);
    if (node != NULL)
        weir_line_str_cut(l, "node", weir_str_of(node), NODE_MAX);
}

size_t weir_line_end(struct weir_line *l)
{
    struct weir_str tail;
    if (l->format == WEIR_LOG_JSON)
        tail = l->truncated ? WEIR_STR(TAIL_JSON) : WEIR_STR("}\n");
    else
        tail = l->truncated ? WEIR_STR(TAIL_LOGFMT) : WEIR_STR("\n");
    put(l, tail.ptr, tail.len);
    return (size_t)(l->at - l->start);
}
