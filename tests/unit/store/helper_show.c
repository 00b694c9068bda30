#include "helper_show.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>

#define LINES_MAX 8192u

static void show_sight(struct weir_textbuf *o, const struct weir_breaker_sight *s)
{
    weir_textbuf_printf(o, " %s gen %" PRIu64 " open_until %" PRIu64 " cooldown_until %" PRIu64,
                        weir_breaker_phase_text(s->phase), s->gen, s->open_until_ms, s->cooldown_until_ms);
}

static void show_member(struct weir_textbuf *o, const struct weir_coord_member *m)
{
    weir_textbuf_printf(o, "member %s %" PRIu64 " %s %s %s weight %u epoch_seen %" PRIu64 " load %u %u %u %u %u %u",
                        m->id, m->instance, m->advertise, m->version, weir_coord_node_state_text(m->state), m->weight,
                        m->epoch_seen, m->load.in_flight, m->load.connections, m->load.utilization_pct,
                        m->load.loop_lag_us, m->load.requests_per_s, m->load.errors_per_s);
    weir_textbuf_printf(o, " age %" PRIu64 "\n", m->age_ms);
}

static void show_circuit(struct weir_textbuf *o, const struct weir_coord_circuit *c)
{
    weir_textbuf_printf(o, "circuit %s", c->endpoint);
    show_sight(o, &c->sight);
    weir_textbuf_printf(o, " since %" PRIu64 " version %" PRIu64 " by '%s'\n", c->since_ms, c->version, c->by);
}

static void show_report(struct weir_textbuf *o, const struct weir_coord_report_reply *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct weir_breaker_reply *b = &r->items[i].reply;
        weir_textbuf_str(o, "reported");
        show_sight(o, &r->items[i].sight);
        weir_textbuf_printf(o, " permits of %" PRIu64 ":", b->gen);
        for (uint32_t n = 0; n < b->permit_count; n++)
            weir_textbuf_printf(o, " %" PRIu64 "@%" PRIu64, b->permits[n].id, b->permits[n].expires_ms);
        for (uint32_t n = 0; n < b->event_count; n++) {
            const struct weir_breaker_event *e = &b->events[n];
            weir_textbuf_printf(o, " [%s %s gen %" PRIu64 " until %" PRIu64 " run %u window %" PRIu64 " %" PRIu64 "]",
                                weir_breaker_event_label(e->kind), weir_breaker_reason_label(e->reason), e->gen,
                                e->until_ms, e->run, e->window.ok, e->window.fail);
        }
        weir_textbuf_char(o, '\n');
    }
}

static void show_led(struct weir_textbuf *o, const struct weir_coord_led *l)
{
    weir_textbuf_printf(o, "led by '%s' token %" PRIu64 " left %" PRIu64 "\n", l->leader, l->token, l->left_ms);
}

