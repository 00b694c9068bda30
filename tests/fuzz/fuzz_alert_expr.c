/* Whatever bytes a condition is, parsing ends in a program that can be evaluated, or in a column inside the text and a
 * sentence. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/alert_expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES 4

static int resolve(void *arg, struct weir_str name)
{
    (void)arg;
    assert(name.len > 0);
    return name.len <= NAMES ? (int)name.len - 1 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const double values[][NAMES] = {{0, 0, 0, 0}, {1, 2, 3, 4}, {(double)NAN, -1, 1e308, (double)INFINITY}};
    struct weir_alert_expr e, again;
    struct weir_alert_expr_error error;
    char *copy = malloc(size > 0 ? size : 1); /* of exactly this size, so that the sanitizer sees a byte too far */
    assert(copy != NULL);
    memcpy(copy, data, size);
    int code = weir_alert_expr_parse(&e, (struct weir_str){copy, size}, &error, NULL, resolve);
    if (code == WEIR_OK) {
        assert(e.count >= 3 && e.count <= WEIR_ALERT_EXPR_NODES_MAX);
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            enum weir_alert_truth t = weir_alert_expr_eval(&e, values[i], NAMES);
            assert(t == WEIR_ALERT_TRUE || t == WEIR_ALERT_FALSE || t == WEIR_ALERT_UNKNOWN);
        }
        /* With a space before and behind it is the same program. */
        char *wide = malloc(size + 2);
        assert(wide != NULL);
        wide[0] = wide[size + 1] = ' ';
        memcpy(wide + 1, data, size);
        if (size + 2 <= WEIR_ALERT_EXPR_BYTES_MAX) {
            int wide_code = weir_alert_expr_parse(&again, (struct weir_str){wide, size + 2}, &error, NULL, resolve);
            assert(wide_code == WEIR_OK && again.count == e.count);
        }
        free(wide);
    } else {
        assert(code == WEIR_EINVAL && error.column >= 1 && error.column <= size + 1 && error.sentence[0] != '\0');
    }
    free(copy);
    return 0;
}
