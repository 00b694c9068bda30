/* What one side of TLS is made from: trust, own certificates, versions, names. Immutable once made, so any number of
 * connections on any number of threads use it; reference-counted, so a reload makes a new one and the old one goes with
 * its last connection.
 *
 * TLS 1.2 and 1.3 only, forward secrecy and AEAD only, no renegotiation. Certificates with RSA keys under 2048 bits, or
 * signed with SHA-1 or worse, are refused, the peer's and one's own. */
#ifndef WEIR_NET_TLS_CONFIG_H
#define WEIR_NET_TLS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define WEIR_TLS_SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"
/* The system's bundle has 220 KB. */
#define WEIR_TLS_FILE_BYTES_MAX   ((size_t)4194304)
#define WEIR_TLS_ALPN_MAX         4u
#define WEIR_TLS_CERTIFICATES_MAX 64u
/* A ticket key is replaced after this long, and its tickets are good for as long again. */
#define WEIR_TLS_TICKET_KEY_S 7200u

enum weir_tls_version { WEIR_TLS_1_2, WEIR_TLS_1_3 };
enum weir_tls_client_certs {
    WEIR_TLS_CLIENT_CERTS_OFF,
    WEIR_TLS_CLIENT_CERTS_OPTIONAL,
    WEIR_TLS_CLIENT_CERTS_REQUIRED
};

/* -- trusted authorities -- */

struct weir_tls_roots;

/* Reads a PEM bundle, once for all configurations that trust it: the system's takes 0.6 MB and some 10 ms. NULL: the
 * system's. Single certificates that cannot be read are passed over. Errors (naming the file): WEIR_ENOTFOUND,
 * WEIR_EIO, WEIR_EINVAL (none in it), WEIR_ENOMEM. */
int weir_tls_roots_load(struct weir_tls_roots **out, const char *file, struct weir_err *err);
struct weir_tls_roots *weir_tls_roots_ref(struct weir_tls_roots *r);
void weir_tls_roots_unref(struct weir_tls_roots **r);

/* -- configurations -- */

struct weir_tls_config;

struct weir_tls_pair {
    const char *cert_file; /* PEM: the certificate, then those that lead to an authority */
    const char *key_file;  /* PEM, not encrypted */
};

struct weir_tls_client_opts {
    struct weir_tls_roots *roots; /* a reference is taken; NULL only without `verify` */
    bool verify;
    enum weir_tls_version min_version;
    struct weir_tls_pair own; /* cert_file NULL: none. Else both: mutual TLS */
    const char *const *alpn;  /* most wanted first; NULL: not offered. Copied */
    size_t alpn_count;
};

struct weir_tls_server_opts {
    const struct weir_tls_pair *pairs; /* at least one; the first serves names that none is for */
    size_t pair_count;
    enum weir_tls_version min_version;
    struct weir_tls_roots *client_roots; /* a reference is taken; NULL only with client_certs off */
    enum weir_tls_client_certs client_certs;
    const char *const *alpn; /* a client that offers only others is refused (RFC 7301) */
    size_t alpn_count;
    /* Resumption by tickets. Not given where client certificates are asked for: a ticket would outlive the check. */
    bool tickets;
};

/* One reference, the caller's. Errors (naming file and problem): WEIR_ENOTFOUND, WEIR_EIO, WEIR_EINVAL, WEIR_ENOMEM. */
int weir_tls_config_client(struct weir_tls_config **out, const struct weir_tls_client_opts *opts, struct weir_err *err);
int weir_tls_config_server(struct weir_tls_config **out, const struct weir_tls_server_opts *opts, struct weir_err *err);
struct weir_tls_config *weir_tls_config_ref(struct weir_tls_config *c);
/* Any thread; nulls. */
void weir_tls_config_unref(struct weir_tls_config **c);

/* Its own certificates, for metrics and warnings. */
struct weir_tls_certificate {
    const char *file;
    char subject[256];
    int64_t not_before_unix_s, not_after_unix_s;
};
size_t weir_tls_config_certificates(const struct weir_tls_config *c);
const struct weir_tls_certificate *weir_tls_config_certificate(const struct weir_tls_config *c, size_t i);
bool weir_tls_config_verifies(const struct weir_tls_config *c);
/* Both are NULL, or clients of the same contents: authorities, checks, own certificate, versions, protocols. What was
 * opened under one is as good as what the other would open. */
bool weir_tls_config_alike(const struct weir_tls_config *a, const struct weir_tls_config *b);

#endif
