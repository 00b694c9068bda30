/* Judging the peer's certificates, and telling why a handshake failed. */
#include <mbedtls/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_inner.h"

const mbedtls_x509_crt_profile weir_tls_profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSASSA_PSS) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) | MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP521R1),
    .rsa_min_bitlen = 2048,
};

const char *weir_tls_fail_text(enum weir_tls_fail why)
{
#define TEXT(name, text) text,
    static const char *const texts[] = {"none", WEIR_TLS_FAIL_MAP(TEXT)};
#undef TEXT
    return (unsigned)why < WEIR_TLS_FAIL_COUNT ? texts[why] : "unknown";
}

static bool same(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

static void note_name(char *buf, size_t size, const mbedtls_x509_name *name)
{
    if (mbedtls_x509_dn_gets(buf, size, name) < 0)
        snprintf(buf, size, "(a long name)");
}

/* Called for each certificate of the chain, from the authority down to the peer's own. What is told last, of the
 * certificate nearest to the peer, is what stays. */
int weir_tls_judge(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct weir_tls_verdict *v = arg;
    if (depth == 0 && v->ip != NULL && !weir_tls_names_ip(crt, v->ip, v->ip_len))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    if ((*flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
        v->self_signed = same(&crt->issuer_raw, &crt->subject_raw);
        note_name(v->issuer, sizeof v->issuer, &crt->issuer);
    }
    if ((*flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0)
        v->not_after = crt->valid_to;
    if ((*flags & MBEDTLS_X509_BADCERT_FUTURE) != 0)
        v->not_before = crt->valid_from;
    if ((*flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
        weir_tls_names_text(crt, v->names, sizeof v->names);
    note_name(v->subject, sizeof v->subject, &crt->subject);
    return 0;
}

const char *weir_tls_peer_text(const struct weir_tls *t, char *buf, size_t size)
{
    snprintf(buf, size, "tls with %s", t->config->server ? "a client" : t->host != NULL ? t->host : "the server");
    return buf;
}

struct text {
    char buf[400];
    size_t len;
};

static void say(struct text *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *out, const char *fmt, ...)
{
    size_t room = sizeof out->buf - out->len;
    if (out->len > 0 && room > 2) {
        memcpy(out->buf + out->len, "; ", 2);
        out->len += 2;
        room -= 2;
    }
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out->buf + out->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        out->len = (size_t)n < room ? out->len + (size_t)n : sizeof out->buf - 1;
}

#define WEAK_FLAGS (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY)
#define USE_FLAGS \
    (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE)

/* The first cause is the reason; the sentence has them all. */
static enum weir_tls_fail explain_flags(const struct weir_tls_verdict *v, const char *host, uint32_t flags,
                                        struct text *out)
{
    enum weir_tls_fail why = WEIR_TLS_FAIL_NONE;
#define CAUSE(mask, reason, ...)          \
    if ((flags & (mask)) != 0) {          \
        say(out, __VA_ARGS__);            \
        if (why == WEIR_TLS_FAIL_NONE)    \
            why = WEIR_TLS_FAIL_##reason; \
    }
    CAUSE(MBEDTLS_X509_BADCERT_MISSING, NO_CERTIFICATE, "it sent none")
    CAUSE(MBEDTLS_X509_BADCERT_EXPIRED, EXPIRED, "it expired on %04d-%02d-%02d", v->not_after.year, v->not_after.mon,
          v->not_after.day)
    CAUSE(MBEDTLS_X509_BADCERT_FUTURE, NOT_YET_VALID, "it is not valid before %04d-%02d-%02d", v->not_before.year,
          v->not_before.mon, v->not_before.day)
    CAUSE(MBEDTLS_X509_BADCERT_BAD_MD, WEAK, "signed with a weak hash (SHA-256 is the least)")
    CAUSE(MBEDTLS_X509_BADCERT_BAD_KEY, WEAK, "the key is too weak (RSA 2048 or P-256 is the least)")
    CAUSE(MBEDTLS_X509_BADCERT_BAD_PK, WEAK, "signed with a weak algorithm")
    CAUSE(MBEDTLS_X509_BADCERT_REVOKED, BAD_CERTIFICATE, "it is revoked")
    CAUSE(USE_FLAGS, KEY_USAGE, "its key usage does not allow this use")
    CAUSE(v->self_signed ? MBEDTLS_X509_BADCERT_NOT_TRUSTED : 0u, SELF_SIGNED, "it is self-signed and not trusted (%s)",
          v->issuer)
    CAUSE(v->self_signed ? 0u : MBEDTLS_X509_BADCERT_NOT_TRUSTED, UNTRUSTED,
          "its issuer %s is unknown, or may not issue", v->issuer)
    CAUSE(MBEDTLS_X509_BADCERT_CN_MISMATCH, WRONG_HOST, "it is for %s and not for %s",
          v->names[0] != '\0' ? v->names : v->subject, host != NULL ? host : "this host")
#undef CAUSE
    return why;
}

static const char *alert_text(uint8_t alert)
{
    static const struct {
        uint8_t alert;
        const char *text;
    } texts[] = {
        {MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE, "unexpected message"},
        {MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC, "bad record"},
        {MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW, "record overflow"},
        {MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE, "no parameters in common"},
        {MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "bad certificate"},
        {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "unsupported certificate"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED, "certificate revoked"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, "certificate expired"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, "certificate not acceptable"},
        {MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER, "illegal parameter"},
        {MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, "unknown authority"},
        {MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED, "access denied"},
        {MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR, "decode error"},
        {MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR, "decrypt error"},
        {MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, "protocol version not supported"},
        {MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY, "insufficient security"},
        {MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR, "internal error"},
        {MBEDTLS_SSL_ALERT_MSG_USER_CANCELED, "cancelled"},
        {MBEDTLS_SSL_ALERT_MSG_MISSING_EXTENSION, "missing extension"},
        {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_EXT, "unsupported extension"},
        {MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME, "unknown server name"},
        {MBEDTLS_SSL_ALERT_MSG_CERT_REQUIRED, "certificate required"},
        {MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL, "no application protocol in common"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].alert == alert)
            return texts[i].text;
    }
    return "unknown reason";
}

static enum weir_tls_fail explain_alert(const char *peer, uint8_t alert, struct weir_err *err)
{
    weir_err_set(err, WEIR_ETLS, "%s: the peer refused: %s (alert %u)", peer, alert_text(alert), alert);
    switch (alert) {
    case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
        return WEIR_TLS_FAIL_VERSION;
    case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
    case MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY:
        return WEIR_TLS_FAIL_NO_COMMON;
    case MBEDTLS_SSL_ALERT_MSG_NO_APPLICATION_PROTOCOL:
        return WEIR_TLS_FAIL_ALPN;
    default:
        return WEIR_TLS_FAIL_ALERT;
    }
}

static enum weir_tls_fail explain_other(const char *peer, int ret, struct weir_err *err)
{
    char what[128];
    switch (ret) {
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        weir_err_set(err, WEIR_ETLS, "%s: no protocol version in common (TLS 1.2 is the least)", peer);
        return WEIR_TLS_FAIL_VERSION;
    case MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE:
        weir_err_set(err, WEIR_ETLS, "%s: no cipher or key exchange in common", peer);
        return WEIR_TLS_FAIL_NO_COMMON;
    case MBEDTLS_ERR_SSL_NO_APPLICATION_PROTOCOL:
        weir_err_set(err, WEIR_ETLS, "%s: no application protocol in common (ALPN)", peer);
        return WEIR_TLS_FAIL_ALPN;
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        weir_err_set(err, WEIR_ETLS, "%s: certificate refused: it sent none", peer);
        return WEIR_TLS_FAIL_NO_CERTIFICATE;
    case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
        weir_err_set(err, WEIR_ETLS, "%s: certificate refused: it cannot be read, or its key is of a kind not accepted",
                     peer);
        return WEIR_TLS_FAIL_BAD_CERTIFICATE;
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        weir_err_set(err, WEIR_ECLOSED, "%s: the peer closed the connection during the handshake", peer);
        return WEIR_TLS_FAIL_CLOSED;
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
        weir_err_set(err, WEIR_ENOMEM, "%s: out of memory", peer);
        return WEIR_TLS_FAIL_MEMORY;
    case MBEDTLS_ERR_SSL_INVALID_MAC: /* such a client sends its alert before it has keys: it cannot be told apart */
        weir_err_set(err, WEIR_ETLS,
                     "%s: what it sends cannot be decrypted; so ends a client with OpenSSL (curl) that refuses the "
                     "certificate it was shown",
                     peer);
        return WEIR_TLS_FAIL_PROTOCOL;
    default:
        mbedtls_strerror(ret, what, sizeof what);
        weir_err_set(err, WEIR_ETLS, "%s: %s", peer, what);
        return WEIR_TLS_FAIL_PROTOCOL;
    }
}

/* The verdict's other flags do not fail a handshake: a server without client certificates skips the check. */
#define FATAL_FLAGS                                                                                       \
    (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE | WEAK_FLAGS | USE_FLAGS |                \
     MBEDTLS_X509_BADCERT_REVOKED | MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_CN_MISMATCH | \
     MBEDTLS_X509_BADCERT_MISSING)

enum weir_tls_fail weir_tls_explain(const struct weir_tls *t, int ret, uint32_t flags, uint8_t alert,
                                    struct weir_err *err)
{
    char peer[300];
    struct text out = {.len = 0};
    weir_tls_peer_text(t, peer, sizeof peer);
    if (ret == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        return explain_alert(peer, alert, err);
    bool refused = ret == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || ret == MBEDTLS_ERR_SSL_BAD_CERTIFICATE;
    if (refused && t->hs != NULL && flags != UINT32_MAX && (flags & FATAL_FLAGS) != 0) {
        enum weir_tls_fail why = explain_flags(&t->hs->verdict, t->host, flags, &out);
        weir_err_set(err, WEIR_ETLS, "%s: certificate refused: %s", peer, out.buf);
        return why;
    }
    return explain_other(peer, ret, err);
}
