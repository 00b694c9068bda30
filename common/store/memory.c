/* The store in memory: core/coord_state, asked one turn of the reactor later. */
#include <stdlib.h>

#include "core/arena.h"
#include "core/coord_state.h"
#include "store/store_impl.h"

struct call {
    struct weir_list link;
    struct weir_arena arena; /* what the request points to */
    struct weir_coord_request request;
    struct weir_coord_member member;
};

struct memory {
    struct weir_store store;
    struct weir_reactor *reactor;
    struct weir_coord_state *state;
    struct weir_message turn; /* to its own thread; whoever closes the store leaves it to the one under way */
    struct weir_list calls;   /* oldest first */
    unsigned call_count;
    uint64_t unix_us; /* when the reactor's clock was at 0 */
    bool posted, up, closed;
};

static void free_call(struct call *c)
{
    weir_arena_reset(&c->arena);
    free(c);
}

static void post(struct memory *m)
{
    if (m->posted)
        return;
    m->posted = true;
    weir_mailbox_post(&m->reactor->mailbox, &m->turn);
}

/* -- requests, kept for a turn -- */

static bool keep_text(struct call *c, const char **text)
{
    if (*text == NULL)
        return true;
    *text = weir_arena_dup(&c->arena, weir_str_of(*text)).ptr;
    return *text != NULL;
}

static bool keep_bytes(struct call *c, struct weir_str *bytes)
{
    *bytes = weir_arena_dup(&c->arena, *bytes);
    return bytes->ptr != NULL;
}

/* Copies what the request points to. False: out of memory. */
static bool keep(struct call *c)
{
    struct weir_coord_request *q = &c->request;
    bool kept = true;
    switch (q->op) {
    case WEIR_COORD_BEAT:
        c->member = *q->beat.self;
        q->beat.self = &c->member;
        return keep_text(c, &q->beat.secret);
    case WEIR_COORD_LEAVE:
        c->member = *q->leave;
        q->leave = &c->member;
        return true;
    case WEIR_COORD_LEAD:
        return keep_text(c, &q->lead.id);
    case WEIR_COORD_RESIGN:
        return keep_text(c, &q->resign.id);
    case WEIR_COORD_PUBLISH:
        return keep_text(c, &q->publish.id) && keep_bytes(c, &q->publish.map);
    case WEIR_COORD_REPORT:
        for (uint32_t i = 0; i < q->report.count && kept; i++)
            kept = keep_text(c, &q->report.items[i].endpoint);
        return kept && keep_text(c, &q->report.by);
    case WEIR_COORD_TOKENS:
        for (uint32_t i = 0; i < q->tokens.count && kept; i++)
            kept = keep_text(c, &q->tokens.items[i].provider);
        return kept;
    case WEIR_COORD_CHECKED:
        return keep_text(c, &q->checked.endpoint) && keep_text(c, &q->checked.node) && keep_text(c, &q->checked.why);
    case WEIR_COORD_EVENT:
        return keep_bytes(c, &q->event);
    case WEIR_COORD_APPEND:
        return keep_bytes(c, &q->append);
    case WEIR_COORD_FOLD:
        return keep_text(c, &q->fold.id) && keep_bytes(c, &q->fold.text);
    case WEIR_COORD_ADVISE:
        return keep_text(c, &q->advise.id) && keep_bytes(c, &q->advise.hints) && keep_bytes(c, &q->advise.analytics);
    case WEIR_COORD_MEMBERS:
    case WEIR_COORD_MAP:
    case WEIR_COORD_CIRCUITS:
    case WEIR_COORD_EVENTS:
    case WEIR_COORD_LOADS:
    case WEIR_COORD_SERIES:
    case WEIR_COORD_ADVICE:
    case WEIR_COORD_OPS:
        break;
    }
    return true;
}

static void submit(struct weir_store *s, const struct weir_coord_request *request)
{
    struct memory *m = WEIR_CONTAINER(s, struct memory, store);
    struct call *c = weir_store_has_room(request->op, m->call_count) ? calloc(1, sizeof *c) : NULL;
    if (c == NULL)
        return;
    c->request = *request;
    if (!keep(c)) {
        free_call(c);
        return;
    }
    weir_list_push_back(&m->calls, &c->link);
    m->call_count++;
    post(m);
}

/* -- the turn -- */

static void release(struct memory *m)
{
    for (struct weir_list *l; (l = weir_list_pop_front(&m->calls)) != NULL;)
        free_call(WEIR_CONTAINER(l, struct call, link));
    weir_coord_state_free(&m->state);
    free(m);
}

static void push(void *arg, const struct weir_coord_push *p)
{
    struct memory *m = arg;
    if (!m->closed)
        m->store.events->push(m->store.owner, p);
}

static void carry_out(struct memory *m)
{
    struct call *c = WEIR_CONTAINER(weir_list_pop_front(&m->calls), struct call, link);
    struct weir_coord_reply reply;
    m->call_count--;
    weir_coord_apply(m->state, m->unix_us + m->reactor->now_us, &c->request, &reply, push, m);
    if (!m->closed)
        m->store.events->reply(m->store.owner, &reply);
    free_call(c);
}

static void run(struct weir_message *message, void *receiver)
{
    struct memory *m = WEIR_CONTAINER(message, struct memory, turn);
    (void)receiver;
    if (!m->closed && !m->up) {
        m->up = true;
        m->store.events->contact(m->store.owner, true, "");
    }
    /* What callbacks submit has its own turn. */
    for (unsigned n = m->call_count; n > 0 && !m->closed; n--)
        carry_out(m);
    if (m->closed) {
        release(m);
        return;
    }
    m->posted = false;
    if (m->call_count > 0)
        post(m);
}

static const char *server(const struct weir_store *s)
{
    (void)s;
    return "memory";
}

static void close_memory(struct weir_store *s)
{
    struct memory *m = WEIR_CONTAINER(s, struct memory, store);
    m->closed = true;
    if (!m->posted)
        release(m);
}

static const struct weir_store_ops ops = {submit, server, close_memory};

int weir_store_open_memory(struct weir_store **out, struct weir_reactor *r, const struct weir_store_events *events,
                           void *owner, struct weir_err *err)
{
    struct memory *m = calloc(1, sizeof *m);
    *out = NULL;
    if (m != NULL)
        m->state = weir_coord_state_new();
    if (m == NULL || m->state == NULL) {
        free(m);
        return weir_err_set(err, WEIR_ENOMEM, "store in memory: %s", weir_err_text(WEIR_ENOMEM));
    }
    m->store = (struct weir_store){&ops, events, owner};
    m->reactor = r;
    m->unix_us = weir_clock_unix_ms() * 1000 - r->now_us;
    weir_list_init(&m->calls);
    m->turn.handle = run;
    post(m);
    *out = &m->store;
    return WEIR_OK;
}
