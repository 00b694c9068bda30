/* The store: core/coord_state behind a network, with everything that can befall a store. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* A replica is behind by up to this; what it has not seen is lost with a failover. */
#define REPLICA_LAG_US (500 * SIM_MS)
/* What an answer or request costs on the wire beside its texts: a script's name, keys, numbers. */
#define WIRE_BYTES 150u
#define WIRE_ITEM  60u

/* A request on its way, with all that it points to. */
struct carried {
    struct weir_coord_request r;
    struct weir_coord_member self;
    size_t size;
    char text[];
};
struct carried_reply {
    struct weir_coord_reply r;
    uint64_t process;
    size_t size;
    union {
        struct weir_coord_member members[1];
        struct weir_coord_circuit circuits[1];
        struct weir_coord_entry entries[1]; /* their texts are behind them */
        char text[1];
    };
};
struct carried_push {
    struct weir_coord_push p;
    uint64_t process;
};

uint64_t sim_store_us(const struct sim_world *w)
{
    int64_t now = (int64_t)w->now_us + (int64_t)w->now_us * w->store.ppm / 1000000 + w->store.jump_us;
    return UINT64_C(1000000) * SIM_S + (uint64_t)now;
}

static bool lost(struct sim_world *w)
{
    return sim_chance(w, 1000000) < w->loss_ppm;
}

static uint64_t delay(struct sim_world *w)
{
    /* Most messages are fast, some are not. */
    uint64_t below = sim_one_in(w, 16) ? w->delay_us : w->delay_us / 10;
    return w->now_us + 50 + sim_chance(w, below);
}

/* -- pushes and answers -- */

static void push_arrives(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    if (!c->up || c->process != mark || !c->link || !sim_client_reaches(w, i))
        return;
    if (!sim_client_hangs(w, i, push_arrives, mark, data, sizeof(struct carried_push)))
        sim_client_push(w, i, &((struct carried_push *)data)->p);
}

static void push_out(void *arg, const struct weir_coord_push *push)
{
    struct sim_world *w = arg;
    struct weir_coord_push p = *push;
    if (p.kind == WEIR_COORD_PUSH_EVENT || p.kind == WEIR_COORD_PUSH_CHECKED)
        return; /* nobody here listens */
    if (p.kind == WEIR_COORD_PUSH_CIRCUIT) {
        p.circuit.endpoint = sim_intern(w, p.circuit.endpoint);
        p.circuit.by = sim_intern(w, p.circuit.by);
    }
    for (uint32_t i = 0; i < w->client_count; i++) {
        struct sim_client *c = &w->clients[i];
        if (!c->up || !c->link || !sim_client_reaches(w, i) || lost(w))
            continue;
        struct carried_push *out = sim_alloc(sizeof *out);
        out->p = p;
        w->counts.pushes++;
        w->counts.push_bytes += WIRE_ITEM;
        sim_at(w, delay(w), push_arrives, i, c->process, out);
    }
}

/* The block has moved since it was filled. */
static void place_entries(struct weir_coord_entry *entries, uint32_t count)
{
    const char *at = (const char *)(entries + count);
    for (uint32_t i = 0; i < count; at += entries[i++].text.len)
        entries[i].text.ptr = at;
}

static void reply_arrives(struct sim_world *w, uint32_t i, uint64_t mark, void *data)
{
    struct sim_client *c = &w->clients[i];
    struct carried_reply *in = data;
    if (!c->up || c->process != mark || !sim_client_reaches(w, i))
        return;
    if (c->paused_until_us > w->now_us) {
        /* Its arrays point into the block that is freed after this: the copy is made by hand. */
        struct carried_reply *copy = sim_alloc(in->size);
        memcpy(copy, in, in->size);
        sim_at(w, c->paused_until_us, reply_arrives, i, mark, copy);
        return;
    }
    switch (in->r.op) {
    case WEIR_COORD_MEMBERS:
        in->r.members.at = in->members;
        break;
    case WEIR_COORD_CIRCUITS:
        in->r.circuits.at = in->circuits;
        break;
    case WEIR_COORD_MAP:
        in->r.map.map.ptr = in->text;
        break;
    case WEIR_COORD_LOADS:
    case WEIR_COORD_SERIES:
        place_entries(in->entries, in->r.entries.count);
        in->r.entries.at = in->entries;
        break;
    case WEIR_COORD_ADVICE:
        in->r.advice.hints.ptr = in->text;
        in->r.advice.analytics.ptr = in->text + in->r.advice.hints.len;
        break;
    default:
        break;
    }
    sim_client_reply(w, i, &in->r);
}

