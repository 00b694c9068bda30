#include "node/webhook.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Of an answer's body this much is read, so that the connection ends without a reset; nobody looks at it. */
#define BODY_READ_MAX ((size_t)16384)
/* A name server that does not answer leaves time to fail within the try. */
#define RESOLVE_TIMEOUT_MS (WEIR_WEBHOOK_TIMEOUT_MS / 2)

static const struct weir_http_limits limits = {.head_bytes_max = 16384, .fields_max = 100};

static void begin_try(struct weir_webhook *w);

/* -- the end of a try -- */

static void end_try(struct weir_webhook *w)
{
    weir_deadline_clear(&w->clock);
    if (w->dialing != NULL)
        weir_stream_close(&w->dialing, true);
    if (w->conn.codec != NULL) {
        weir_http_conn_close(&w->conn, w->status == 0);
        w->conn.codec = NULL;
    }
    w->exchange = NULL;
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
    weir_log_simple(w->log, WEIR_LOG_WARN, "webhook_dropped", why);
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
    bool final = w->status != 0 && w->status != 408 && w->status != 429 && w->status < 500;
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
        weir_log_begin(&l, w->log, WEIR_LOG_WARN, "webhook_failed", "alerts cannot be posted");
        weir_log_str(&l, "host", w->parts.authority); /* the rest of the URL may be a secret */
        weir_log_text(&l, "reason", reason);
        weir_log_end(&l);
    }
    if (!final && w->reactor->now_ms - first->queued_ms < WEIR_WEBHOOK_AGE_MS_MAX) {
        wait_again(w);
        return;
    }
    tell_dropped(w, final ? "an alert was not taken by the receiver" : "an alert could not be posted for too long");
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
        weir_log_begin(&l, w->log, WEIR_LOG_INFO, "webhook_works", "alerts can be posted again");
        weir_log_str(&l, "host", w->parts.authority);
        weir_log_end(&l);
    }
    w->failing = w->dropping = false;
    go_on(w);
}

static void judge(struct weir_webhook *w)
{
    if (w->status >= 200 && w->status < 300)
        succeed(w);
    else
        fail_try(w, "the receiver answered %u", w->status);
}

/* -- the exchange -- */

static void on_head(struct weir_exchange *x, struct weir_head *head)
{
    struct weir_webhook *w = x->user;
    if (head->status < 200)
        return;
    w->status = head->status;
    x->ops->grant(x, BODY_READ_MAX);
}

static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    struct weir_webhook *w = x->user;
    (void)p;
    w->drained += n;
    if (w->drained >= BODY_READ_MAX)
        judge(w);
}

static void on_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    (void)trailers;
    judge(x->user);
}

static void on_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct weir_webhook *w = x->user;
    w->exchange = NULL;
    if (w->status != 0)
        judge(w); /* it has said what it thinks of the text */
    else
        fail_try(w, "%s", weir_reset_text(why->reason));
}

static void on_room(struct weir_exchange *x, size_t room)
{
    (void)x;
    (void)room;
}

static const struct weir_exchange_events exchange_events = {
    .head = on_head, .body = on_body, .end = on_end, .reset = on_reset, .room = on_room};

/* The exchange tells all there is to know before either of these, and takes the connection down. */
static void on_idle(struct weir_codec *c, bool reusable)
{
    (void)c;
    (void)reusable;
}

static void on_closed(struct weir_codec *c, const struct weir_reset *why)
{
    fail_try(c->owner, "%s", weir_reset_text(why->reason));
}

static const struct weir_codec_events codec_events = {.idle = on_idle, .closed = on_closed};

