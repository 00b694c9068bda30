#include "core/members.h"

#include <stdlib.h>
#include <string.h>

/* A beat, as cluster_agent sends them, is a third of the failover timeout: nobody can be judged more often. */
#define BEATS_PER_TIMEOUT 3

void weir_members_init(struct weir_members *m, uint64_t failover_ms, uint64_t now_ms)
{
    *m = (struct weir_members){.failover_ms = failover_ms};
    weir_members_unsure(m, now_ms);
}

void weir_members_close(struct weir_members *m)
{
    free(m->at);
    *m = (struct weir_members){0};
}

void weir_members_unsure(struct weir_members *m, uint64_t now_ms)
{
    m->sure_from_ms = now_ms + m->failover_ms;
}

bool weir_members_sure(const struct weir_members *m, uint64_t now_ms)
{
    return now_ms >= m->sure_from_ms;
}

bool weir_members_clock(struct weir_members *m, uint64_t asked_ms, uint64_t now_ms, uint64_t store_us)
{
    int64_t offset = (int64_t)(store_us / 1000) - (int64_t)(asked_ms + (now_ms - asked_ms) / 2);
    int64_t moved = offset - m->clock_offset_ms;
    /* What the answer's way may have added, and what two clocks may drift apart between two beats. */
    int64_t allowed = (int64_t)((now_ms - asked_ms) / 2 + m->failover_ms / BEATS_PER_TIMEOUT);
    bool jumped = m->clock_known && (moved > allowed || moved < -allowed);
    m->clock_known = true;
    m->clock_offset_ms = offset;
    if (jumped)
        weir_members_unsure(m, now_ms);
    return jumped;
}

bool weir_members_stale(const struct weir_members *m, uint64_t now_ms, uint64_t version, uint32_t silent)
{
    if (version != m->version || silent < m->silent_count)
        return true;
    return (silent != m->silent_count || m->undecided_count > 0) && weir_members_sure(m, now_ms);
}

/* -- the table -- */

struct weir_member *weir_members_find(const struct weir_members *m, const char *id)
{
    uint32_t low = 0, high = m->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(m->at[middle].record.id, id);
        if (order == 0)
            return &m->at[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void weir_members_evidence(struct weir_members *m, const char *id, bool out_of_reach)
{
    struct weir_member *one = weir_members_find(m, id);
    if (one != NULL)
        one->evidence = out_of_reach;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct weir_member *)a)->record.id, ((const struct weir_member *)b)->record.id);
}

static bool reserve(struct weir_members *m, uint32_t count)
{
    if (count <= m->cap)
        return true;
    struct weir_member *more = realloc(m->at, count * sizeof *more);
    if (more == NULL)
        return false;
    m->at = more;
    m->cap = count;
    return true;
}

/* -- an answer -- */

struct take {
    struct weir_members *m;
    uint64_t now_ms;
    weir_members_change_cb change;
    void *arg;
};

static void tell(const struct take *t, enum weir_member_change what, const struct weir_member *one)
{
    if (t->change != NULL)
        t->change(t->arg, what, one);
}

static bool silent(const struct weir_members *m, const struct weir_member *one)
{
    return one->missing || one->record.age_ms >= m->failover_ms;
}

static uint64_t beaten_ms(const struct take *t, const struct weir_coord_member *record)
{
    return t->now_ms > record->age_ms ? t->now_ms - record->age_ms : 0;
}

/* Takes a record for a member that is known; one that beats is alive whatever was thought of it. */
static void renew(const struct take *t, struct weir_member *one, const struct weir_coord_member *record)
{
    bool drains = record->state == WEIR_NODE_DRAINING && one->record.state != WEIR_NODE_DRAINING;
    one->record = *record;
    one->missing = false;
    one->seen_ms = beaten_ms(t, record);
    if (!one->alive && !silent(t->m, one)) {
        one->alive = true;
        tell(t, WEIR_MEMBER_BACK, one);
    }
    if (drains)
        tell(t, WEIR_MEMBER_DRAINS, one);
}

