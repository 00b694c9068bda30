#include "net/tls_sessions.h"

#include <assert.h>
#include <mbedtls/platform_util.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct session {
    uint64_t config_id;
    uint8_t *bytes;
    size_t len;
    bool once;
};

struct weir_tls_sessions {
    atomic_uint refs;
    pthread_mutex_t lock;
    size_t count;
    struct session kept[WEIR_TLS_SESSIONS_MAX]; /* oldest first */
};

struct weir_tls_sessions *weir_tls_sessions_new(void)
{
    struct weir_tls_sessions *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

struct weir_tls_sessions *weir_tls_sessions_ref(struct weir_tls_sessions *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void drop(struct weir_tls_sessions *s, size_t i)
{
    assert(i < s->count);
    mbedtls_platform_zeroize(s->kept[i].bytes, s->kept[i].len);
    free(s->kept[i].bytes);
    s->count--;
    memmove(&s->kept[i], &s->kept[i + 1], (s->count - i) * sizeof s->kept[0]);
}

void weir_tls_sessions_unref(struct weir_tls_sessions **sessions)
{
    struct weir_tls_sessions *s = *sessions;
    *sessions = NULL;
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (s->count > 0)
        drop(s, s->count - 1);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void weir_tls_sessions_put(struct weir_tls_sessions *s, uint64_t config_id, bool once, const uint8_t *p, size_t n)
{
    uint8_t *copy = n <= WEIR_TLS_SESSION_BYTES_MAX ? malloc(n) : NULL;
    if (copy == NULL)
        return;
    memcpy(copy, p, n);
    pthread_mutex_lock(&s->lock);
    for (size_t i = s->count; i-- > 0;) {
        /* A new session that may be used again replaces its like: nothing is won by having two. */
        if (s->kept[i].config_id != config_id || (!once && !s->kept[i].once))
            drop(s, i);
    }
    if (s->count == WEIR_TLS_SESSIONS_MAX)
        drop(s, 0);
    s->kept[s->count++] = (struct session){.config_id = config_id, .bytes = copy, .len = n, .once = once};
    pthread_mutex_unlock(&s->lock);
}

size_t weir_tls_sessions_take(struct weir_tls_sessions *s, uint64_t config_id, uint8_t buf[WEIR_TLS_SESSION_BYTES_MAX])
{
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = s->count; i-- > 0 && n == 0;) {
        if (s->kept[i].config_id != config_id) {
            drop(s, i);
            continue;
        }
        n = s->kept[i].len;
        memcpy(buf, s->kept[i].bytes, n);
        if (s->kept[i].once)
            drop(s, i);
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

size_t weir_tls_sessions_count(struct weir_tls_sessions *s)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->count;
    pthread_mutex_unlock(&s->lock);
    return n;
}
