/* A slice of bytes that somebody else owns: pointer and length, no terminator promised. */
#ifndef WEIR_CORE_STR_H
#define WEIR_CORE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct weir_str {
    const char *ptr;
    size_t len;
};

#define WEIR_STR(literal) ((struct weir_str){literal "", sizeof(literal) - 1})
/* For printf: printf("%.*s", WEIR_FMT(s)). */
#define WEIR_FMT(s) (int)(s).len, (s).ptr

static inline struct weir_str weir_str_of(const char *text)
{
    return (struct weir_str){text, text != NULL ? strlen(text) : 0};
}

static inline bool weir_str_eq(struct weir_str a, struct weir_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool weir_str_starts(struct weir_str s, struct weir_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline char weir_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Of a hexadecimal digit in lower case, and in either; -1: it is none. */
static inline int weir_lower_hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
static inline int weir_hex_value(char c)
{
    return weir_lower_hex_value(weir_lower(c));
}

/* Equal but for ASCII case. */
bool weir_str_eq_nocase(struct weir_str a, struct weir_str b);

/* Without the spaces and tabs at both ends (RFC 9110 OWS). */
struct weir_str weir_str_trim(struct weir_str s);

/* Takes the next element off a comma-separated list (RFC 9110 section 5.6.1), trimmed; empty elements are skipped.
 * False when the list is used up. */
bool weir_str_next_item(struct weir_str *list, struct weir_str *item);

/* Decimal digits only, no sign, no space. False on anything else and on overflow. */
bool weir_str_to_u64(struct weir_str s, uint64_t *out);

#endif