static bool fill_head(struct weir_webhook *w, struct weir_head *head, size_t len)
{
    *head = (struct weir_head){.method = WEIR_STR("POST"),
                               .target = w->parts.target.len > 0 ? w->parts.target : WEIR_STR("/"),
                               .authority = w->parts.authority,
                               .content_length = (int64_t)len,
                               .has_body = true,
                               .close = true};
    return weir_fields_add_id(&head->fields, &w->arena, WEIR_FIELD_CONTENT_TYPE, WEIR_STR("application/json")) &&
           weir_fields_add(&head->fields, &w->arena, WEIR_STR("user-agent"), WEIR_STR("weir/" WEIR_VERSION));
}

static void send_text(struct weir_webhook *w)
{
    const struct weir_webhook_text *t = WEIR_CONTAINER(w->queue.next, struct weir_webhook_text, link);
    struct weir_stream *s = w->dialing;
    struct weir_head head;
    weir_arena_reset(&w->arena);
    weir_http_conn_init(&w->conn, s, false);
    struct weir_codec *codec = weir_h1_client_new(&limits, &codec_events, w, &w->conn.out);
    if (codec == NULL || !fill_head(w, &head, t->len)) {
        if (codec != NULL)
            codec->ops->free(codec);
        weir_outbox_close(&w->conn.out);
        fail_try(w, "out of memory");
        return;
    }
    w->dialing = NULL;
    w->state = WEIR_WEBHOOK_SENT;
    weir_http_conn_run(&w->conn, codec, NULL, 0);
    struct weir_exchange *x = codec->ops->open(codec);
    w->exchange = x;
    x->events = &exchange_events;
    x->user = w;
    x->arena = &w->arena;
    x->ops->send_head(x, &head, false);
    x->ops->send_body(x, t->bytes, t->len);
    x->ops->send_end(x, NULL);
}

/* -- connecting -- */

static void on_started(struct weir_stream *s, int code, const struct weir_err *err);

/* The next address, while there is one. */
static void dial(struct weir_webhook *w, const struct weir_err *last)
{
    struct weir_err err = *last;
    static const struct weir_tcp_opts opts = {0};
    while (w->address_next < w->address_count) {
        const struct weir_addr *a = &w->addresses[w->address_next++];
        if (weir_tcp_connect(&w->dialing, w->reactor, &a->sa, weir_addr_len(a), &opts, &err) != 0)
            continue;
        w->state = WEIR_WEBHOOK_CONNECTING;
        w->dialing->owner = w;
        weir_stream_start(w->dialing, on_started);
        return;
    }
    fail_try(w, "%s", err.msg);
}

static void on_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct weir_webhook *w = s->owner;
    if (code == 0) {
        send_text(w);
        return;
    }
    struct weir_err why = *err;
    weir_stream_close(&w->dialing, false);
    dial(w, &why);
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
    dial(w, &(struct weir_err){.code = WEIR_ENOTFOUND, .msg = "no address"});
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
    w->status = 0;
    w->drained = 0;
    weir_reactor_deadline(w->reactor, &w->clock, w->reactor->now_ms + WEIR_WEBHOOK_TIMEOUT_MS);
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
    else if (w->status != 0)
        judge(w);
    else
        fail_try(w, "the receiver did not answer within %u s", WEIR_WEBHOOK_TIMEOUT_MS / 1000);
}

/* -- from outside -- */

void weir_webhook_init(struct weir_webhook *w, struct weir_reactor *r, struct weir_log_producer *log)
{
    *w = (struct weir_webhook){.reactor = r, .log = log};
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
    w->dns_servers = servers_copy;
    w->failing = w->dropping = false;
    while (w->url == NULL && !weir_list_empty(&w->queue))
        drop_first(w);
    go_on(w);
    return 0;
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
    if (w->queued == WEIR_WEBHOOK_QUEUE_MAX) {
        /* Not the one that is on its way. */
        struct weir_list *oldest = w->state == WEIR_WEBHOOK_WAITING ? w->queue.next : w->queue.next->next;
        tell_dropped(w, "more alerts wait to be posted than are kept");
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
    weir_arena_reset(&w->arena);
    weir_deadline_drop(&w->reactor->wheel, &w->clock);
}
