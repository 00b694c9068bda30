/* Texts such as "phase=open gen=4 by=node-1": how the store's records look, so that redis-cli shows them to a person.
 * They come from outside: everything is checked. */
#ifndef WEIR_STORE_PAIRS_H
#define WEIR_STORE_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/str.h"

/* What a script can count to: integers are exact in a double up to here. */
#define WEIR_STORE_NUMBER_MAX ((UINT64_C(1) << 53) - 1)

/* The value of the first pair of that name, maybe empty. */
bool weir_pairs_text(struct weir_str pairs, const char *name, struct weir_str *value);
/* The same, into a buffer of `size`; false also where it is too long or has a NUL, a space or a control character. */
bool weir_pairs_copy(struct weir_str pairs, const char *name, char *to, size_t size);
/* The same as a number; false also where it is none, or above max. */
bool weir_pairs_u64(struct weir_str pairs, const char *name, uint64_t max, uint64_t *value);
bool weir_pairs_u32(struct weir_str pairs, const char *name, uint32_t *value);

/* Copies a word from outside: short enough for `size`, and without spaces and control characters. */
bool weir_word_copy(struct weir_str word, char *to, size_t size);

#endif