static void add(const struct take *t, const struct weir_coord_member *record)
{
    struct weir_members *m = t->m;
    struct weir_member *one = &m->at[m->count++];
    *one = (struct weir_member){.record = *record, .seen_ms = beaten_ms(t, record)};
    one->alive = !silent(m, one);
    tell(t, WEIR_MEMBER_CAME, one);
}

/* Those that were not told any more: who was draining has left, who was dead is forgotten. Who lived stays, to be
 * judged as silent. */
static void drop_missing(const struct take *t)
{
    struct weir_members *m = t->m;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        struct weir_member *one = &m->at[i];
        bool stays = !one->missing || (one->alive && one->record.state != WEIR_NODE_DRAINING);
        if (!stays)
            tell(t, WEIR_MEMBER_WENT, one);
        else if (kept++ != i)
            m->at[kept - 1] = *one;
    }
    m->count = kept;
}

/* -- judging -- */

static void declare(const struct take *t, struct weir_member *one)
{
    one->alive = false;
    tell(t, WEIR_MEMBER_LOST, one);
}

/* The one that has been silent for longest, of those that may be declared dead; the same on all who judge. */
static struct weir_member *longest_silent(struct weir_members *m)
{
    struct weir_member *found = NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        struct weir_member *one = &m->at[i];
        if (one->alive && silent(m, one) && (found == NULL || one->seen_ms < found->seen_ms))
            found = one;
    }
    return found;
}

static void judge(const struct take *t)
{
    struct weir_members *m = t->m;
    if (!weir_members_sure(m, t->now_ms))
        return;
    if (t->now_ms >= m->round_from_ms + m->failover_ms / BEATS_PER_TIMEOUT) {
        m->round_from_ms = t->now_ms;
        m->round_lost = 0;
    }
    for (uint32_t i = 0; i < m->count; i++)
        if (m->at[i].alive && m->at[i].evidence && silent(m, &m->at[i]))
            declare(t, &m->at[i]);
    struct weir_member *one;
    while (m->round_lost < m->count / 2 && (one = longest_silent(m)) != NULL) {
        m->round_lost++;
        declare(t, one);
    }
}

static void count_silent(struct weir_members *m)
{
    m->silent_count = m->undecided_count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        m->silent_count += !m->at[i].alive && !m->at[i].missing;
        m->undecided_count += m->at[i].alive && silent(m, &m->at[i]);
    }
}

int weir_members_take(struct weir_members *m, uint64_t now_ms, const struct weir_coord_members_reply *answer,
                      weir_members_change_cb change, void *arg, struct weir_err *err)
{
    struct take t = {.m = m, .now_ms = now_ms, .change = change, .arg = arg};
    if (!reserve(m,
                 m->count + answer->count < WEIR_CLUSTER_NODES_MAX ? m->count + answer->count : WEIR_CLUSTER_NODES_MAX))
        return weir_err_set(err, WEIR_ENOMEM, "the cluster's members: out of memory");
    if (answer->version < m->version)
        weir_members_unsure(m, now_ms);
    uint32_t known = m->count;
    for (uint32_t i = 0; i < known; i++)
        m->at[i].missing = true;
    struct weir_members old = {.at = m->at, .count = known};
    for (uint32_t i = 0; i < answer->count; i++) {
        struct weir_member *one = weir_members_find(&old, answer->at[i].id);
        if (one != NULL)
            renew(&t, one, &answer->at[i]);
        else if (m->count < m->cap && m->count < WEIR_CLUSTER_NODES_MAX)
            add(&t, &answer->at[i]);
    }
    drop_missing(&t);
    if (m->count > 1)
        qsort(m->at, m->count, sizeof *m->at, by_id);
    judge(&t);
    drop_missing(&t);
    count_silent(m);
    m->version = answer->version;
    return 0;
}