static size_t entry_bytes(const struct weir_coord_entries_reply *r)
{
    size_t bytes = r->count * sizeof *r->at;
    for (uint32_t i = 0; i < r->count; i++)
        bytes += r->at[i].text.len;
    return bytes;
}

static size_t payload(const struct weir_coord_reply *r)
{
    if (r->word != WEIR_COORD_OK)
        return 0;
    switch (r->op) {
    case WEIR_COORD_MEMBERS:
        return r->members.count * sizeof *r->members.at;
    case WEIR_COORD_CIRCUITS:
        return r->circuits.count * sizeof *r->circuits.at;
    case WEIR_COORD_MAP:
        return r->map.map.len;
    case WEIR_COORD_LOADS:
    case WEIR_COORD_SERIES:
        return entry_bytes(&r->entries);
    case WEIR_COORD_ADVICE:
        return r->advice.hints.len + r->advice.analytics.len;
    default:
        return 0;
    }
}

static uint64_t wire_bytes(const struct weir_coord_reply *r)
{
    if (r->word != WEIR_COORD_OK)
        return WIRE_BYTES;
    switch (r->op) {
    case WEIR_COORD_MEMBERS:
        return WIRE_BYTES + (uint64_t)r->members.count * 3 * WIRE_ITEM;
    case WEIR_COORD_CIRCUITS:
        return WIRE_BYTES + (uint64_t)r->circuits.count * WIRE_ITEM;
    case WEIR_COORD_MAP:
        return WIRE_BYTES + r->map.map.len;
    case WEIR_COORD_REPORT:
        return WIRE_BYTES + (uint64_t)r->report.count * WIRE_ITEM;
    case WEIR_COORD_LOADS:
    case WEIR_COORD_SERIES:
    case WEIR_COORD_ADVICE:
        return WIRE_BYTES + payload(r);
    default:
        return WIRE_BYTES;
    }
}

static void put_text(char **at, struct weir_str text)
{
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
}

static void put_entries(struct carried_reply *out, const struct weir_coord_entries_reply *r)
{
    char *at = (char *)(out->entries + r->count);
    memcpy(out->entries, r->at, r->count * sizeof *r->at);
    for (uint32_t i = 0; i < r->count; i++)
        put_text(&at, r->at[i].text);
}

static struct carried_reply *carry_reply(struct sim_world *w, const struct weir_coord_reply *r)
{
    size_t more = payload(r), size = sizeof(struct carried_reply) + more;
    struct carried_reply *out = sim_alloc(size);
    out->r = *r;
    out->size = size;
    w->counts.store_bytes += wire_bytes(r);
    if (r->word == WEIR_COORD_OK && r->op == WEIR_COORD_BEAT) {
        out->r.beat.map_leader = sim_intern(w, r->beat.map_leader);
        out->r.beat.secret = sim_intern(w, r->beat.secret);
        out->r.beat.led.leader = sim_intern(w, r->beat.led.leader);
    } else if (r->op == WEIR_COORD_LEAD || r->op == WEIR_COORD_PUBLISH) {
        out->r.lead.led.leader = sim_intern(w, r->lead.led.leader != NULL ? r->lead.led.leader : "");
    } else if (more > 0 && r->op == WEIR_COORD_MEMBERS) {
        memcpy(out->members, r->members.at, more);
    } else if (more > 0 && r->op == WEIR_COORD_CIRCUITS) {
        memcpy(out->circuits, r->circuits.at, more);
        for (uint32_t k = 0; k < r->circuits.count; k++) {
            out->circuits[k].endpoint = sim_intern(w, out->circuits[k].endpoint);
            out->circuits[k].by = sim_intern(w, out->circuits[k].by);
        }
    } else if (more > 0 && (r->op == WEIR_COORD_LOADS || r->op == WEIR_COORD_SERIES)) {
        put_entries(out, &r->entries);
    } else if (more > 0 && r->op == WEIR_COORD_ADVICE) {
        char *at = out->text;
        put_text(&at, r->advice.hints);
        put_text(&at, r->advice.analytics);
    } else if (more > 0) {
        memcpy(out->text, r->map.map.ptr, more);
    }
    if (r->word == WEIR_COORD_OK && r->op == WEIR_COORD_MAP) {
        out->r.map.leader = sim_intern(w, r->map.leader);
        out->r.map.led.leader = sim_intern(w, r->map.led.leader);
    }
    if (r->word == WEIR_COORD_OK && r->op == WEIR_COORD_ADVICE)
        out->r.advice.leader = sim_intern(w, r->advice.leader);
    return out;
}

