/* The inside of TLS streams, shared by tls_*.c alone. */
#ifndef WEIR_NET_TLS_INNER_H
#define WEIR_NET_TLS_INNER_H

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>

#include "net/tls.h"

/* One record with the largest header and expansion that TLS 1.2 allows of what we accept: a read never needs more. */
#define WEIR_TLS_IN_BYTES ((size_t)(5 + 16384 + 2048))
/* What a handshake may have to send at once: our longest chain and all around it. */
#define WEIR_TLS_OUT_BYTES_MAX ((size_t)131072)
/* ... and what nearly all have. */
#define WEIR_TLS_OUT_BYTES_FIRST ((size_t)4096)
/* Of mbedTLS's buffer for a record to be sent: as much stays after a handshake. */
#define WEIR_TLS_OUT_BYTES_KEPT ((size_t)1024)
/* Refills of `in` per event: 70 KB are some 0.25 ms of decryption; then the others get their turn. */
#define WEIR_TLS_REFILLS 4u
/* Tickets taken from one connection; a server that sends more is not listened to. */
#define WEIR_TLS_TICKETS_MAX 8u

struct weir_tls_own {
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    struct weir_tls_certificate info;
    char *file;
};

struct weir_tls_roots {
    atomic_uint refs;
    mbedtls_x509_crt crt;
};

struct weir_tls_config {
    atomic_uint refs;
    uint64_t id; /* of this process's configurations: never used twice */
    bool server, verify;
    enum weir_tls_client_certs client_certs;
    enum weir_tls_version least;
    mbedtls_ssl_config ssl;
    struct weir_tls_roots *roots;
    mbedtls_ssl_ticket_context tickets;
    char *alpn[WEIR_TLS_ALPN_MAX + 1];
    size_t own_count;
    struct weir_tls_own own[];
};

/* What the check of the peer's certificates found, for the sentence. */
struct weir_tls_verdict {
    const char *ip; /* host is an address: 4 or 16 bytes to be found in the certificate */
    size_t ip_len;
    bool self_signed;
    mbedtls_x509_time not_after, not_before;
    char subject[160], issuer[160], names[160];
};

struct weir_tls;

struct weir_tls_handshake {
    struct weir_tls_verdict verdict;
    struct weir_err err; /* set with `why` */
    uint8_t *out;        /* ciphertext to be sent */
    size_t out_at, out_len, out_cap;
    uint64_t begun_us;
    int result; /* of the last step */
    enum weir_tls_fail why;
    char ip[16];
    bool set_up;    /* mbedTLS has been given its buffers */
    bool certified; /* certificates were exchanged: not a resumption */
    bool spoke;     /* the job has run once */
};

enum weir_tls_state { TLS_NEW, TLS_STARTING, TLS_SHAKING, TLS_OPEN, TLS_FAILED };

struct weir_tls {
    struct weir_stream base;
    struct weir_stream *under; /* NULL: closed while a job ran */
    struct weir_tls_config *config;
    struct weir_crypto_pool *pool;
    struct weir_tls_sessions *sessions;
    struct weir_tls_stats *stats;
    struct weir_tls_handshake *hs; /* NULL once open */
    struct weir_crypto_job job;    /* a step of the handshake; at the end: freeing mbedTLS's part */
    char *host;                    /* NULL: server, or not given */
    uint8_t *in;                   /* ciphertext received and not consumed; NULL when there is none */
    size_t in_at, in_len;          /* consumed, filled */
    size_t held;                   /* bytes of the caller's in the record that did not get out */
    uint64_t handshake_us;
    int io_error;  /* negative errno of the stream below */
    int ssl_error; /* of mbedTLS, once open */
    uint8_t state; /* weir_tls_state */
    uint8_t alert; /* with ssl_error FATAL_ALERT */
    uint8_t why;   /* weir_tls_fail */
    uint8_t refills_left, tickets;
    bool started_under, under_ended, starved;
    bool dry;      /* mbedTLS asked for more input than there is: its WANT_READ alone does not say so */
    bool ended;    /* orderly */
    bool job_runs; /* the pool has a step of the handshake: hands off ssl, in, hs */
    bool resumed, notified;
    bool heard; /* data of the peer's owner has come */
    mbedtls_ssl_context ssl;
};

/* Random bytes from the kernel: no state, no lock. For every f_rng. */
int weir_tls_random(void *arg, unsigned char *buf, size_t n);

/* tls_names.c. Does a certificate name this host (RFC 9525: exact, or its leftmost label by a wildcard)? */
bool weir_tls_names_host(const mbedtls_x509_crt *crt, const char *host, size_t len, bool wildcards);
bool weir_tls_names_ip(const mbedtls_x509_crt *crt, const char *ip, size_t len);
/* Its names, printable, comma between. */
void weir_tls_names_text(const mbedtls_x509_crt *crt, char *buf, size_t size);

/* tls_verify.c */
extern const mbedtls_x509_crt_profile weir_tls_profile;
/* mbedtls_ssl_set_verify's callback; arg: struct weir_tls_verdict. */
int weir_tls_judge(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
/* A failed step as reason and sentence. alert: the peer's, when ret is FATAL_ALERT_MESSAGE. */
enum weir_tls_fail weir_tls_explain(const struct weir_tls *t, int ret, uint32_t flags, uint8_t alert,
                                    struct weir_err *err);
const char *weir_tls_peer_text(const struct weir_tls *t, char *buf, size_t size);

/* tls_handshake.c: on the reactor's thread. */
/* NULL: out of memory. */
struct weir_tls_handshake *weir_tls_handshake_new(struct weir_tls *t);
void weir_tls_handshake_free(struct weir_tls_handshake **hs);
/* Goes on as far as input, output and the pool allow. May end in `started`, so t may be gone afterwards. */
void weir_tls_handshake_advance(struct weir_tls *t);
/* The set-up failed below or here; calls `started`. */
void weir_tls_handshake_fail(struct weir_tls *t, enum weir_tls_fail why, int code);

/* tls_stream.c */
/* Fills `in` from the stream below. > 0, 0: its end, WEIR_STREAM_AGAIN, negative errno, -ENOMEM. */
ssize_t weir_tls_refill(struct weir_tls *t);
int weir_tls_bio_send(void *arg, const unsigned char *buf, size_t len);
int weir_tls_bio_recv(void *arg, unsigned char *buf, size_t len);
void weir_tls_keep_session(struct weir_tls *t);
/* `ready` as the stream below and what is held make it. */
void weir_tls_sync(struct weir_tls *t);
/* Lets the input buffer go, and what is in it. */
void weir_tls_drop_input(struct weir_tls *t);
/* The operations on records, as weir_stream_ops has them; the stream is open. */
ssize_t weir_tls_read(struct weir_stream *s, void *buf, size_t len);
ssize_t weir_tls_writev(struct weir_stream *s, const struct iovec *iov, int count);
size_t weir_tls_pending(const struct weir_stream *s);
bool weir_tls_disturbed(struct weir_stream *s);

/* tls.c */
void weir_tls_destroy(struct weir_tls *t);

#endif
