/* The Retry-After field of a response (RFC 9110 section 10.2.3): seconds, or a date in any of the three forms that a
 * recipient has to understand (section 5.6.7). */
#ifndef WEIR_CORE_RETRY_AFTER_H
#define WEIR_CORE_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/str.h"

/* What a longer wait is cut to: daily quotas are the longest that providers ask for in earnest. */
#define WEIR_RETRY_AFTER_MS_MAX (UINT64_C(24) * 3600 * 1000)

/* A field's value to the wait from unix_ms on, in milliseconds; 0 for a date that has passed. Spaces around it are
 * fine. False, and *wait_ms untouched, when it is neither: then the field is to be ignored. */
bool weir_retry_after_parse(struct weir_str value, uint64_t unix_ms, uint64_t *wait_ms);

/* An HTTP-date to seconds since 1970; unix_s_now resolves the two digits of an RFC 850 year (more than 50 years ahead
 * means the century before). Dates before 1970 are false like anything that is no date. The day's name has to be one,
 * but need not be the right one. */
bool weir_http_date_parse(struct weir_str text, uint64_t unix_s_now, uint64_t *unix_s);

#endif
