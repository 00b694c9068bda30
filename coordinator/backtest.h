/* weir-coordinator --backtest: what the forecast would have been worth on somebody's own series, beside two plain
 * methods (core/backtest), as a table or as JSON. */
#ifndef WEIR_COORDINATOR_BACKTEST_H
#define WEIR_COORDINATOR_BACKTEST_H

#include <stdbool.h>

#include "coordinator/series_csv.h"
#include "core/backtest.h"
#include "core/textbuf.h"

/* A series of WEIR_BACKTEST_VALUES_MAX steps has no more than this. */
#define WEIR_BACKTEST_FILE_BYTES_MAX ((size_t)64 << 20)

struct weir_backtest_opts {
    const char *path;
    double step_s; /* 0: as the file has it */
    unsigned horizon;
    bool json;
};

/* Reads the file and writes the result to standard output, or what is wrong to standard error; the exit code. */
int weir_backtest_main(const struct weir_backtest_opts *opts);

/* The two forms. name: of the series, any bytes; s: what was read; horizon: of the run. */
void weir_backtest_table(struct weir_textbuf *out, const char *name, const struct weir_series *s, unsigned horizon,
                         const struct weir_backtest *b);
void weir_backtest_json(struct weir_textbuf *out, const char *name, const struct weir_series *s, unsigned horizon,
                        const struct weir_backtest *b);

#endif