static void show_rest(struct weir_textbuf *o, const struct weir_coord_reply *r)
{
    switch (r->op) {
    case WEIR_COORD_BEAT:
        weir_textbuf_printf(o, "incarnation %" PRIu64 " version %" PRIu64 " members %u silent %u\n",
                            r->beat.incarnation, r->beat.members_version, r->beat.members, r->beat.silent);
        weir_textbuf_printf(o, "map %" PRIu64 " '%s' circuits %" PRIu64 " secret '%s' advice %" PRIu64 "\n",
                            r->beat.map_epoch, r->beat.map_leader, r->beat.circuits_version, r->beat.secret,
                            r->beat.advice_version);
        show_led(o, &r->beat.led);
        break;
    case WEIR_COORD_MEMBERS:
        weir_textbuf_printf(o, "version %" PRIu64 "\n", r->members.version);
        for (uint32_t i = 0; i < r->members.count; i++)
            show_member(o, &r->members.at[i]);
        break;
    case WEIR_COORD_MAP:
        weir_textbuf_printf(o, "map %" PRIu64 " '%s' '%.*s'\n", r->map.epoch, r->map.leader, WEIR_FMT(r->map.map));
        show_led(o, &r->map.led);
        break;
    case WEIR_COORD_LEAD:
    case WEIR_COORD_PUBLISH:
        weir_textbuf_printf(o, "token %" PRIu64 " leader '%s' left %" PRIu64 " map %" PRIu64 " seen %" PRIu64 "\n",
                            r->lead.led.token, r->lead.led.leader, r->lead.led.left_ms, r->lead.map_epoch,
                            r->lead.epoch_seen);
        break;
    case WEIR_COORD_REPORT:
        show_report(o, &r->report);
        break;
    case WEIR_COORD_CIRCUITS:
        weir_textbuf_printf(o, "version %" PRIu64 "\n", r->circuits.version);
        for (uint32_t i = 0; i < r->circuits.count; i++)
            show_circuit(o, &r->circuits.at[i]);
        break;
    case WEIR_COORD_TOKENS:
        for (uint32_t i = 0; i < r->tokens.count; i++)
            weir_textbuf_printf(o, "granted %u remaining %u wait %" PRIu64 " full %" PRIu64 "\n",
                                r->tokens.items[i].granted, r->tokens.items[i].remaining, r->tokens.items[i].wait_us,
                                r->tokens.items[i].full_us);
        break;
    case WEIR_COORD_EVENTS:
        for (uint32_t i = 0; i < r->events.count; i++)
            weir_textbuf_printf(o, "event %.*s\n", WEIR_FMT(r->events.at[i]));
        break;
    case WEIR_COORD_LOADS:
    case WEIR_COORD_SERIES:
        weir_textbuf_printf(o, "newest %" PRIu64 " upto %" PRIu64 " step %u\n", r->entries.newest, r->entries.upto,
                            r->entries.step_ms);
        for (uint32_t i = 0; i < r->entries.count; i++)
            weir_textbuf_printf(o, "entry %" PRIu64 " '%.*s'\n", r->entries.at[i].id, WEIR_FMT(r->entries.at[i].text));
        break;
    case WEIR_COORD_FOLD:
        weir_textbuf_printf(o, "newest %" PRIu64 "\n", r->fold_newest);
        break;
    case WEIR_COORD_ADVISE:
        weir_textbuf_printf(o, "version %" PRIu64 "\n", r->advise_version);
        break;
    case WEIR_COORD_ADVICE:
        weir_textbuf_printf(o, "version %" PRIu64 " '%s' at %" PRIu64 " '%.*s' '%.*s'\n", r->advice.version,
                            r->advice.leader, r->advice.unix_ms, WEIR_FMT(r->advice.hints),
                            WEIR_FMT(r->advice.analytics));
        break;
    case WEIR_COORD_LEAVE:
    case WEIR_COORD_RESIGN:
    case WEIR_COORD_CHECKED:
    case WEIR_COORD_EVENT:
    case WEIR_COORD_APPEND:
    case WEIR_COORD_OPS:
        break;
    }
}

void show_reply(struct weir_textbuf *o, const struct weir_coord_reply *r)
{
    weir_textbuf_printf(o, "%s: %s '%s' at %" PRIu64 "\n", weir_coord_op_text(r->op), weir_coord_word_text(r->word),
                        r->why, r->now_us);
    if (r->word == WEIR_COORD_OK || r->word == WEIR_COORD_STALE)
        show_rest(o, r);
}

void show_push(struct weir_textbuf *o, const struct weir_coord_push *p)
{
    weir_textbuf_printf(o, "push at %" PRIu64 ": ", p->now_us);
    switch (p->kind) {
    case WEIR_COORD_PUSH_MEMBERS:
        weir_textbuf_printf(o, "members %" PRIu64 "\n", p->members_version);
        break;
    case WEIR_COORD_PUSH_MAP:
        weir_textbuf_printf(o, "map %" PRIu64 "\n", p->map_epoch);
        break;
    case WEIR_COORD_PUSH_CIRCUIT:
        show_circuit(o, &p->circuit);
        break;
    case WEIR_COORD_PUSH_CHECKED:
        weir_textbuf_printf(o, "checked %s by %s: %d '%s'\n", p->checked.endpoint, p->checked.node, p->checked.passed,
                            p->checked.why);
        break;
    case WEIR_COORD_PUSH_EVENT:
        weir_textbuf_printf(o, "event %.*s\n", WEIR_FMT(p->event));
        break;
    case WEIR_COORD_PUSH_HINTS:
        weir_textbuf_printf(o, "hints %" PRIu64 "\n", p->advice_version);
        break;
    case WEIR_COORD_PUSH_GAP: /* no request's doing */
    case WEIR_COORD_PUSH_KINDS:
        break;
    }
}

