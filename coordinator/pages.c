#include "coordinator/pages.h"

#include <stdlib.h>
#include <unistd.h>

#include "http/conn.h"

struct client {
    struct weir_list link;
    struct weir_pages *pages;
    struct weir_stream *starting; /* NULL once http has it */
    struct weir_http_conn http;
    struct weir_deadline clock;
    struct weir_exchange *x; /* NULL: no request is under way */
    struct weir_arena arena;
};

static const struct weir_http_limits limits = {.head_bytes_max = 16384, .fields_max = 100, .body_bytes_max = 65536};

static void end_client(struct client *c)
{
    struct weir_pages *p = c->pages;
    if (c->starting != NULL)
        weir_stream_close(&c->starting, true);
    else
        weir_http_conn_close(&c->http, false);
    weir_deadline_drop(&p->reactor->wheel, &c->clock);
    weir_arena_reset(&c->arena);
    weir_list_remove(&c->link);
    p->client_count--;
    free(c);
}

static void on_clock(struct weir_deadline *d, uint64_t now_ms)
{
    (void)now_ms;
    end_client(WEIR_CONTAINER(d, struct client, clock));
}

static void arm(struct client *c)
{
    weir_reactor_deadline(c->pages->reactor, &c->clock, c->pages->reactor->now_ms + WEIR_PAGES_IDLE_MS);
}

/* -- requests -- */

static void answer(struct client *c, unsigned status, const char *content_type, const struct weir_textbuf *text,
                   bool head_only)
{
    struct weir_exchange *x = c->x;
    struct weir_head head = {
        .status = (uint16_t)status, .content_length = (int64_t)text->len, .has_body = text->len > 0 && !head_only};
    bool ok = weir_fields_add_id(&head.fields, &c->arena, WEIR_FIELD_CONTENT_TYPE, weir_str_of(content_type)) &&
              weir_fields_add_id(&head.fields, &c->arena, WEIR_FIELD_CACHE_CONTROL, WEIR_STR("no-store")) &&
              (status != 405 || weir_fields_add(&head.fields, &c->arena, WEIR_STR("allow"), WEIR_STR("GET, HEAD")));
    if (!ok || text->failed) {
        c->x = NULL;
        x->ops->reset(x, WEIR_RESET_INTERNAL);
        return;
    }
    x->ops->send_head(x, &head, !head.has_body);
    if (!head.has_body)
        return;
    x->ops->send_body(x, text->ptr, text->len);
    x->ops->send_end(x, NULL);
}

static void on_head(struct weir_exchange *x, struct weir_head *head)
{
    struct client *c = x->user;
    struct weir_textbuf text;
    const char *content_type = "application/json";
    bool head_only = weir_str_eq(head->method, WEIR_STR("HEAD"));
    struct weir_str path = head->target;
    const char *query = path.len > 0 ? memchr(path.ptr, '?', path.len) : NULL;
    if (query != NULL)
        path.len = (size_t)(query - path.ptr);
    weir_textbuf_init(&text, WEIR_PAGES_BYTES_MAX);
    unsigned status = c->pages->render(c->pages->owner, path, &content_type, &text);
    if (status == 0) {
        status = 404;
        weir_textbuf_str(&text, "{\"error\":{\"message\":\"There is no such page.\",\"code\":\"not_found\"}}\n");
    } else if (!head_only && !weir_str_eq(head->method, WEIR_STR("GET"))) {
        status = 405;
        content_type = "application/json";
        text.len = 0;
        weir_textbuf_str(&text, "{\"error\":{\"message\":\"This page takes GET and HEAD.\",\"code\":\"method_not_"
                                "allowed\"}}\n");
    }
    x->ops->grant(x, limits.body_bytes_max);
    answer(c, status, content_type, &text, head_only);
    weir_textbuf_close(&text);
}

static void on_body(struct weir_exchange *x, const uint8_t *p, size_t n)
{
    (void)x, (void)p, (void)n;
}

static void on_end(struct weir_exchange *x, const struct weir_fields *trailers)
{
    (void)x, (void)trailers;
}

