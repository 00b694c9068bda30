/* A page and one value of its query, percent-encoded (RFC 3986 section 2.1). Pure. */
#ifndef WEIR_CLI_QUERY_H
#define WEIR_CLI_QUERY_H

#include <stdbool.h>
#include <stddef.h>

/* out: page, which ends in "?name=", and the value. False: it does not fit. */
bool ctl_query(char *out, size_t cap, const char *page, const char *value);

#endif
