/* Names and addresses in a certificate's subjectAltName; the common name counts only where there is none (older private
 * authorities), as in mbedTLS's own check. */
#include <string.h>
#include <strings.h>

#include "net/tls_inner.h"

#define SAN_DNS 2
#define SAN_IP  7

static bool name_matches(const char *pattern, size_t n, const char *host, size_t len, bool wildcards)
{
    if (n == len && strncasecmp(pattern, host, n) == 0)
        return true;
    if (!wildcards || n < 3 || pattern[0] != '*' || pattern[1] != '.')
        return false;
    const char *dot = memchr(host, '.', len);
    if (dot == NULL || dot == host)
        return false;
    size_t rest = len - (size_t)(dot - host);
    return rest == n - 1 && strncasecmp(pattern + 1, dot, rest) == 0;
}

static const mbedtls_x509_buf *common_name(const mbedtls_x509_crt *crt)
{
    static const char OID_CN[] = "\x55\x04\x03";
    for (const mbedtls_x509_name *at = &crt->subject; at != NULL; at = at->next) {
        if (at->oid.len == 3 && memcmp(at->oid.p, OID_CN, 3) == 0)
            return &at->val;
    }
    return NULL;
}

static unsigned tag_of(const mbedtls_x509_sequence *at)
{
    return (unsigned)at->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
}

bool weir_tls_names_host(const mbedtls_x509_crt *crt, const char *host, size_t len, bool wildcards)
{
    if (crt->subject_alt_names.buf.p == NULL) {
        const mbedtls_x509_buf *cn = common_name(crt);
        return cn != NULL && name_matches((const char *)cn->p, cn->len, host, len, wildcards);
    }
    for (const mbedtls_x509_sequence *at = &crt->subject_alt_names; at != NULL; at = at->next) {
        if (tag_of(at) == SAN_DNS && name_matches((const char *)at->buf.p, at->buf.len, host, len, wildcards))
            return true;
    }
    return false;
}

bool weir_tls_names_ip(const mbedtls_x509_crt *crt, const char *ip, size_t len)
{
    for (const mbedtls_x509_sequence *at = &crt->subject_alt_names; at != NULL; at = at->next) {
        if (tag_of(at) == SAN_IP && at->buf.len == len && at->buf.p != NULL && memcmp(at->buf.p, ip, len) == 0)
            return true;
    }
    return false;
}

/* A certificate is the peer's word: nothing unprintable of it gets into a log. */
static size_t add(char *buf, size_t size, size_t at, const mbedtls_x509_buf *name)
{
    if (at > 0 && at + 3 < size) {
        buf[at++] = ',';
        buf[at++] = ' ';
    }
    for (size_t i = 0; i < name->len && at + 1 < size; i++)
        buf[at++] = name->p[i] > 0x20 && name->p[i] < 0x7f ? (char)name->p[i] : '?';
    buf[at] = '\0';
    return at;
}

void weir_tls_names_text(const mbedtls_x509_crt *crt, char *buf, size_t size)
{
    size_t at = 0;
    buf[0] = '\0';
    if (crt->subject_alt_names.buf.p == NULL) {
        const mbedtls_x509_buf *cn = common_name(crt);
        if (cn != NULL)
            add(buf, size, 0, cn);
        return;
    }
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next) {
        if (tag_of(s) == SAN_DNS)
            at = add(buf, size, at, &s->buf);
    }
}
