/* A JSON value as YAML 1.2, block style: what `-o yaml` prints. Pure. Strings are plain where every reader of YAML 1.1
 * and 1.2 takes them for the same string, else double-quoted with JSON's escapes, which YAML has too. */
#ifndef WEIR_CLI_YAML_H
#define WEIR_CLI_YAML_H

#include <jansson.h>

#include "core/textbuf.h"

void ctl_yaml(struct weir_textbuf *out, const json_t *value);

#endif
