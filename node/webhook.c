#include "node/webhook.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A name server that does not answer leaves time to fail within the try. */
#define RESOLVE_TIMEOUT_MS (WEIR_WEBHOOK_TIMEOUT_MS / 2)

static void begin_try(struct weir_webhook *w);

/* -- the end of a try -- */

static void end_try(struct weir_webhook *w)
{
    weir_deadline_clear(&w->clock);
    weir_call_end(&w->call);
    w->state = WEIR_WEBHOOK_IDLE;
}

static void drop_first(struct weir_webhook *w)
{
    free(WEIR_CONTAINER(weir_list_pop_front(&w->queue), struct weir_webhook_text, link));
    w->queued--;
    w->tries = 0;
}

/* Said once, until a text is taken again. */
static void tell_dropped(struct weir_webhook *w, const char *why)
{
    w->counts.dropped++;
    if (w->dropping)
        return;
    w->dropping = true;
    weir_log_simple(w->log, WEIR_LOG_WARN, w->kind->dropped, why);
}

static void go_on(struct weir_webhook *w)
{
    if (!weir_list_empty(&w->queue))
        begin_try(w);
}

static void wait_again(struct weir_webhook *w)
{
    uint64_t wait_ms = WEIR_WEBHOOK_WAIT_MS << (w->tries < 16 ? w->tries : 16);
    w->tries++;
    w->state = WEIR_WEBHOOK_WAITING;
    weir_reactor_deadline(w->reactor, &w->clock,
                          w->reactor->now_ms +
                              (wait_ms < WEIR_WEBHOOK_WAIT_MS_MAX ? wait_ms : WEIR_WEBHOOK_WAIT_MS_MAX));
}

