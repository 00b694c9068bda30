/* The configuration as text: the effective one, the reference page, the JSON Schema. All from the schema table. */
#ifndef WEIR_CORE_CONFIG_OUTPUT_H
#define WEIR_CORE_CONFIG_OUTPUT_H

#include "core/config.h"
#include "core/textbuf.h"

/* The effective configuration as YAML that reads back as the same one: every key with its value in force, where it came
 * from in a comment, secrets masked. out->failed tells of a lack of memory. */
void weir_config_print(const struct weir_config *c, struct weir_textbuf *out);
/* docs/configuration.md. */
void weir_config_print_docs(struct weir_textbuf *out);
/* JSON Schema, draft 2020-12. False: out of memory. */
WEIR_MUST_USE bool weir_config_print_schema(struct weir_textbuf *out);

#endif
