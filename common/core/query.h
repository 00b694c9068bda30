/* Reading the query of a request's target (RFC 3986 section 3.4) as fields: name=value, with "&" between them. Values
 * are percent-decoded; "+" stands for itself, and names are compared as they are written. Pure; the target is hostile,
 * and a field that two readers could understand in two ways is refused. */
#ifndef WEIR_CORE_QUERY_H
#define WEIR_CORE_QUERY_H

#include "core/err.h"
#include "core/str.h"

/* More fields are a query that cannot be read. */
#define WEIR_QUERY_FIELDS_MAX 32u

enum weir_query_code {
    WEIR_QUERY_NONE,  /* there is no such field; out is "" */
    WEIR_QUERY_FOUND, /* out is its value, NUL-terminated, 1 to cap - 1 bytes */
    /* It is there twice, is empty or too long, or has a broken escape or a control character; or there are too many
     * fields. out is unspecified. */
    WEIR_QUERY_WRONG,
};

/* Looks for the field of that name, wherever it stands. */
WEIR_MUST_USE enum weir_query_code weir_query_find(struct weir_str target, struct weir_str name, char *out, size_t cap);
/* Whether there is no field but those of that name. */
WEIR_MUST_USE bool weir_query_has_only(struct weir_str target, struct weir_str name);

#endif