/* -- requests -- */

/* The texts that a request points to, of any length; they are carried in this order. */
static unsigned texts_of(struct weir_coord_request *r, struct weir_str *texts[2])
{
    texts[0] = r->op == WEIR_COORD_PUBLISH  ? &r->publish.map
               : r->op == WEIR_COORD_EVENT  ? &r->event
               : r->op == WEIR_COORD_APPEND ? &r->append
               : r->op == WEIR_COORD_FOLD   ? &r->fold.text
               : r->op == WEIR_COORD_ADVISE ? &r->advise.hints
                                            : NULL;
    texts[1] = r->op == WEIR_COORD_ADVISE ? &r->advise.analytics : NULL;
    return (unsigned)(texts[0] != NULL) + (texts[1] != NULL);
}

static struct carried *carry(struct sim_world *w, uint32_t from, const struct weir_coord_request *r)
{
    struct weir_coord_request copy = *r;
    struct weir_str *texts[2];
    unsigned text_count = texts_of(&copy, texts);
    size_t text_bytes = 0;
    for (unsigned i = 0; i < text_count; i++)
        text_bytes += texts[i]->len;
    struct carried *c = sim_alloc(sizeof *c + text_bytes);
    c->r = *r;
    c->size = sizeof *c + text_bytes;
    char *at = c->text;
    for (unsigned i = 0; i < text_count; i++)
        put_text(&at, *texts[i]);
    w->counts.store_bytes += WIRE_BYTES + text_bytes;
    switch (r->op) {
    case WEIR_COORD_BEAT:
        c->self = *r->beat.self;
        c->r.beat.secret = r->beat.secret != NULL ? sim_intern(w, r->beat.secret) : NULL;
        w->counts.store_bytes += WIRE_BYTES;
        break;
    case WEIR_COORD_LEAVE:
        c->self = *r->leave;
        break;
    case WEIR_COORD_LEAD:
        c->r.lead.id = w->clients[from].id;
        break;
    case WEIR_COORD_RESIGN:
        c->r.resign.id = w->clients[from].id;
        break;
    case WEIR_COORD_PUBLISH:
        c->r.publish.id = w->clients[from].id;
        break;
    case WEIR_COORD_FOLD:
        c->r.fold.id = w->clients[from].id;
        break;
    case WEIR_COORD_ADVISE:
        c->r.advise.id = w->clients[from].id;
        break;
    case WEIR_COORD_REPORT:
        c->r.report.by = w->clients[from].id;
        w->counts.store_bytes += (uint64_t)r->report.count * 2 * WIRE_ITEM;
        break;
    default:
        break;
    }
    return c;
}

/* The block has moved since it was filled. */
static const struct weir_coord_request *unpack(struct carried *c)
{
    struct weir_str *texts[2];
    const char *at = c->text;
    unsigned text_count = texts_of(&c->r, texts);
    for (unsigned i = 0; i < text_count; at += texts[i++]->len)
        texts[i]->ptr = at;
    if (c->r.op == WEIR_COORD_BEAT)
        c->r.beat.self = &c->self;
    else if (c->r.op == WEIR_COORD_LEAVE)
        c->r.leave = &c->self;
    return &c->r;
}

static bool writes(enum weir_coord_op op)
{
    return op != WEIR_COORD_MEMBERS && op != WEIR_COORD_MAP && op != WEIR_COORD_CIRCUITS && op != WEIR_COORD_EVENTS &&
           op != WEIR_COORD_LOADS && op != WEIR_COORD_SERIES && op != WEIR_COORD_ADVICE;
}

/* mark: the store's time when the original was carried out. */
static void replicate(struct sim_world *w, uint32_t who, uint64_t mark, void *data)
{
    struct carried *c = data;
    struct weir_coord_reply ignored;
    (void)who;
    if (w->store.replica != NULL)
        weir_coord_apply(w->store.replica, mark, unpack(c), &ignored, NULL, NULL);
}

