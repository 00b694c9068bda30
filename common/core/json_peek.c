#include "core/json_peek.h"

#include <assert.h>

enum place {
    START,
    FIRST_NAME, /* or the end of the object */
    NAME,
    IN_NAME,
    COLON,
    FIRST_VALUE, /* or the end of the array */
    VALUE,
    IN_STRING,
    IN_NUMBER,
    IN_LITERAL,
    AFTER_VALUE,
};

enum escape { NO_ESCAPE, ESCAPE, HEX_4, HEX_3, HEX_2, HEX_1 };

/* RFC 8259 section 6: each part is named after what it has just read. */
enum number { MINUS, ZERO, DIGITS, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS, NO_NUMBER, NUMBER_ENDS };

void weir_json_peek_init(struct weir_json_peek *p, struct weir_json_want *wants, uint32_t want_count, size_t bytes_max)
{
    assert(want_count >= 1 && want_count <= WEIR_JSON_WANTS_MAX);
    *p = (struct weir_json_peek){
        .wants = wants, .want_count = want_count, .unseen = want_count, .bytes_left = bytes_max, .place = START};
    for (uint32_t i = 0; i < want_count; i++) {
        wants[i].state = WEIR_JSON_UNSEEN;
        wants[i].len = 0;
    }
}

/* -- what is found -- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool in_object(const struct weir_json_peek *p)
{
    return (p->objects >> (p->depth - 1) & 1) != 0;
}

static void name_begins(struct weir_json_peek *p)
{
    p->place = IN_NAME;
    p->name_len = 0;
    p->names = 0;
    for (uint32_t i = 0; p->depth == 1 && i < p->want_count; i++)
        if (p->wants[i].state == WEIR_JSON_UNSEEN)
            p->names |= 1u << i;
}

static void name_ends(struct weir_json_peek *p)
{
    p->place = COLON;
    for (uint32_t i = 0; i < p->want_count; i++)
        if ((p->names >> i & 1) != 0 && p->wants[i].name.len == p->name_len && p->taking == NULL)
            p->taking = &p->wants[i];
}

/* No name or value that is wanted is so. */
static void text_spoil(struct weir_json_peek *p)
{
    if (p->place == IN_NAME) {
        p->names = 0;
    } else if (p->taking != NULL) {
        p->taking->state = WEIR_JSON_OTHER;
        p->taking->len = 0;
    }
}

/* One byte of a name or string, escapes resolved. */
static void text_byte(struct weir_json_peek *p, char c)
{
    if (p->place == IN_NAME) {
        for (uint32_t i = 0; i < p->want_count; i++)
            if (p->name_len >= p->wants[i].name.len || p->wants[i].name.ptr[p->name_len] != c)
                p->names &= ~(1u << i);
        p->name_len += p->names != 0;
    } else if (p->taking != NULL && p->taking->state == WEIR_JSON_UNSEEN) {
        if (p->taking->len == WEIR_JSON_VALUE_MAX)
            text_spoil(p);
        else
            p->taking->value[p->taking->len++] = c;
    }
}

