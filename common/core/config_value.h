/* One scalar of the configuration: from text to its member of the model, and back. Pure. */
#ifndef WEIR_CORE_CONFIG_VALUE_H
#define WEIR_CORE_CONFIG_VALUE_H

#include "core/config_schema.h"

/* Room for the largest scalar member, and for any sentence about one. */
#define WEIR_CONFIG_VALUE_SIZE_MAX 16u
#define WEIR_CONFIG_WHY_SIZE       256u

/* BOOL, COUNT, NUMBER, DURATION, BYTES, BYTES32 or CHOICE: parses, checks the range, and writes f->size bytes to out.
 * quoted: the text stood in quotes, so it is neither number nor truth value. False: why says what is wrong, and out is
 * as it was. */
WEIR_MUST_USE bool weir_config_value_parse(const struct weir_config_field *f, const char *text, bool quoted, void *out,
                                           char why[WEIR_CONFIG_WHY_SIZE]);
/* The shortest text that weir_config_value_parse reads back as the same value. */
void weir_config_value_format(const struct weir_config_field *f, const void *value, char *buf, size_t len);
/* A status code within the field's range; false: why says what is wrong. */
WEIR_MUST_USE bool weir_config_status_parse(const struct weir_config_field *f, const char *text, uint32_t *out,
                                            char why[WEIR_CONFIG_WHY_SIZE]);
/* The field's range in words: "0 to 1024", in the file's unit. Empty without one. */
void weir_config_range_format(const struct weir_config_field *f, char *buf, size_t len);
/* Whether the text stands for false: false, no, off, in any case. */
bool weir_config_text_is_false(const char *text);
/* BOOL to BYTES32 and CHOICE: has a value of fixed size without pointers. */
bool weir_config_type_is_scalar(enum weir_config_type type);

#endif
