#include "core/str.h"

bool weir_str_eq_nocase(struct weir_str a, struct weir_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (weir_lower(a.ptr[i]) != weir_lower(b.ptr[i]))
            return false;
    return true;
}

static bool is_ows(char c)
{
    return c == ' ' || c == '\t';
}

struct weir_str weir_str_trim(struct weir_str s)
{
    while (s.len > 0 && is_ows(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_ows(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

bool weir_str_next_item(struct weir_str *list, struct weir_str *item)
{
    while (list->len > 0) {
        const char *comma = memchr(list->ptr, ',', list->len);
        size_t n = comma != NULL ? (size_t)(comma - list->ptr) : list->len;
        *item = weir_str_trim((struct weir_str){list->ptr, n});
        size_t eaten = comma != NULL ? n + 1 : n;
        list->ptr += eaten;
        list->len -= eaten;
        if (item->len > 0)
            return true;
    }
    return false;
}

bool weir_str_to_u64(struct weir_str s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
