/* Events: what this node tells all others, and what has been told before it came or while it was away. */
#include <stdio.h>

#include "core/cluster_agent_inner.h"

/* -- telling -- */

static void say(struct weir_cluster_agent *a, uint64_t now_ms, struct weir_str event)
{
    struct weir_coord_request request = {.op = WEIR_COORD_EVENT, .event = event};
    assert(event.len < WEIR_COORD_EVENT_MAX);
    (void)agent_send(a, now_ms, &request);
}

void weir_cluster_agent_tell(struct weir_cluster_agent *a, uint64_t now_ms, struct weir_str event)
{
    if (a->contact)
        say(a, now_ms, event);
}

void agent_tell_all(struct weir_cluster_agent *a, uint64_t now_ms, enum weir_cluster_note kind, const char *node)
{
    char text[WEIR_COORD_EVENT_MAX];
    const char *more = kind == WEIR_CLUSTER_PEER_LOST && !a->failover ? ",\"shards\":\"kept\"" : "";
    /* Ids have nothing in them that JSON would have escaped. */
    int n = snprintf(text, sizeof text, "{\"event\":\"%s\",\"node\":\"%s\",\"by\":\"%s\"%s}",
                     weir_cluster_note_text(kind), node, a->self.id, more);
    /* What has become of another is read in an answer that is here now, though the store had been late before: nobody
     * else tells it. */
    if (a->contact || kind == WEIR_CLUSTER_PEER_LOST || kind == WEIR_CLUSTER_PEER_BACK)
        say(a, now_ms, (struct weir_str){text, (size_t)n});
}

/* As the log has them; NULL: that a circuit was kept closed concerns the node alone. */
static const char *name_of(enum weir_breaker_event_kind kind)
{
    static const char *const names[WEIR_BREAKER_EVENT_KINDS] = {[WEIR_BREAKER_IS_OPENED] = "circuit_opened",
                                                                [WEIR_BREAKER_IS_HALF_OPENED] = "circuit_half_open",
                                                                [WEIR_BREAKER_IS_CLOSED] = "circuit_closed",
                                                                [WEIR_BREAKER_IS_COOLING] = "circuit_cooling"};
    return names[kind];
}

/* An endpoint's id comes from a configuration, and has been read as a URL. Were there something in it all the same that
 * JSON would have escaped, the event would be no JSON. */
static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == '"' || *text == '\\')
            return false;
    return true;
}

void agent_tell_circuit(struct weir_cluster_agent *a, uint64_t now_ms, const char *endpoint,
                        const struct weir_breaker_reply *changes)
{
    char text[WEIR_COORD_EVENT_MAX];
    for (uint32_t i = 0; is_plain(endpoint) && i < changes->event_count; i++) {
        const char *name = name_of(changes->events[i].kind);
        if (name == NULL)
            continue;
        int n = snprintf(text, sizeof text, "{\"event\":\"%s\",\"endpoint\":\"%s\",\"reason\":\"%s\",\"node\":\"%s\"}",
                         name, endpoint, weir_breaker_reason_label(changes->events[i].reason), a->self.id);
        weir_cluster_agent_tell(a, now_ms, (struct weir_str){text, (size_t)n});
    }
}

/* -- what was told before -- */

void agent_events_ask(struct weir_cluster_agent *a, uint64_t now_ms)
{
    struct weir_coord_request request = {.op = WEIR_COORD_EVENTS, .events_count = WEIR_COORD_EVENTS_KEPT};
    if (!a->events_wanted || a->events_request != 0 || !a->joined || a->leaving >= AGENT_LEAVES)
        return;
    a->events_wanted = false;
    a->events_request = agent_send(a, now_ms, &request) ? request.id : 0;
}

void agent_events_reply(struct weir_cluster_agent *a, const struct weir_coord_reply *r)
{
    if (r->id != a->events_request)
        return;
    a->events_request = 0;
    if (r->word != WEIR_COORD_OK) {
        a->events_wanted = true; /* with the next beat */
        return;
    }
    for (uint32_t i = 0; i < r->events.count; i++)
        agent_act(a, &(struct weir_cluster_action){.what = WEIR_CLUSTER_HEARD, .event = r->events.at[i]});
}