static void to_replica(struct sim_world *w, const struct carried *c)
{
    if (w->store.replica == NULL || !writes(c->r.op))
        return;
    struct carried *copy = sim_alloc(c->size);
    memcpy(copy, c, c->size);
    sim_at(w, w->now_us + REPLICA_LAG_US, replicate, 0, sim_store_us(w), copy);
}

/* Of a leader's write; 0: it is none. */
static uint64_t token_of(const struct weir_coord_request *r)
{
    return r->op == WEIR_COORD_PUBLISH  ? r->publish.token
           : r->op == WEIR_COORD_FOLD   ? r->fold.token
           : r->op == WEIR_COORD_ADVISE ? r->advise.token
                                        : 0;
}

static void arrives(struct sim_world *w, uint32_t from, uint64_t mark, void *data)
{
    struct carried *c = data;
    struct sim_client *client = &w->clients[from];
    struct weir_coord_reply reply = {.word = WEIR_COORD_OK};
    if (!sim_client_reaches(w, from))
        return;
    if (w->store.frozen_until_us > w->now_us) {
        struct carried *copy = sim_alloc(c->size);
        memcpy(copy, c, c->size);
        sim_at(w, w->store.frozen_until_us, arrives, from, mark, copy);
        return;
    }
    const struct weir_coord_request *r = unpack(c);
    uint64_t token = token_of(r);
    if (token != 0)
        sim_plant_write(w, &c->r);
    if (w->store.refuses && writes(r->op)) {
        reply = (struct weir_coord_reply){
            .op = r->op, .id = r->id, .sent_ms = r->sent_ms, .word = WEIR_COORD_REFUSED, .why = "out of memory"};
        reply.now_us = sim_store_us(w);
    } else {
        weir_coord_apply(w->store.state, sim_store_us(w), r, &reply, push_out, w);
        to_replica(w, c);
        if (r->op == WEIR_COORD_PUBLISH && reply.word == WEIR_COORD_OK)
            sim_check_map(w, r->publish.epoch, client->id, r->publish.map);
        if (token != 0 && reply.word == WEIR_COORD_OK)
            sim_check_write(w, from, r->op, token);
    }
    struct carried_reply *out = carry_reply(w, &reply);
    if (lost(w))
        free(out);
    else
        sim_at(w, delay(w) + w->store.slow_us, reply_arrives, from, mark, out);
}

void sim_store_call(struct sim_world *w, uint32_t from, const struct weir_coord_request *r)
{
    if (!sim_client_reaches(w, from) || lost(w))
        return;
    sim_at(w, delay(w), arrives, from, w->clients[from].process, carry(w, from, r));
}

/* -- what befalls it -- */

static struct weir_coord_state *fresh(void)
{
    struct weir_coord_state *s = weir_coord_state_new();
    if (s == NULL)
        abort();
    return s;
}

void sim_store_open(struct sim_world *w)
{
    w->store.state = fresh();
    w->store.ppm = (int64_t)sim_chance(w, 2001) - 1000;
    if (!w->options.quiet && sim_one_in(w, 4))
        w->store.replica = fresh();
}

void sim_store_close(struct sim_world *w)
{
    weir_coord_state_free(&w->store.state);
    weir_coord_state_free(&w->store.replica);
}

static void contents_changed(struct sim_world *w)
{
    w->store.disturbed_us = w->store.permits_void_us = w->now_us;
    w->store.token = 0;
}

static void break_all(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->client_count; i++)
        sim_client_link(w, i, false);
}

void sim_store_flush(struct sim_world *w)
{
    weir_coord_state_free(&w->store.state);
    w->store.state = fresh();
    contents_changed(w);
    if (!w->strict)
        sim_check_extra(w, w->burst);
}

void sim_store_fail(struct sim_world *w, bool keeps_contents)
{
    w->store.disturbed_us = w->now_us;
    if (!keeps_contents)
        sim_store_flush(w);
    break_all(w);
}

/* The replica takes over as it is; what was to reach it is lost, and it has none itself any more. */
void sim_store_failover(struct sim_world *w)
{
    if (w->store.replica == NULL)
        return;
    weir_coord_state_free(&w->store.state);
    w->store.state = w->store.replica;
    w->store.replica = NULL;
    contents_changed(w);
    sim_check_extra(w, w->burst + w->limit * REPLICA_LAG_US / (60 * SIM_S) + 1);
    break_all(w);
}