/* -- states -- */

static void show_record(struct weir_textbuf *o, const struct weir_coord_record *r)
{
    const struct weir_coord_member *m = &r->member;
    weir_textbuf_printf(o, "members %s instance=%" PRIu64 " state=%s weight=%u advertise=%s version=%s\n", m->id,
                        m->instance, weir_coord_node_state_text(m->state), m->weight, m->advertise, m->version);
    weir_textbuf_printf(o,
                        "load %s in_flight=%u connections=%u utilization_pct=%u loop_lag_us=%u requests_per_s=%u "
                        "errors_per_s=%u epoch_seen=%" PRIu64 "\n",
                        m->id, m->load.in_flight, m->load.connections, m->load.utilization_pct, m->load.loop_lag_us,
                        m->load.requests_per_s, m->load.errors_per_s, m->epoch_seen);
    weir_textbuf_printf(o, "seen %s %" PRIu64 "\n", m->id, r->seen_ms);
}

static void show_breaker(struct weir_textbuf *o, const struct weir_coord_circuit_record *c)
{
    const struct weir_breaker_state *b = &c->breaker;
    weir_textbuf_printf(o, "circuits %s phase=%s gen=%" PRIu64 " open_until_ms=%" PRIu64 " cooldown_until_ms=%" PRIu64,
                        c->endpoint, weir_breaker_phase_text(b->phase), b->gen, b->open_until_ms, b->cooldown_until_ms);
    weir_textbuf_printf(o, " since_ms=%" PRIu64 " version=%" PRIu64 " by=%s\n", b->since_ms, c->version, c->by);
    weir_textbuf_printf(o, "circuits:state %s openings=%u run=%u probes_ok=%u permit_last=%" PRIu64 " permits=",
                        c->endpoint, b->openings, b->run, b->probes_ok, b->permit_last);
    for (uint32_t i = 0; i < b->permit_count; i++)
        weir_textbuf_printf(o, "%s%" PRIu64 "@%" PRIu64, i > 0 ? "," : "", b->permits[i].id, b->permits[i].expires_ms);
    weir_textbuf_str(o, " buckets=");
    const char *comma = "";
    for (size_t i = 0; i < WEIR_BREAKER_BUCKETS; i++) {
        if (b->buckets[i].period == 0)
            continue;
        weir_textbuf_printf(o, "%s%" PRIu64 "/%u/%u", comma, b->buckets[i].period, b->buckets[i].ok,
                            b->buckets[i].fail);
        comma = ",";
    }
    weir_textbuf_printf(o, " witnesses=%" PRIu64 "@%" PRIu64 ",%" PRIu64 "@%" PRIu64 "\n", b->witnesses[0].node,
                        b->witnesses[0].at_ms, b->witnesses[1].node, b->witnesses[1].at_ms);
}

static void show_number(struct weir_textbuf *o, const char *field, uint64_t v)
{
    if (v != 0) /* a field that was never written */
        weir_textbuf_printf(o, "%s %" PRIu64 "\n", field, v);
}

static void show_stream(struct weir_textbuf *o, const char *name, const struct weir_coord_stream *s, uint64_t scale)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct weir_coord_kept *k = weir_coord_stream_at(s, i);
        weir_textbuf_printf(o, "%s %" PRIu64 "-%" PRIu64 " %s %.*s", name, k->id / scale, k->id % scale,
                            scale > 1 ? "record" : "point", (int)k->len, k->text);
        if (scale == 1)
            weir_textbuf_printf(o, " step_ms %u", s->step_ms);
        weir_textbuf_char(o, '\n');
    }
}

