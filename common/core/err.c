#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int weir_err_set(struct weir_err *err, int code, const char *fmt, ...)
{
    va_list ap;
    err->code = code;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return code;
}

int weir_err_wrap(struct weir_err *err, const char *fmt, ...)
{
    char cause[sizeof err->msg];
    va_list ap;
    memcpy(cause, err->msg, sizeof cause);
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->msg) {
        size_t room = sizeof err->msg - (size_t)n;
        snprintf(err->msg + n, room, ": %.*s", (int)room, cause);
    }
    return err->code;
}

/* How much it says of whoever was to be reached. EIO: of the machine's own addresses none fits; ENOTFOUND: nothing has
 * been tried yet. */
static unsigned weight(int code)
{
    switch (code) {
    case WEIR_ENOTFOUND:
    case WEIR_EIO:
    case WEIR_EUNREACHABLE:
        return 0;
    case WEIR_ETLS:
        return 2;
    default:
        return 1;
    }
}

void weir_err_tell(struct weir_err *told, const struct weir_err *next)
{
    if (weight(next->code) >= weight(told->code))
        *told = *next;
}

const char *weir_err_text(int code)
{
    switch (code) {
    case WEIR_OK:
        return "no error";
#define WEIR_ERR_CASE(name, text) \
    case name:                    \
        return text;
        WEIR_ERR_MAP(WEIR_ERR_CASE)
#undef WEIR_ERR_CASE
    }
    return "unknown error";
}