static void fail_try(struct weir_webhook *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void fail_try(struct weir_webhook *w, const char *fmt, ...)
{
    const struct weir_webhook_text *first = WEIR_CONTAINER(w->queue.next, struct weir_webhook_text, link);
    unsigned status = w->call.status;
    bool final = status != 0 && status != 408 && status != 429 && status < 500;
    end_try(w);
    w->counts.failed++;
    if (!w->failing) {
        char reason[WEIR_LOG_VALUE_MAX];
        struct weir_log_line l;
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(reason, sizeof reason, fmt, ap);
        va_end(ap);
        w->failing = true;
        weir_log_begin(&l, w->log, WEIR_LOG_WARN, w->kind->failed.event, w->kind->failed.sentence);
        weir_log_str(&l, "host", w->parts.authority); /* the rest of the URL may be a secret */
        weir_log_text(&l, "reason", reason);
        weir_log_end(&l);
    }
    if (!final && w->reactor->now_ms - first->queued_ms < w->kind->age_ms_max) {
        wait_again(w);
        return;
    }
    tell_dropped(w, final ? w->kind->refused : w->kind->too_old);
    drop_first(w);
    go_on(w);
}

static void succeed(struct weir_webhook *w)
{
    end_try(w);
    drop_first(w);
    w->counts.delivered++;
    if (w->failing) {
        struct weir_log_line l;
        weir_log_begin(&l, w->log, WEIR_LOG_INFO, w->kind->works.event, w->kind->works.sentence);
        weir_log_str(&l, "host", w->parts.authority);
        weir_log_end(&l);
    }
    w->failing = w->dropping = false;
    go_on(w);
}

static void judge(struct weir_webhook *w)
{
    if (w->call.status >= 200 && w->call.status < 300)
        succeed(w);
    else
        fail_try(w, "the receiver answered %u", w->call.status);
}

/* -- the call -- */

static bool fill(struct weir_call *c, struct weir_head *head, struct weir_str *body)
{
    struct weir_webhook *w = WEIR_CONTAINER(c, struct weir_webhook, call);
    const struct weir_webhook_text *t = WEIR_CONTAINER(w->queue.next, struct weir_webhook_text, link);
    *body = (struct weir_str){t->bytes, t->len};
    head->method = WEIR_STR("POST");
    head->target = w->parts.target.len > 0 ? w->parts.target : WEIR_STR("/");
    head->authority = w->parts.authority;
    head->content_length = (int64_t)t->len;
    head->has_body = true;
    w->state = WEIR_WEBHOOK_SENT;
    return weir_fields_add_id(&head->fields, &c->arena, WEIR_FIELD_CONTENT_TYPE, WEIR_STR("application/json")) &&
           weir_fields_add(&head->fields, &c->arena, WEIR_STR("user-agent"), WEIR_STR("weir/" WEIR_VERSION));
}

static void dial(struct weir_webhook *w);

static void called(struct weir_call *c, unsigned status, const struct weir_err *err)
{
    struct weir_webhook *w = WEIR_CONTAINER(c, struct weir_webhook, call);
    if (status != 0) {
        judge(w);
    } else if (w->state == WEIR_WEBHOOK_SENT) {
        fail_try(w, "%s", err->msg);
    } else {
        weir_err_tell(&w->failure, err);
        weir_call_end(&w->call);
        dial(w);
    }
}

/* The next address, while there is one. */
static void dial(struct weir_webhook *w)
{
    struct weir_err err;
    static const struct weir_tcp_opts tcp = {0};
    struct weir_call_opts opts = {.tcp = &tcp, .read_body = true, .fill = fill, .done = called};
    if (w->parts.tls)
        opts.tls = (struct weir_tls_opts){.config = w->tls, .pool = w->crypto, .host = w->host};
    while (w->address_next < w->address_count) {
        opts.addr = &w->addresses[w->address_next++];
        if (weir_call_begin(&w->call, w->reactor, &opts, &err) == 0) {
            w->state = WEIR_WEBHOOK_CONNECTING;
            return;
        }
        weir_err_tell(&w->failure, &err);
    }
    fail_try(w, "%s", w->failure.msg);
}

static void on_resolved(void *owner, const struct weir_dns_answer *a)
{
    struct weir_webhook *w = owner;
    if (w->state != WEIR_WEBHOOK_RESOLVING)
        return; /* ended meanwhile */
    if (a->code != 0) {
        fail_try(w, "%s", a->message != NULL ? a->message : weir_err_text(a->code));
        return;
    }
    w->address_count = w->address_next = 0;
    while (w->address_count < WEIR_WEBHOOK_ADDRESSES_MAX && w->address_count < a->count) {
        w->addresses[w->address_count] = a->addrs[w->address_count];
        w->address_count++;
    }
    weir_err_set(&w->failure, WEIR_ENOTFOUND, "no address");
    dial(w);
}

static int make_resolver(struct weir_webhook *w, struct weir_err *err)
{
    if (w->dns != NULL)
        return 0;
    int rv = weir_dns_new(&w->dns, w->reactor, err);
    if (rv == 0 && w->dns_servers != NULL)
        rv = weir_dns_set_servers(w->dns, w->dns_servers, err);
    if (rv != 0)
        weir_dns_close(&w->dns);
    return rv;
}

static void begin_try(struct weir_webhook *w)
{
    struct weir_err err;
    w->state = WEIR_WEBHOOK_RESOLVING;
    w->call = (struct weir_call){0};
    weir_reactor_deadline(w->reactor, &w->clock, w->reactor->now_ms + WEIR_WEBHOOK_TIMEOUT_MS);
    if (w->parts.tls && w->tls == NULL) {
        fail_try(w, "there are no authorities to check the receiver's certificate by");
        return;
    }
    if (make_resolver(w, &err) != 0) {
        fail_try(w, "%s", err.msg);
        return;
    }
    weir_dns_resolve(w->dns, w->parts.host, w->parts.port, RESOLVE_TIMEOUT_MS, on_resolved, w);
}

static void on_clock(struct weir_deadline *d, uint64_t now_ms)
{
    struct weir_webhook *w = WEIR_CONTAINER(d, struct weir_webhook, clock);
    (void)now_ms;
    if (w->state == WEIR_WEBHOOK_WAITING)
        begin_try(w);
    else if (w->call.status != 0)
        judge(w);
    else
        fail_try(w, "the receiver did not answer within %u s", WEIR_WEBHOOK_TIMEOUT_MS / 1000);
}

/* -- from outside -- */

void weir_webhook_init(struct weir_webhook *w, struct weir_reactor *r, struct weir_log_producer *log,
                       const struct weir_webhook_kind *kind)
{
    *w = (struct weir_webhook){.reactor = r, .log = log, .kind = kind};
    weir_list_init(&w->queue);
    weir_deadline_init(&w->clock, on_clock);
}

static void forget_target(struct weir_webhook *w)
{
    end_try(w);
    weir_dns_close(&w->dns);
    if (w->url != NULL)
        explicit_bzero(w->url, strlen(w->url));
    free(w->url);
    free(w->dns_servers);
    w->url = w->dns_servers = NULL;
    w->tries = 0;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

int weir_webhook_configure(struct weir_webhook *w, const char *url, const char *servers)
{
    if (same(url, w->url) && same(servers, w->dns_servers))
        return 0;
    char *url_copy = url != NULL ? strdup(url) : NULL, *servers_copy = servers != NULL ? strdup(servers) : NULL;
    if ((url != NULL && url_copy == NULL) || (servers != NULL && servers_copy == NULL) ||
        (url != NULL && weir_config_http_url_split(&w->parts, url_copy) != NULL)) {
        if (w->url != NULL) /* the parts are the old one's again */
            (void)weir_config_http_url_split(&w->parts, w->url);
        free(url_copy);
        free(servers_copy);
        return WEIR_ENOMEM;
    }
    forget_target(w);
    w->url = url_copy;
    if (w->url != NULL)
        snprintf(w->host, sizeof w->host, "%.*s", (int)w->parts.host.len, w->parts.host.ptr);
    w->dns_servers = servers_copy;
    w->failing = w->dropping = false;
    while (w->url == NULL && !weir_list_empty(&w->queue))
        drop_first(w);
    go_on(w);
    return 0;
}

int weir_webhook_follow(struct weir_webhook *w, const char *url, const struct weir_config_texts *servers)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, WEIR_CONFIG_FILE_BYTES_MAX);
    for (size_t i = 0; i < servers->count; i++)
        weir_textbuf_printf(&text, "%s%s", i > 0 ? "," : "", servers->at[i]);
    weir_textbuf_char(&text, '\0');
    int rv = text.failed ? WEIR_ENOMEM : weir_webhook_configure(w, url, servers->count > 0 ? text.ptr : NULL);
    weir_textbuf_close(&text);
    return rv;
}

