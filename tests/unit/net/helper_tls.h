/* Two ends of a TLS connection over a socket pair, on one or two reactors, and the certificates for them. */
#ifndef WEIR_TESTS_HELPER_TLS_H
#define WEIR_TESTS_HELPER_TLS_H

#include "helper/net_run.h"
#include "net/tls.h"
#include "net/tls_inner.h"

struct tls_end {
    struct weir_stream *s;
    unsigned started;
    int code;
    struct weir_err err;
    enum weir_tls_fail why;
    bool paused;  /* does not read */
    bool discard; /* counts and checks a pattern, keeps nothing */
    char got[4096];
    size_t got_len;
    ssize_t end; /* of the read that ended it */
    bool ended;
    unsigned events;
};

/* Makes the certificates in a folder of this process; once, in main, and away again at its end. */
void pki_open(void);
void pki_close(void);
/* Path of a file there; a few results stay valid. */
const char *pki(const char *name, const char *suffix);

/* A client that trusts ca, or `roots`; max12: speaks nothing newer than TLS 1.2. own: certificate's name or NULL. */
struct weir_tls_config *client_config(const char *roots, const char *own, bool max12);
/* A server with the certificate of that name and tickets. */
struct weir_tls_config *server_config(const char *own, bool max12);
struct weir_tls_config *server_config_asking(const char *own, enum weir_tls_client_certs ask, bool max12);
void speak_at_most_12(struct weir_tls_config *c);

/* Wraps fd and starts. */
void tls_end_start(struct tls_end *e, struct weir_reactor *r, int fd, const struct weir_tls_opts *opts);
/* A socket pair, both ends started. */
void tls_pair_start(struct tls_end *client, struct tls_end *server, struct weir_reactor *cr, struct weir_reactor *sr,
                    const struct weir_tls_opts *copts, const struct weir_tls_opts *sopts);
void tls_end_on_event(struct weir_stream *s);
void tls_end_on_started(struct weir_stream *s, int code, const struct weir_err *err);
/* Everything is taken, or it fails the test. */
void tls_end_send(struct tls_end *e, const char *text);
/* From now on the stream below gives and takes one byte a call. */
void trickle(struct weir_stream *under);
extern bool tls_trickles; /* each stream that is started does that */

#endif
