#include "net/tls_config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/platform_util.h>
#include <psa/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "net/tls_inner.h"

/* Two: a pool that opens a second connection while the first still runs finds one left. */
#define TICKETS_SENT 2

/* Measured with mbedTLS 3.6.6 on x86-64 with AES-NI, 16 KB records: ChaCha20-Poly1305 379 MB/s, AES-128-GCM 333,
 * AES-256-GCM 303. Ephemeral key exchange and AEAD only: without CBC no record needs random bytes. */
static const int CIPHERS[] = {
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

/* Measured, one end: P-256 0.8 ms, X25519 1.0 ms, P-384 1.4 ms. */
static const uint16_t GROUPS[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
    MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

/* PKCS #1 before PSS: mbedTLS's TLS 1.2 does not do PSS, TLS 1.3 passes over PKCS #1, and a server that speaks TLS 1.2
 * takes the first that it knows. (One that speaks TLS 1.2 alone, has an RSA certificate and prefers its own order takes
 * PSS all the same, and the handshake fails.) */
static const uint16_t SIGNATURES[] = {
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256, MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
    MBEDTLS_TLS1_3_SIG_ECDSA_SECP521R1_SHA512, MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
    MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
    MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,    MBEDTLS_TLS1_3_SIG_NONE,
};

static int psa_error;

static void init_psa(void)
{
    psa_error = psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

static int init_crypto(struct weir_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_psa);
    return psa_error == 0 ? WEIR_OK : weir_err_set(err, WEIR_EIO, "tls: the cryptographic library does not start");
}

int weir_tls_random(void *arg, unsigned char *buf, size_t n)
{
    (void)arg;
    while (n > 0) {
        ssize_t got = getrandom(buf, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return MBEDTLS_ERR_SSL_NO_RNG;
        buf += got;
        n -= (size_t)got;
    }
    return 0;
}

/* -- files -- */

struct file {
    unsigned char *bytes; /* NUL-terminated, as PEM wants it; len counts that */
    size_t len;
};

static void wipe(struct file *f)
{
    if (f->bytes != NULL)
        mbedtls_platform_zeroize(f->bytes, f->len);
    free(f->bytes);
}

static int file_error(const char *path, int error, struct weir_err *err)
{
    return weir_err_set(err, error == ENOENT ? WEIR_ENOTFOUND : WEIR_EIO, "tls: %s: %s", path, strerrordesc_np(error));
}

static int read_all(int fd, struct file *f, const char *path, struct weir_err *err)
{
    size_t cap = 16384;
    for (;;) {
        unsigned char *grown = f->len + 1 >= cap || f->bytes == NULL ? malloc(cap * 2) : NULL;
        if (f->len + 1 >= cap || f->bytes == NULL) {
            if (grown == NULL)
                return weir_err_set(err, WEIR_ENOMEM, "tls: %s: out of memory", path);
            if (f->len > 0)
                memcpy(grown, f->bytes, f->len);
            wipe(f);
            f->bytes = grown;
            cap *= 2;
        }
        ssize_t n = read(fd, f->bytes + f->len, cap - f->len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_error(path, errno, err);
        if (n == 0)
            break;
        f->len += (size_t)n;
        if (f->len > WEIR_TLS_FILE_BYTES_MAX)
            return weir_err_set(err, WEIR_EINVAL, "tls: %s: larger than any certificate file", path);
    }
    f->bytes[f->len++] = '\0';
    return WEIR_OK;
}

static int slurp(struct file *f, const char *path, struct weir_err *err)
{
    *f = (struct file){.bytes = NULL};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(path, errno, err);
    int rv = read_all(fd, f, path, err);
    close(fd);
    if (rv != WEIR_OK)
        wipe(f);
    return rv;
}

static int parse_error(const char *path, const char *what, int ret, struct weir_err *err)
{
    char text[128];
    mbedtls_strerror(ret, text, sizeof text);
    return weir_err_set(err, WEIR_EINVAL, "tls: %s: %s (%s)", path, what, text);
}

/* -- roots -- */

int weir_tls_roots_load(struct weir_tls_roots **out, const char *path, struct weir_err *err)
{
    struct file f;
    *out = NULL;
    if (path == NULL)
        path = WEIR_TLS_SYSTEM_CA_FILE;
    if (init_crypto(err) != WEIR_OK || slurp(&f, path, err) != WEIR_OK)
        return err->code;
    struct weir_tls_roots *r = calloc(1, sizeof *r);
    if (r == NULL) {
        wipe(&f);
        return weir_err_set(err, WEIR_ENOMEM, "tls: %s: out of memory", path);
    }
    atomic_init(&r->refs, 1);
    mbedtls_x509_crt_init(&r->crt);
    int ret = mbedtls_x509_crt_parse(&r->crt, f.bytes, f.len);
    wipe(&f);
    if (ret < 0 || r->crt.raw.p == NULL) {
        weir_tls_roots_unref(&r);
        return parse_error(path, "no certificate of an authority in it", ret, err);
    }
    *out = r;
    return WEIR_OK;
}

struct weir_tls_roots *weir_tls_roots_ref(struct weir_tls_roots *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void weir_tls_roots_unref(struct weir_tls_roots **roots)
{
    struct weir_tls_roots *r = *roots;
    *roots = NULL;
    if (r == NULL || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    mbedtls_x509_crt_free(&r->crt);
    free(r);
}

/* -- own certificates -- */

/* Days since 1970 of a proleptic Gregorian date, by counting in 400-year eras that begin in March. */
static int64_t unix_seconds(const mbedtls_x509_time *t)
{
    int64_t y = t->year - (t->mon <= 2 ? 1 : 0);
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doy = (153 * (t->mon + (t->mon > 2 ? -3 : 9)) + 2) / 5 + t->day - 1;
    int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    return days * 86400 + t->hour * 3600 + t->min * 60 + t->sec;
}

static int check_strength(const struct weir_tls_own *own, const char *path, struct weir_err *err)
{
    const mbedtls_x509_crt *crt = &own->crt;
    size_t bits = mbedtls_pk_get_bitlen(&crt->pk);
    if (mbedtls_pk_can_do(&crt->pk, MBEDTLS_PK_RSA) && bits < weir_tls_profile.rsa_min_bitlen)
        return weir_err_set(err, WEIR_EINVAL, "tls: %s: an RSA key of %zu bits is too weak (2048 is the least)", path,
                            bits);
    if ((weir_tls_profile.allowed_mds & MBEDTLS_X509_ID_FLAG(crt->MBEDTLS_PRIVATE(sig_md))) == 0)
        return weir_err_set(err, WEIR_EINVAL, "tls: %s: signed with a weak hash (SHA-256 is the least)", path);
    return WEIR_OK;
}

static int load_key(struct weir_tls_own *own, const struct weir_tls_pair *pair, struct weir_err *err)
{
    struct file f;
    if (slurp(&f, pair->key_file, err) != WEIR_OK)
        return err->code;
    int ret = mbedtls_pk_parse_key(&own->key, f.bytes, f.len, NULL, 0, weir_tls_random, NULL);
    wipe(&f);
    if (ret == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        return weir_err_set(err, WEIR_EINVAL, "tls: %s: the key is encrypted; it must be plain", pair->key_file);
    if (ret != 0)
        return parse_error(pair->key_file, "not a private key", ret, err);
    if (mbedtls_pk_check_pair(&own->crt.pk, &own->key, weir_tls_random, NULL) != 0)
        return weir_err_set(err, WEIR_EINVAL, "tls: %s: not the key of the certificate in %s", pair->key_file,
                            pair->cert_file);
    return WEIR_OK;
}

static int load_own(struct weir_tls_config *c, const struct weir_tls_pair *pair, struct weir_err *err)
{
    struct file f;
    struct weir_tls_own *own = &c->own[c->own_count++];
    mbedtls_x509_crt_init(&own->crt);
    mbedtls_pk_init(&own->key);
    own->info.file = own->file = strdup(pair->cert_file);
    if (own->file == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "tls: %s: out of memory", pair->cert_file);
    if (slurp(&f, pair->cert_file, err) != WEIR_OK)
        return err->code;
    int ret = mbedtls_x509_crt_parse(&own->crt, f.bytes, f.len);
    wipe(&f);
    if (ret != 0)
        return parse_error(pair->cert_file, "not a certificate", ret, err);
    if (check_strength(own, pair->cert_file, err) != WEIR_OK || load_key(own, pair, err) != WEIR_OK)
        return err->code;
    if (mbedtls_x509_dn_gets(own->info.subject, sizeof own->info.subject, &own->crt.subject) < 0)
        snprintf(own->info.subject, sizeof own->info.subject, "(a long name)");
    own->info.not_before_unix_s = unix_seconds(&own->crt.valid_from);
    own->info.not_after_unix_s = unix_seconds(&own->crt.valid_to);
    if (mbedtls_ssl_conf_own_cert(&c->ssl, &own->crt, &own->key) != 0)
        return weir_err_set(err, WEIR_ENOMEM, "tls: %s: out of memory", pair->cert_file);
    return WEIR_OK;
}

/* Those made for exactly this name, else those with a wildcard for it, all of them: mbedTLS takes the first whose key
 * the client can use. None: the first of the configuration, which is what no SNI at all gets. */
static int choose_by_name(void *arg, mbedtls_ssl_context *ssl, const unsigned char *name, size_t len)
{
    struct weir_tls_config *c = arg;
    bool found = false;
    for (int wildcards = 0; wildcards < 2 && !found; wildcards++) {
        for (size_t i = 0; i < c->own_count; i++) {
            struct weir_tls_own *own = &c->own[i];
            if (!weir_tls_names_host(&own->crt, (const char *)name, len, wildcards != 0))
                continue;
            int ret = mbedtls_ssl_set_hs_own_cert(ssl, &own->crt, &own->key);
            if (ret != 0)
                return ret;
            found = true;
        }
    }
    return 0;
}

/* -- configurations -- */

static void free_config(struct weir_tls_config *c)
{
    mbedtls_ssl_config_free(&c->ssl);
    mbedtls_ssl_ticket_free(&c->tickets);
    for (size_t i = 0; i < c->own_count; i++) {
        mbedtls_x509_crt_free(&c->own[i].crt);
        mbedtls_pk_free(&c->own[i].key);
        free(c->own[i].file);
    }
    for (size_t i = 0; i < WEIR_TLS_ALPN_MAX; i++)
        free(c->alpn[i]);
    weir_tls_roots_unref(&c->roots);
    free(c);
}

static int set_alpn(struct weir_tls_config *c, const char *const *alpn, size_t count, struct weir_err *err)
{
    assert(count <= WEIR_TLS_ALPN_MAX);
    for (size_t i = 0; i < count; i++) {
        c->alpn[i] = strdup(alpn[i]);
        if (c->alpn[i] == NULL)
            return weir_err_set(err, WEIR_ENOMEM, "tls: out of memory");
    }
    if (count > 0 && mbedtls_ssl_conf_alpn_protocols(&c->ssl, (const char **)c->alpn) != 0)
        return weir_err_set(err, WEIR_EINVAL, "tls: a protocol name for ALPN is not valid");
    return WEIR_OK;
}

/* What both sides have in common. NULL: err says why. */
static struct weir_tls_config *new_config(bool server, enum weir_tls_version least, size_t own_max,
                                          struct weir_err *err)
{
    static atomic_uint_fast64_t ids;
    if (init_crypto(err) != WEIR_OK)
        return NULL;
    struct weir_tls_config *c = calloc(1, sizeof *c + own_max * sizeof c->own[0]);
    if (c == NULL) {
        weir_err_set(err, WEIR_ENOMEM, "tls: out of memory");
        return NULL;
    }
    atomic_init(&c->refs, 1);
    c->id = atomic_fetch_add(&ids, 1) + 1;
    c->server = server;
    c->least = least;
    mbedtls_ssl_config_init(&c->ssl);
    mbedtls_ssl_ticket_init(&c->tickets);
    if (mbedtls_ssl_config_defaults(&c->ssl, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
        weir_err_set(err, WEIR_ENOMEM, "tls: out of memory");
        weir_tls_config_unref(&c);
        return NULL;
    }
    mbedtls_ssl_conf_rng(&c->ssl, weir_tls_random, NULL);
    mbedtls_ssl_conf_ciphersuites(&c->ssl, CIPHERS);
    mbedtls_ssl_conf_groups(&c->ssl, GROUPS);
    mbedtls_ssl_conf_sig_algs(&c->ssl, SIGNATURES);
    mbedtls_ssl_conf_cert_profile(&c->ssl, &weir_tls_profile);
    mbedtls_ssl_conf_min_tls_version(&c->ssl,
                                     least == WEIR_TLS_1_3 ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_renegotiation(&c->ssl, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    /* A resumption agrees on a fresh key too, so that a stolen ticket key does not open what was recorded. */
    mbedtls_ssl_conf_tls13_key_exchange_modes(&c->ssl, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL |
                                                           MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_PSK_EPHEMERAL);
    return c;
}

static void set_roots(struct weir_tls_config *c, struct weir_tls_roots *roots)
{
    if (roots == NULL)
        return;
    c->roots = weir_tls_roots_ref(roots);
    mbedtls_ssl_conf_ca_chain(&c->ssl, &roots->crt, NULL);
}

int weir_tls_config_client(struct weir_tls_config **out, const struct weir_tls_client_opts *opts, struct weir_err *err)
{
    assert(opts->roots != NULL || !opts->verify);
    *out = NULL;
    struct weir_tls_config *c = new_config(false, opts->min_version, 1, err);
    if (c == NULL)
        return err->code;
    c->verify = opts->verify;
    set_roots(c, opts->roots);
    mbedtls_ssl_conf_authmode(&c->ssl, opts->verify ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_session_tickets(&c->ssl, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(&c->ssl,
                                                             MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    if (set_alpn(c, opts->alpn, opts->alpn_count, err) != WEIR_OK)
        goto err;
    if (opts->own.cert_file != NULL && load_own(c, &opts->own, err) != WEIR_OK)
        goto err;
    *out = c;
    return WEIR_OK;
err:
    weir_tls_config_unref(&c);
    return err->code;
}

static int set_tickets(struct weir_tls_config *c, struct weir_err *err)
{
    if (mbedtls_ssl_ticket_setup(&c->tickets, weir_tls_random, NULL, MBEDTLS_CIPHER_AES_256_GCM,
                                 WEIR_TLS_TICKET_KEY_S) != 0)
        return weir_err_set(err, WEIR_ENOMEM, "tls: session tickets: out of memory");
    mbedtls_ssl_conf_session_tickets_cb(&c->ssl, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &c->tickets);
    mbedtls_ssl_conf_new_session_tickets(&c->ssl, TICKETS_SENT);
    return WEIR_OK;
}

int weir_tls_config_server(struct weir_tls_config **out, const struct weir_tls_server_opts *opts, struct weir_err *err)
{
    static const int modes[] = {MBEDTLS_SSL_VERIFY_NONE, MBEDTLS_SSL_VERIFY_OPTIONAL, MBEDTLS_SSL_VERIFY_REQUIRED};
    *out = NULL;
    assert(opts->pair_count > 0);
    assert(opts->client_roots != NULL || opts->client_certs == WEIR_TLS_CLIENT_CERTS_OFF);
    if (opts->pair_count > WEIR_TLS_CERTIFICATES_MAX)
        return weir_err_set(err, WEIR_EINVAL, "tls: more than %u certificates", WEIR_TLS_CERTIFICATES_MAX);
    struct weir_tls_config *c = new_config(true, opts->min_version, opts->pair_count, err);
    if (c == NULL)
        return err->code;
    c->client_certs = opts->client_certs;
    c->verify = opts->client_certs != WEIR_TLS_CLIENT_CERTS_OFF;
    set_roots(c, opts->client_roots);
    mbedtls_ssl_conf_authmode(&c->ssl, modes[opts->client_certs]);
    mbedtls_ssl_conf_sni(&c->ssl, choose_by_name, c);
    if (set_alpn(c, opts->alpn, opts->alpn_count, err) != WEIR_OK)
        goto err;
    for (size_t i = 0; i < opts->pair_count; i++) {
        if (load_own(c, &opts->pairs[i], err) != WEIR_OK)
            goto err;
    }
    if (opts->tickets && !c->verify && set_tickets(c, err) != WEIR_OK)
        goto err;
    if (!opts->tickets || c->verify)
        mbedtls_ssl_conf_new_session_tickets(&c->ssl, 0);
    *out = c;
    return WEIR_OK;
err:
    weir_tls_config_unref(&c);
    return err->code;
}

struct weir_tls_config *weir_tls_config_ref(struct weir_tls_config *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void weir_tls_config_unref(struct weir_tls_config **config)
{
    struct weir_tls_config *c = *config;
    *config = NULL;
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free_config(c);
}

size_t weir_tls_config_certificates(const struct weir_tls_config *c)
{
    return c->own_count;
}

const struct weir_tls_certificate *weir_tls_config_certificate(const struct weir_tls_config *c, size_t i)
{
    assert(i < c->own_count);
    return &c->own[i].info;
}

bool weir_tls_config_verifies(const struct weir_tls_config *c)
{
    return c->verify;
}

static bool same_chain(const mbedtls_x509_crt *a, const mbedtls_x509_crt *b)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        if (a->raw.len != b->raw.len || memcmp(a->raw.p, b->raw.p, a->raw.len) != 0)
            return false;
    }
    return a == NULL && b == NULL;
}

bool weir_tls_config_alike(const struct weir_tls_config *a, const struct weir_tls_config *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL || a->server || b->server || a->verify != b->verify || a->least != b->least ||
        a->own_count != b->own_count || (a->roots == NULL) != (b->roots == NULL))
        return false;
    for (size_t i = 0; i < WEIR_TLS_ALPN_MAX; i++) {
        if ((a->alpn[i] == NULL) != (b->alpn[i] == NULL) || (a->alpn[i] != NULL && strcmp(a->alpn[i], b->alpn[i]) != 0))
            return false;
    }
    return (a->roots == NULL || same_chain(&a->roots->crt, &b->roots->crt)) &&
           (a->own_count == 0 || same_chain(&a->own[0].crt, &b->own[0].crt));
}