void weir_webhook_trust(struct weir_webhook *w, struct weir_tls_config *tls, struct weir_crypto_pool *crypto)
{
    struct weir_tls_config *before = w->tls;
    w->tls = tls != NULL ? weir_tls_config_ref(tls) : NULL;
    w->crypto = crypto;
    weir_tls_config_unref(&before);
}

int weir_webhook_post(struct weir_webhook *w, struct weir_str text)
{
    if (w->url == NULL)
        return 0;
    struct weir_webhook_text *t = malloc(sizeof *t + text.len);
    if (t == NULL)
        return WEIR_ENOMEM;
    t->queued_ms = w->reactor->now_ms;
    t->len = text.len;
    memcpy(t->bytes, text.ptr, text.len);
    if (w->queued == w->kind->queue_max) {
        /* Not the one that is on its way. */
        struct weir_list *oldest = w->state == WEIR_WEBHOOK_WAITING ? w->queue.next : w->queue.next->next;
        tell_dropped(w, w->kind->too_many);
        weir_list_remove(oldest);
        free(WEIR_CONTAINER(oldest, struct weir_webhook_text, link));
        w->queued--;
    }
    weir_list_push_back(&w->queue, &t->link);
    w->queued++;
    if (w->state == WEIR_WEBHOOK_IDLE)
        begin_try(w);
    return 0;
}

void weir_webhook_close(struct weir_webhook *w)
{
    if (w->reactor == NULL)
        return;
    while (!weir_list_empty(&w->queue))
        drop_first(w);
    forget_target(w);
    weir_tls_config_unref(&w->tls);
    weir_deadline_drop(&w->reactor->wheel, &w->clock);
}
