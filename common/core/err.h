/* Errors as a code and a sentence, wrapped with context on the way up and shown once. */
#ifndef WEIR_CORE_ERR_H
#define WEIR_CORE_ERR_H

#define WEIR_ERR_MAP(X)                                 \
    X(WEIR_ENOMEM, "out of memory")                     \
    X(WEIR_EINVAL, "not valid")                         \
    X(WEIR_ENOTFOUND, "not found")                      \
    X(WEIR_ELIMIT, "limit reached")                     \
    X(WEIR_ETIMEOUT, "timed out")                       \
    X(WEIR_ECLOSED, "closed")                           \
    X(WEIR_EREFUSED, "connection refused")              \
    X(WEIR_EUNREACHABLE, "network or host unreachable") \
    X(WEIR_EPROTO, "protocol violated")                 \
    X(WEIR_EBUSY, "in use")                             \
    X(WEIR_ETLS, "TLS refused or broken")               \
    X(WEIR_EIO, "I/O error")

#define WEIR_ERR_ENUM(code, text) code,
enum weir_err_code { WEIR_OK = 0, WEIR_ERR_MAP(WEIR_ERR_ENUM) };
#undef WEIR_ERR_ENUM

/* Marks a function whose result the caller may not ignore. */
#define WEIR_MUST_USE __attribute__((warn_unused_result))

struct weir_err {
    int code;
    char msg[512];
};

/* Sets code and message; returns code, so that a failing function can end in `return weir_err_set(...)`. */
int weir_err_set(struct weir_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<fmt>: " before the message that is there; returns the code that is there. */
int weir_err_wrap(struct weir_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Of the failures at several addresses of one name, the one to tell: *told becomes `next`, unless that says less. Least
 * says that this machine has no way to an address (it has no IPv6, say), most a TLS handshake that failed; of equals
 * the last is told. */
void weir_err_tell(struct weir_err *told, const struct weir_err *next);

/* The general sentence of a code: "timed out". */
const char *weir_err_text(int code);

#endif
