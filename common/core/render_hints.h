/* The hints and the analytics as JSON, one object in one line each: as they are kept in the store and shown by nodes,
 * weirctl and a coordinator. Times are unix milliseconds of the store's clock. Pure. */
#ifndef WEIR_CORE_RENDER_HINTS_H
#define WEIR_CORE_RENDER_HINTS_H

#include "core/advisor.h"
#include "core/err.h"
#include "core/str.h"
#include "core/textbuf.h"

/* Of both texts: members that do not know it pass them over. */
#define WEIR_HINTS_SCHEMA 1u

/* version: the one that it will have in the store. Errors: WEIR_ENOMEM, also where the text's bound is met. */
WEIR_MUST_USE int weir_render_hints(struct weir_textbuf *out, const struct weir_hints *h,
                                    const struct weir_load_forecast *f, const char *leader, uint64_t version);
/* patterns: whether what is by hour of the day is in it, beside what was measured lately. */
WEIR_MUST_USE int weir_render_analytics(struct weir_textbuf *out, const struct weir_load_patterns *p, uint64_t store_ms,
                                        bool patterns);

/* What a leader that is new has to know of the advice before its own; false: the text says nothing of it. */
bool weir_hints_parse_advice(struct weir_str hints, uint32_t *desired_nodes, uint64_t *since_ms);

#endif
