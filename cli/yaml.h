/* A JSON value as YAML 1.2, block style, or as JSON: what `-o yaml` and `-o json` print. Pure. Both are ASCII without
 * control characters but line ends: the rest is escaped. In YAML, strings are plain where every reader of YAML 1.1 and
 * 1.2 takes them for the same string, else double-quoted with JSON's escapes, which YAML has too. */
#ifndef WEIR_CLI_YAML_H
#define WEIR_CLI_YAML_H

#include <jansson.h>

#include "core/textbuf.h"

void ctl_yaml(struct weir_textbuf *out, const json_t *value);
/* One string, as a key or a value of YAML. */
void ctl_yaml_string(struct weir_textbuf *out, const char *text, size_t len);
/* flags: JSON_COMPACT, JSON_INDENT. */
void ctl_json(struct weir_textbuf *out, const json_t *value, size_t flags);

#endif
