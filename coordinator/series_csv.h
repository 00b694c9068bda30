/* A load's history as a CSV text: a header line ("t" and the names of the series), then one line for each step, the
 * time in seconds first and the load second; further columns are not read. A load that is left empty, and lines that
 * are left out, are gaps. Pure. */
#ifndef WEIR_COORDINATOR_SERIES_CSV_H
#define WEIR_COORDINATOR_SERIES_CSV_H

#include <stddef.h>

#include "core/err.h"
#include "core/str.h"

/* A line is two numbers, and columns of whoever made the file. */
#define WEIR_SERIES_LINE_MAX 4096u

struct weir_series {
    double step_s;
    double *values; /* NAN: a gap */
    size_t count, gaps;
};

/* step_s: the step, 0: as between the first two lines. Errors name the line: WEIR_EINVAL (a cell that is no number of 0
 * or more, another count of cells than in the header, times that are not a whole number of steps apart, more than
 * count_max values, gaps for the most part), WEIR_ENOMEM; *s is empty then. */
WEIR_MUST_USE int weir_series_parse(struct weir_series *s, struct weir_str text, double step_s, size_t count_max,
                                    struct weir_err *err);
void weir_series_close(struct weir_series *s);

#endif
