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
