#include "store/pairs.h"

bool weir_pairs_text(struct weir_str pairs, const char *name, struct weir_str *value)
{
    size_t name_len = strlen(name);
    while (pairs.len > 0) {
        const char *space = memchr(pairs.ptr, ' ', pairs.len);
        size_t len = space != NULL ? (size_t)(space - pairs.ptr) : pairs.len;
        if (len > name_len && pairs.ptr[name_len] == '=' && memcmp(pairs.ptr, name, name_len) == 0) {
            *value = (struct weir_str){pairs.ptr + name_len + 1, len - name_len - 1};
            return true;
        }
        len += space != NULL;
        pairs.ptr += len;
        pairs.len -= len;
    }
    return false;
}

bool weir_word_copy(struct weir_str word, char *to, size_t size)
{
    if (word.len >= size)
        return false;
    for (size_t i = 0; i < word.len; i++)
        if ((unsigned char)word.ptr[i] <= ' ' || word.ptr[i] == 0x7f)
            return false;
    if (word.len > 0)
        memcpy(to, word.ptr, word.len);
    to[word.len] = '\0';
    return true;
}

bool weir_pairs_copy(struct weir_str pairs, const char *name, char *to, size_t size)
{
    struct weir_str value;
    return weir_pairs_text(pairs, name, &value) && weir_word_copy(value, to, size);
}

bool weir_pairs_u64(struct weir_str pairs, const char *name, uint64_t max, uint64_t *value)
{
    struct weir_str text;
    return weir_pairs_text(pairs, name, &text) && weir_str_to_u64(text, value) && *value <= max;
}

bool weir_pairs_u32(struct weir_str pairs, const char *name, uint32_t *value)
{
    uint64_t wide;
    if (!weir_pairs_u64(pairs, name, UINT32_MAX, &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}
