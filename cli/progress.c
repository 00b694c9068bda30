#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 30u

void ctl_progress_begin(struct ctl_progress *p)
{
    *p = (struct ctl_progress){.shown = isatty(STDERR_FILENO) == 1};
}

void ctl_progress_set(struct ctl_progress *p, double part, const char *fmt, ...)
{
    char line[256], bar[BAR_WIDTH + 1];
    va_list ap;
    if (!p->shown)
        return;
    size_t full = part >= 1 ? BAR_WIDTH : part > 0 ? (size_t)(part * BAR_WIDTH) : 0;
    memset(bar, '#', full);
    memset(bar + full, '.', BAR_WIDTH - full);
    bar[BAR_WIDTH] = '\0';
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\r[%s] %s", bar, line);
    unsigned width = BAR_WIDTH + 3 + (unsigned)strlen(line);
    for (unsigned i = width; i < p->width; i++)
        fputc(' ', stderr);
    p->width = width;
    fflush(stderr);
}

void ctl_progress_end(struct ctl_progress *p)
{
    if (!p->shown)
        return;
    fputc('\r', stderr);
    for (unsigned i = 0; i < p->width; i++)
        fputc(' ', stderr);
    fputc('\r', stderr);
    fflush(stderr);
    p->width = 0;
}
