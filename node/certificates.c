#include "node/certificates.h"

#include <string.h>

/* What may have a certificate, before the providers: server, peers, store. */
#define CONFIGS_FIRST 3u

struct walk {
    const struct weir_tls_setup *setup; /* NULL: there is none */
    size_t config, next;
};

static const struct weir_tls_config *config_at(const struct weir_tls_setup *t, size_t i)
{
    const struct weir_tls_config *const first[CONFIGS_FIRST] = {t->server, t->peer_client, t->store};
    return i < CONFIGS_FIRST ? first[i] : t->providers[i - CONFIGS_FIRST].own;
}

static const struct weir_tls_certificate *next_in_turn(struct walk *w)
{
    size_t count = w->setup != NULL ? CONFIGS_FIRST + w->setup->provider_count : 0;
    for (; w->config < count; w->config++, w->next = 0) {
        const struct weir_tls_config *c = config_at(w->setup, w->config);
        if (c != NULL && w->next < weir_tls_config_certificates(c))
            return weir_tls_config_certificate(c, w->next++);
    }
    return NULL;
}

static bool came_before(const struct walk *now, const struct weir_tls_certificate *c)
{
    struct walk w = {.setup = now->setup};
    for (const struct weir_tls_certificate *at; (at = next_in_turn(&w)) != c;)
        if (strcmp(at->file, c->file) == 0)
            return true;
    return false;
}

/* The next own certificate of the setup, NULL: that was all. A file that several show is told once. */
static const struct weir_tls_certificate *next_certificate(struct walk *w)
{
    const struct weir_tls_certificate *c = next_in_turn(w);
    while (c != NULL && came_before(w, c))
        c = next_in_turn(w);
    return c;
}

static void tell(struct weir_log_producer *log, const struct weir_tls_certificate *c, int64_t left_s)
{
    struct weir_log_line l;
    if (left_s <= 0)
        weir_log_begin(&l, log, WEIR_LOG_ERROR, "certificate_expired", "peers refuse it: renew it and send SIGHUP");
    else
        weir_log_begin(&l, log, WEIR_LOG_WARN, "certificate_expires", "renew it and send SIGHUP");
    weir_log_text(&l, "file", c->file);
    weir_log_text(&l, "subject", c->subject);
    weir_log_i64(&l, "days_left", left_s / 86400);
    weir_log_end(&l);
}

void weir_certificates_watch(struct weir_tls_setup *t, int64_t now_unix_s, struct weir_log_producer *log)
{
    struct walk w = {.setup = t};
    const struct weir_tls_certificate *c;
    int64_t seen_unix_s = t != NULL ? t->watched_unix_s : 0;
    while ((c = next_certificate(&w)) != NULL) {
        int64_t left_s = c->not_after_unix_s - now_unix_s, left_before_s = c->not_after_unix_s - seen_unix_s;
        bool fresh = seen_unix_s == 0;
        if (left_s <= 0 ? fresh || left_before_s > 0
                        : left_s < WEIR_CERTIFICATE_WARN_S && (fresh || left_before_s >= WEIR_CERTIFICATE_WARN_S))
            tell(log, c, left_s);
    }
    if (t != NULL)
        t->watched_unix_s = now_unix_s;
}

int weir_certificates_show(struct weir_snapshot *s, struct weir_arena *a, const struct weir_view *v)
{
    struct walk w = {.setup = v->shared->tls};
    size_t count = 0;
    while (next_certificate(&w) != NULL)
        count++;
    struct weir_certificate_snapshot *at = weir_arena_alloc(a, (count + 1) * sizeof *at);
    if (at == NULL)
        return WEIR_ENOMEM;
    w = (struct walk){.setup = v->shared->tls};
    const struct weir_tls_certificate *c;
    int64_t now_unix_s = (int64_t)(s->unix_ms / 1000);
    s->certificates = at;
    while ((c = next_certificate(&w)) != NULL) {
        at[s->certificate_count++] = (struct weir_certificate_snapshot){c->file, c->subject, c->not_after_unix_s};
        s->gauges[WEIR_NG_CERTIFICATES_EXPIRING] += c->not_after_unix_s - now_unix_s < WEIR_CERTIFICATE_WARN_S;
    }
    return 0;
}