static void show_advice(struct weir_textbuf *o, const struct weir_coord_advice *a)
{
    weir_textbuf_printf(o, "advice version %" PRIu64 "\nadvice leader %s\nadvice token %" PRIu64 "\n", a->version,
                        a->leader, a->token);
    weir_textbuf_printf(o, "advice ms %" PRIu64 "\nadvice hints %.*s\n", a->at_ms, (int)a->hints_len, a->hints);
    if (a->analytics_len > 0)
        weir_textbuf_printf(o, "advice analytics %.*s\n", (int)a->analytics_len, a->analytics);
}

void show_state(struct weir_textbuf *o, const struct weir_coord_state *s)
{
    show_number(o, "meta schema", s->schema);
    show_number(o, "meta incarnation", s->incarnation);
    if (s->secret[0] != '\0')
        weir_textbuf_printf(o, "meta secret %s\n", s->secret);
    show_number(o, "meta members_version", s->members_version);
    show_number(o, "meta forget_from_ms", s->forget_from_ms);
    show_number(o, "meta circuits_version", s->circuits_version);
    show_number(o, "meta events", s->event_last);
    for (uint32_t i = 0; i < s->member_count; i++)
        show_record(o, &s->members[i]);
    if (s->lead.token != 0)
        weir_textbuf_printf(
            o, "lead id %s\nlead token %" PRIu64 "\nlead until_ms %" PRIu64 "\nlead lease_ms %" PRIu64 "\n", s->lead.id,
            s->lead.token, s->lead.until_ms, s->lead.lease_ms);
    if (s->map.epoch != 0)
        weir_textbuf_printf(o, "map epoch %" PRIu64 "\nmap leader %s\nmap map %.*s\n", s->map.epoch, s->map.leader,
                            (int)s->map.len, s->map.text);
    for (uint32_t i = 0; i < s->circuit_count; i++)
        show_breaker(o, s->circuits[i]);
    for (uint32_t i = 0; i < s->bucket_count; i++) {
        const struct weir_limiter *l = &s->buckets[i].limiter;
        const char *name = s->buckets[i].provider;
        weir_textbuf_printf(o, "limit:%s limit %u\nlimit:%s burst %u\nlimit:%s period_us %" PRIu64 "\n", name, l->limit,
                            name, l->burst, name, l->period_us);
        weir_textbuf_printf(o, "limit:%s tat_us %" PRIu64 "\nlimit:%s tat_part %u\n", name, l->tat_us, name,
                            l->tat_part);
        weir_textbuf_printf(o, "limit:%s lows ", name);
        for (uint32_t n = 0; n < s->buckets[i].low_count; n++)
            weir_textbuf_printf(o, "%s%u@%" PRIu64, n > 0 ? "," : "", s->buckets[i].lows[n].low,
                                s->buckets[i].lows[n].at_us);
        weir_textbuf_str(o, "\n");
    }
    show_stream(o, "loads", &s->loads, 1000);
    show_stream(o, "series:0", &s->series[0], 1);
    show_stream(o, "series:1", &s->series[1], 1);
    show_stream(o, "series:2", &s->series[2], 1);
    if (s->advice.version != 0)
        show_advice(o, &s->advice);
    sort_lines(o);
}

static int by_text(const void *a, const void *b)
{
    const struct weir_str *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->ptr, y->ptr, n);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

void sort_lines(struct weir_textbuf *t)
{
    static struct weir_str lines[LINES_MAX];
    static char copy[1u << 20];
    size_t count = 0, at = 0;
    ck_assert(!t->failed && t->len <= sizeof copy);
    memcpy(copy, t->ptr, t->len);
    while (at < t->len) {
        const char *end = memchr(copy + at, '\n', t->len - at);
        ck_assert_ptr_nonnull(end);
        ck_assert_uint_lt(count, LINES_MAX);
        lines[count++] = (struct weir_str){copy + at, (size_t)(end - copy) + 1 - at};
        at += lines[count - 1].len;
    }
    qsort(lines, count, sizeof lines[0], by_text);
    t->len = 0;
    for (size_t i = 0; i < count; i++)
        weir_textbuf_add(t, lines[i].ptr, lines[i].len);
}
