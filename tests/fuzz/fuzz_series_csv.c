/* Whatever bytes a load's history is, reading it ends in values and gaps that are what they say, or in a sentence and
 * nothing. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/series_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COUNT_MAX 5000u

static void check(struct weir_str text, double step_s)
{
    struct weir_series s;
    struct weir_err err = {0};
    int code = weir_series_parse(&s, text, step_s, COUNT_MAX, &err);
    if (code == WEIR_OK) {
        size_t gaps = 0;
        assert(s.count > 0 && s.count <= COUNT_MAX && s.step_s > 0 && isfinite(s.step_s));
        for (size_t i = 0; i < s.count; i++) {
            assert(isnan(s.values[i]) || (isfinite(s.values[i]) && s.values[i] >= 0));
            gaps += isnan(s.values[i]) ? 1 : 0;
        }
        assert(gaps == s.gaps);
    } else {
        assert(code == WEIR_EINVAL && err.msg[0] != '\0');
        assert(s.values == NULL && s.count == 0);
    }
    weir_series_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1); /* of exactly this size, so that the sanitizer sees a byte too far */
    assert(copy != NULL);
    memcpy(copy, data, size);
    check((struct weir_str){copy, size}, 0);
    check((struct weir_str){copy, size}, 0.5);
    free(copy);
    return 0;
}
