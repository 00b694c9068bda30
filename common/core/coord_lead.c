/* Who leads, and the map that the leader publishes. */
#include <stdlib.h>

#include "core/coord_impl.h"

static bool is_led(const struct weir_coord_turn *t)
{
    return t->s->lead.id[0] != '\0' && t->now_ms < t->s->lead.until_ms;
}

static bool holds(const struct weir_coord_state *s, const char *id, uint64_t token)
{
    return token != 0 && token == s->lead.token && strcmp(id, s->lead.id) == 0;
}

bool weir_coord_leads(const struct weir_coord_turn *t, const char *id, uint64_t token)
{
    return holds(t->s, id, token) && is_led(t);
}

struct weir_coord_led weir_coord_led_now(const struct weir_coord_turn *t)
{
    const struct weir_coord_state *s = t->s;
    bool led = is_led(t);
    return (struct weir_coord_led){
        .token = s->lead.token, .leader = led ? s->lead.id : "", .left_ms = led ? s->lead.until_ms - t->now_ms : 0};
}

/* What LEAD and PUBLISH tell, whatever their word. */
static void tell(const struct weir_coord_turn *t)
{
    const struct weir_coord_state *s = t->s;
    t->reply->lead = (struct weir_coord_lead_reply){
        .led = weir_coord_led_now(t),
        .map_epoch = s->map.epoch,
        .epoch_seen = weir_coord_epoch_seen(s),
    };
}

void weir_coord_lead(const struct weir_coord_turn *t, const struct weir_coord_lead *l)
{
    struct weir_coord_state *s = t->s;
    /* A lease that ends later than it can was taken before the clock was set back. */
    if (s->lead.until_ms > t->now_ms + s->lead.lease_ms)
        s->lead.until_ms = t->now_ms + s->lead.lease_ms;
    bool own = holds(s, l->id, l->token);
    if (!own && is_led(t)) {
        weir_coord_refuse(t, WEIR_COORD_STALE, "somebody else leads");
        tell(t);
        return;
    }
    if (!own) {
        weir_coord_copy(s->lead.id, sizeof s->lead.id, l->id);
        s->lead.token++;
    }
    s->lead.lease_ms = l->lease_ms;
    s->lead.until_ms = t->now_ms + l->lease_ms;
    tell(t);
}

void weir_coord_resign(const struct weir_coord_turn *t, const struct weir_coord_lead *l)
{
    if (!holds(t->s, l->id, l->token))
        return;
    t->s->lead.id[0] = '\0';
    t->s->lead.until_ms = 0;
}

static bool is_newer(const struct weir_coord_state *s, const struct weir_coord_publish *p)
{
    return p->epoch > s->map.epoch || (p->epoch == s->map.epoch && p->epoch != 0 && strcmp(p->id, s->map.leader) > 0);
}

void weir_coord_publish(const struct weir_coord_turn *t, const struct weir_coord_publish *p)
{
    struct weir_coord_state *s = t->s;
    if (!weir_coord_leads(t, p->id, p->token)) {
        weir_coord_refuse(t, WEIR_COORD_STALE, "the lead is lost");
    } else if (!is_newer(s, p)) {
        weir_coord_refuse(t, WEIR_COORD_STALE, "a newer map is published");
    } else {
        char *text = malloc(p->map.len + 1);
        if (text == NULL) {
            weir_coord_refuse(t, WEIR_COORD_REFUSED, "out of memory");
            return;
        }
        if (p->map.len > 0)
            memcpy(text, p->map.ptr, p->map.len);
        free(s->map.text);
        s->map.text = text;
        s->map.len = p->map.len;
        s->map.epoch = p->epoch;
        weir_coord_copy(s->map.leader, sizeof s->map.leader, p->id);
        struct weir_coord_push push = {.kind = WEIR_COORD_PUSH_MAP, .map_epoch = p->epoch};
        weir_coord_push_out(t, &push);
    }
    tell(t);
}

void weir_coord_map(const struct weir_coord_turn *t)
{
    const struct weir_coord_state *s = t->s;
    t->reply->map = (struct weir_coord_map_reply){
        .epoch = s->map.epoch, .leader = s->map.leader, .map = {s->map.text, s->map.len}, .led = weir_coord_led_now(t)};
}