static void text_code(struct weir_json_peek *p, uint32_t code)
{
    if (code < 0x80) {
        text_byte(p, (char)code);
        return;
    }
    if (code < 0x800) {
        text_byte(p, (char)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            text_byte(p, (char)(0xe0 | code >> 12));
        } else {
            text_byte(p, (char)(0xf0 | code >> 18));
            text_byte(p, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        text_byte(p, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    text_byte(p, (char)(0x80 | (code & 0x3f)));
}

/* The value that is taken, if any, is complete: as a string or number, or as what is not wanted. */
static void taken(struct weir_json_peek *p, bool wanted)
{
    struct weir_json_want *w = p->taking;
    if (w == NULL)
        return;
    w->state = wanted && w->state == WEIR_JSON_UNSEEN ? WEIR_JSON_TAKEN : WEIR_JSON_OTHER;
    w->len = w->state == WEIR_JSON_TAKEN ? w->len : 0;
    p->taking = NULL;
    if (--p->unseen == 0)
        p->status = WEIR_JSON_FOUND;
}

static void value_ends(struct weir_json_peek *p, bool wanted)
{
    p->place = AFTER_VALUE;
    taken(p, wanted);
}

/* -- the grammar -- */

static bool opens(struct weir_json_peek *p, bool object)
{
    if (p->depth == WEIR_JSON_DEPTH_MAX)
        return false;
    p->objects &= ~(UINT64_C(1) << p->depth);
    p->objects |= (uint64_t)object << p->depth;
    p->depth++;
    p->place = object ? FIRST_NAME : FIRST_VALUE;
    taken(p, false); /* so that what is in it is nobody's value */
    return true;
}

static bool closes(struct weir_json_peek *p, bool object)
{
    if (in_object(p) != object)
        return false;
    if (--p->depth > 0)
        value_ends(p, false);
    else
        p->status = WEIR_JSON_ABSENT;
    return true;
}

static bool number_begins(struct weir_json_peek *p, char c)
{
    if (c != '-' && (c < '0' || c > '9'))
        return false;
    p->place = IN_NUMBER;
    p->number = c == '-' ? MINUS : c == '0' ? ZERO : DIGITS;
    text_byte(p, c);
    return true;
}

static bool value_begins(struct weir_json_peek *p, char c)
{
    p->place = IN_LITERAL;
    switch (c) {
    case '{':
    case '[':
        return opens(p, c == '{');
    case '"':
        p->place = IN_STRING;
        return true;
    case 't':
        p->literal = "rue";
        return true;
    case 'f':
        p->literal = "alse";
        return true;
    case 'n':
        p->literal = "ull";
        return true;
    default:
        return number_begins(p, c);
    }
}

static enum number number_next(enum number at, char c)
{
    if (c >= '0' && c <= '9') {
        switch (at) {
        case MINUS:
            return c == '0' ? ZERO : DIGITS;
        case ZERO:
            return NO_NUMBER;
        case DIGITS:
            return DIGITS;
        case POINT:
        case FRACTION:
            return FRACTION;
        default:
            return EXPONENT_DIGITS;
        }
    }
    if (c == '.')
        return at == ZERO || at == DIGITS ? POINT : NO_NUMBER;
    if (c == 'e' || c == 'E')
        return at == ZERO || at == DIGITS || at == FRACTION ? EXPONENT : NO_NUMBER;
    if (c == '+' || c == '-')
        return at == EXPONENT ? EXPONENT_SIGN : NO_NUMBER;
    return at == ZERO || at == DIGITS || at == FRACTION || at == EXPONENT_DIGITS ? NUMBER_ENDS : NO_NUMBER;
}

/* Reads one byte where no string is. False: this is no JSON. */
static bool structure(struct weir_json_peek *p, char c)
{
    if (p->place == IN_NUMBER) {
        p->number = (uint8_t)number_next((enum number)p->number, c);
        if (p->number == NO_NUMBER)
            return false;
        if (p->number != NUMBER_ENDS) {
            text_byte(p, c);
            return true;
        }
        value_ends(p, true);
        if (p->status != WEIR_JSON_MORE)
            return true;
    }
    if (p->place == IN_LITERAL) {
        if (*p->literal != c)
            return false;
        if (*++p->literal == '\0')
            value_ends(p, false);
        return true;
    }
    if (is_space(c))
        return true;
    switch (p->place) {
    case START:
        return c == '{' && opens(p, true);
    case FIRST_NAME:
        if (c == '}')
            return closes(p, true);
        /* fall through */
    case NAME:
        name_begins(p);
        return c == '"';
    case COLON:
        p->place = VALUE;
        return c == ':';
    case FIRST_VALUE:
        if (c == ']')
            return closes(p, false);
        /* fall through */
    case VALUE:
        return value_begins(p, c);
    default:
        assert(p->place == AFTER_VALUE);
        if (c == '}' || c == ']')
            return closes(p, c == '}');
        p->place = in_object(p) ? NAME : VALUE;
        return c == ',';
    }
}

/* -- strings -- */

static void string_ends(struct weir_json_peek *p)
{
    if (p->high != 0)
        text_spoil(p);
    p->high = 0;
    if (p->place == IN_NAME)
        name_ends(p);
    else
        value_ends(p, true);
}

static void unicode_ends(struct weir_json_peek *p)
{
    uint32_t code = p->code;
    bool low = code >= 0xdc00 && code <= 0xdfff;
    if (low != (p->high != 0))
        text_spoil(p);
    else if (low)
        text_code(p, 0x10000 + ((uint32_t)(p->high - 0xd800) << 10) + (code - 0xdc00));
    else if (code < 0xd800 || code > 0xdbff)
        text_code(p, code);
    p->high = code >= 0xd800 && code <= 0xdbff ? (uint16_t)code : 0;
}

static bool hex_digit(struct weir_json_peek *p, char c)
{
    int value = weir_hex_value(c);
    if (value < 0)
        return false;
    p->code = (uint16_t)(p->code << 4 | value);
    p->escape = p->escape == HEX_1 ? NO_ESCAPE : (uint8_t)(p->escape + 1);
    if (p->escape == NO_ESCAPE)
        unicode_ends(p);
    return true;
}

static bool escaped(struct weir_json_peek *p, char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (p->escape != ESCAPE)
        return hex_digit(p, c);
    if (c == 'u') {
        p->escape = HEX_4;
        p->code = 0;
        return true;
    }
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    if (at == NULL)
        return false;
    p->escape = NO_ESCAPE;
    if (p->high != 0)
        text_spoil(p);
    p->high = 0;
    text_byte(p, to[at - from]);
    return true;
}

/* Reads one byte of a name or string. */
static bool in_text(struct weir_json_peek *p, char c)
{
    if (p->escape != NO_ESCAPE)
        return escaped(p, c);
    if ((unsigned char)c < 0x20)
        return false;
    if (c == '"') {
        string_ends(p);
    } else if (c == '\\') {
        p->escape = ESCAPE;
    } else {
        if (p->high != 0)
            text_spoil(p);
        p->high = 0;
        text_byte(p, c);
    }
    return true;
}

/* How many bytes of a string that nobody wants can be passed over at once. */
static size_t dull(const struct weir_json_peek *p, struct weir_str piece)
{
    size_t n = 0;
    if (p->place != IN_STRING || p->escape != NO_ESCAPE || p->high != 0 || p->taking != NULL)
        return 0;
    while (n < piece.len && piece.ptr[n] != '"' && piece.ptr[n] != '\\' && (unsigned char)piece.ptr[n] >= 0x20)
        n++;
    return n;
}

enum weir_json_status weir_json_peek_feed(struct weir_json_peek *p, struct weir_str piece)
{
    struct weir_str left = {piece.ptr, piece.len < p->bytes_left ? piece.len : p->bytes_left};
    while (p->status == WEIR_JSON_MORE && left.len > 0) {
        size_t n = dull(p, left);
        if (n == 0) {
            n = 1;
            bool text = p->place == IN_NAME || p->place == IN_STRING;
            if (!(text ? in_text(p, left.ptr[0]) : structure(p, left.ptr[0])))
                p->status = WEIR_JSON_BAD;
        }
        left = (struct weir_str){left.ptr + n, left.len - n};
        p->bytes_left -= n;
    }
    if (p->status == WEIR_JSON_MORE && p->bytes_left == 0)
        p->status = WEIR_JSON_ABSENT;
    return p->status;
}
