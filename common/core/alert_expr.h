/* Conditions over metric names: "connection_errors_total / connections_created_total > 0.05". Parsed once into a short
 * program without pointers, evaluated as often as wanted. Pure, no allocation.
 *
 * From the loosest to the tightest, all to the left:
 *
 *     or  ||
 *     and  &&
 *     not  !                    of what follows up to the next and/or: !a > 1 is not (a > 1)
 *     >  >=  <  <=  ==  !=      does not chain
 *     +  -
 *     *  /
 *     -                         of what follows
 *     number, name, ( ... )
 *
 * Words in any case. A number is decimal digits with at most one point and an exponent: 50, 0.05, 1e6. A name is a
 * letter or underscore, then letters, digits and underscores. Numbers and truths are told apart: the whole must be a
 * truth, and neither `pending and 1` nor `(a > b) + 1` parses.
 *
 * A division by zero, and anything computed from its result, is unknown; so is a comparison with that. Of truths, what
 * the known ones leave open stays unknown: (unknown or true) is true, (unknown and false) is false, not unknown is
 * unknown. What is unknown does not fire. */
#ifndef WEIR_CORE_ALERT_EXPR_H
#define WEIR_CORE_ALERT_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/str.h"

/* The guide's longest condition has 57 bytes and 5 nodes; nobody reads one of these sizes at night. */
#define WEIR_ALERT_EXPR_BYTES_MAX 1024u
#define WEIR_ALERT_EXPR_NODES_MAX 96u
/* Parentheses, nots and minuses inside each other: the parser's own stack. */
#define WEIR_ALERT_EXPR_DEPTH_MAX 24u

struct weir_alert_expr_node {
    uint8_t op;  /* alert_expr.c's own */
    uint32_t id; /* of a name */
    double number;
};

/* In the order of evaluation: operands before their operator. */
struct weir_alert_expr {
    struct weir_alert_expr_node nodes[WEIR_ALERT_EXPR_NODES_MAX];
    uint32_t count;
};

struct weir_alert_expr_error {
    uint32_t column; /* counted in bytes, from 1; one past the end where the text ends too soon */
    char sentence[160];
    struct weir_str unknown; /* the name that resolve did not know, in the text; else empty */
};

/* The id of a name, or -1: unknown. */
typedef int weir_alert_expr_resolve_fn(void *arg, struct weir_str name);

/* On error *out is not to be used. Errors: WEIR_EINVAL, and *error says where and why. */
WEIR_MUST_USE int weir_alert_expr_parse(struct weir_alert_expr *out, struct weir_str text,
                                        struct weir_alert_expr_error *error, void *arg,
                                        weir_alert_expr_resolve_fn *resolve);

/* The id of the name at that node; -1: it is something else. */
int weir_alert_expr_name_at(const struct weir_alert_expr *e, uint32_t node);

enum weir_alert_truth { WEIR_ALERT_FALSE, WEIR_ALERT_TRUE, WEIR_ALERT_UNKNOWN };

/* values[id] for each id that resolve gave; a value that is no number is unknown. */
enum weir_alert_truth weir_alert_expr_eval(const struct weir_alert_expr *e, const double *values, size_t count);

#endif
