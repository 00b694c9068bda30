/* A bar on standard error that shows how far something is, redrawn in place; on anything but a terminal nothing is
 * drawn, since what is there is read later. */
#ifndef WEIR_CLI_PROGRESS_H
#define WEIR_CLI_PROGRESS_H

#include <stdbool.h>

struct ctl_progress {
    bool shown;     /* standard error is a terminal */
    unsigned width; /* columns of what stands there now */
};

void ctl_progress_begin(struct ctl_progress *p);
/* part: from 0 to 1; what is behind the bar is plain text. */
void ctl_progress_set(struct ctl_progress *p, double part, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Takes the bar away. */
void ctl_progress_end(struct ctl_progress *p);

#endif