static void on_reset(struct weir_exchange *x, const struct weir_reset *why)
{
    struct client *c = x->user;
    (void)why;
    c->x = NULL;
}

static void on_room(struct weir_exchange *x, size_t room)
{
    (void)x, (void)room;
}

static const struct weir_exchange_events exchange_events = {
    .head = on_head, .body = on_body, .end = on_end, .reset = on_reset, .room = on_room};

/* -- connections -- */

static bool on_accept(struct weir_codec *codec, struct weir_exchange *x)
{
    struct client *c = codec->owner;
    weir_arena_reset(&c->arena);
    c->x = x;
    x->events = &exchange_events;
    x->user = c;
    x->arena = &c->arena;
    return true;
}

static void on_malformed(struct weir_codec *codec, struct weir_exchange *x, const struct weir_malformed *why,
                         bool after_head)
{
    struct client *c = codec->owner;
    struct weir_textbuf none;
    if (after_head) { /* the answer is out, or on its way */
        c->x = NULL;
        x->ops->reset(x, WEIR_RESET_PROTOCOL);
        return;
    }
    weir_textbuf_init(&none, 1);
    answer(c, why->status, "application/json", &none, false);
}

static void on_idle(struct weir_codec *codec, bool reusable)
{
    struct client *c = codec->owner;
    c->x = NULL;
    if (reusable)
        arm(c);
}

static void on_busy(struct weir_codec *codec)
{
    arm(codec->owner);
}

static void on_closed(struct weir_codec *codec, const struct weir_reset *why)
{
    (void)why;
    end_client(codec->owner);
}

static const struct weir_codec_events codec_events = {
    .accept = on_accept, .malformed = on_malformed, .idle = on_idle, .busy = on_busy, .closed = on_closed};

static void on_started(struct weir_stream *s, int code, const struct weir_err *err)
{
    struct client *c = s->owner;
    (void)err;
    if (code != 0) {
        end_client(c);
        return;
    }
    weir_http_conn_init(&c->http, s, true);
    struct weir_codec *codec = weir_h1_server_new(&limits, &codec_events, c, &c->http.out);
    if (codec == NULL) {
        weir_outbox_close(&c->http.out);
        end_client(c);
        return;
    }
    c->starting = NULL;
    weir_http_conn_run(&c->http, codec, NULL, 0);
}

static void accepted(struct weir_listener *l, int fd, const struct weir_addr *peer)
{
    struct weir_pages *p = l->owner;
    struct client *c = p->client_count < WEIR_PAGES_CLIENTS_MAX ? calloc(1, sizeof *c) : NULL;
    (void)peer;
    if (c == NULL || weir_tcp_adopt(&c->starting, p->reactor, fd, NULL) != 0) {
        free(c);
        close(fd);
        return;
    }
    c->pages = p;
    weir_deadline_init(&c->clock, on_clock);
    weir_list_push_back(&p->clients, &c->link);
    p->client_count++;
    arm(c);
    c->starting->owner = c;
    weir_stream_start(c->starting, on_started);
}

int weir_pages_open(struct weir_pages *p, struct weir_reactor *r, struct weir_addr *addr, weir_pages_render_cb render,
                    void *owner, struct weir_err *err)
{
    int fd;
    *p = (struct weir_pages){.reactor = r, .render = render, .owner = owner};
    weir_list_init(&p->clients);
    int rv = weir_listen_open(&fd, 1, addr, err);
    if (rv != 0)
        return rv;
    p->listener.accepted = accepted;
    p->listener.owner = p;
    rv = weir_listener_start(&p->listener, r, fd);
    if (rv != 0) {
        close(fd);
        return weir_err_set(err, rv, "the listening socket cannot be watched: %s", weir_err_text(rv));
    }
    return 0;
}

void weir_pages_close(struct weir_pages *p)
{
    if (p->reactor == NULL)
        return;
    weir_listener_close(&p->listener);
    while (!weir_list_empty(&p->clients))
        end_client(WEIR_CONTAINER(p->clients.next, struct client, link));
}
