/* Who is in the cluster: beats, leaves, and what is told of both. */
#include <assert.h>

#include "core/coord_impl.h"

#define MASK_52 ((UINT64_C(1) << 52) - 1)

static uint64_t age_ms(const struct weir_coord_turn *t, const struct weir_coord_record *r)
{
    return t->now_ms > r->seen_ms ? t->now_ms - r->seen_ms : 0;
}

static uint64_t forget_after_ms(uint64_t lease_ms)
{
    uint64_t ms = lease_ms * WEIR_COORD_FORGET_LEASES;
    return ms > WEIR_COORD_FORGET_MS_MIN ? ms : WEIR_COORD_FORGET_MS_MIN;
}

/* Where the member is, or, *found false, where it belongs. */
static uint32_t place_of(const struct weir_coord_state *s, const char *id, bool *found)
{
    uint32_t low = 0, high = s->member_count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(s->members[middle].member.id, id);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void remove_at(struct weir_coord_state *s, uint32_t at)
{
    s->member_count--;
    memmove(&s->members[at], &s->members[at + 1], (s->member_count - at) * sizeof s->members[0]);
}

/* *out: a new record at its place. Errors: the word of the answer is set. */
static bool insert_at(const struct weir_coord_turn *t, uint32_t at, struct weir_coord_record **out)
{
    struct weir_coord_state *s = t->s;
    uint32_t cap = s->member_cap, shown_cap = s->member_cap;
    if (s->member_count == WEIR_CLUSTER_NODES_MAX) {
        weir_coord_refuse(t, WEIR_COORD_REFUSED, "the cluster has as many members as it may have");
        return false;
    }
    void *members = s->members, *shown = s->members_shown;
    bool grown = weir_coord_grow(&shown, s->member_count, &shown_cap, sizeof s->members_shown[0]);
    s->members_shown = shown;
    if (!grown || !weir_coord_grow(&members, s->member_count, &cap, sizeof s->members[0])) {
        weir_coord_refuse(t, WEIR_COORD_REFUSED, "out of memory");
        return false;
    }
    s->members = members;
    s->member_cap = cap;
    memmove(&s->members[at + 1], &s->members[at], (s->member_count - at) * sizeof s->members[0]);
    s->member_count++;
    s->members[at] = (struct weir_coord_record){0};
    *out = &s->members[at];
    return true;
}

static void move_version(const struct weir_coord_turn *t)
{
    struct weir_coord_push push = {.kind = WEIR_COORD_PUSH_MEMBERS, .members_version = ++t->s->members_version};
    weir_coord_push_out(t, &push);
}

/* Times in the future come from before the clock was set back: they were now at the latest. And when nobody has been
 * heard of for a whole lease, it is the clock or the store that was away, and not all of the members. */
static void distrust_clock(const struct weir_coord_turn *t, uint64_t lease_ms)
{
    struct weir_coord_state *s = t->s;
    uint64_t newest = 0, again_ms = t->now_ms + forget_after_ms(lease_ms);
    if (s->forget_from_ms > again_ms)
        s->forget_from_ms = again_ms;
    for (uint32_t i = 0; i < s->member_count; i++) {
        if (s->members[i].seen_ms > t->now_ms)
            s->members[i].seen_ms = t->now_ms;
        if (s->members[i].seen_ms > newest)
            newest = s->members[i].seen_ms;
    }
    if (s->member_count > 0 && t->now_ms - newest >= lease_ms)
        s->forget_from_ms = again_ms;
}

/* Whether anybody was forgotten. */
static bool forget(const struct weir_coord_turn *t, uint64_t lease_ms)
{
    struct weir_coord_state *s = t->s;
    uint32_t before = s->member_count;
    if (t->now_ms < s->forget_from_ms)
        return false;
    for (uint32_t i = s->member_count; i-- > 0;)
        if (age_ms(t, &s->members[i]) > forget_after_ms(lease_ms))
            remove_at(s, i);
    return s->member_count < before;
}

static bool says_the_same(const struct weir_coord_member *a, const struct weir_coord_member *b)
{
    return a->instance == b->instance && a->state == b->state && a->weight == b->weight &&
           strcmp(a->advertise, b->advertise) == 0 && strcmp(a->version, b->version) == 0;
}

/* Takes the beat down; *moved: the version has to. False: the answer says why not. */
static bool record(const struct weir_coord_turn *t, const struct weir_coord_beat *b, bool *moved)
{
    bool found;
    uint32_t at = place_of(t->s, b->self->id, &found);
    struct weir_coord_record *r = found ? &t->s->members[at] : NULL;
    if (found && r->member.instance != b->self->instance && age_ms(t, r) < b->lease_ms) {
        weir_coord_refuse(t, WEIR_COORD_ID_TAKEN, "a living node has this id");
        return false;
    }
    if (!found && !insert_at(t, at, &r))
        return false;
    *moved = *moved || !found || !says_the_same(&r->member, b->self);
    r->member = *b->self;
    r->seen_ms = t->now_ms;
    return true;
}

void weir_coord_beat(const struct weir_coord_turn *t, const struct weir_coord_beat *b)
{
    struct weir_coord_state *s = t->s;
    s->schema = WEIR_COORD_SCHEMA;
    if (s->incarnation == 0) {
        s->incarnation = (b->self->instance & MASK_52) + (t->now_us & MASK_52);
        s->incarnation += s->incarnation == 0;
    }
    distrust_clock(t, b->lease_ms);
    bool moved = forget(t, b->lease_ms);
    bool recorded = record(t, b, &moved);
    if (moved)
        move_version(t);
    if (!recorded)
        return;
    if (b->secret != NULL && s->secret[0] == '\0')
        weir_coord_copy(s->secret, sizeof s->secret, b->secret);

    struct weir_coord_beat_reply *out = &t->reply->beat;
    *out = (struct weir_coord_beat_reply){
        .incarnation = s->incarnation,
        .members_version = s->members_version,
        .members = s->member_count,
        .map_epoch = s->map.epoch,
        .circuits_version = s->circuits_version,
        .advice_version = s->advice.version,
        .map_leader = s->map.leader,
        .secret = s->secret,
        .led = weir_coord_led_now(t),
    };
    for (uint32_t i = 0; i < s->member_count; i++)
        out->silent += age_ms(t, &s->members[i]) >= b->lease_ms;
}

void weir_coord_leave(const struct weir_coord_turn *t, const struct weir_coord_member *m)
{
    bool found;
    uint32_t at = place_of(t->s, m->id, &found);
    if (!found || t->s->members[at].member.instance != m->instance)
        return;
    remove_at(t->s, at);
    move_version(t);
}

void weir_coord_members(const struct weir_coord_turn *t)
{
    struct weir_coord_state *s = t->s;
    for (uint32_t i = 0; i < s->member_count; i++) {
        s->members_shown[i] = s->members[i].member;
        s->members_shown[i].age_ms = age_ms(t, &s->members[i]);
    }
    t->reply->members = (struct weir_coord_members_reply){
        .version = s->members_version, .count = s->member_count, .at = s->members_shown};
}

uint64_t weir_coord_epoch_seen(const struct weir_coord_state *s)
{
    uint64_t highest = s->map.epoch;
    for (uint32_t i = 0; i < s->member_count; i++)
        if (s->members[i].member.epoch_seen > highest)
            highest = s->members[i].member.epoch_seen;
    return highest;
}
