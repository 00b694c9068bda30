#include "core/advice.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const action_texts[WEIR_ADVICE_ACTIONS] = {
    [WEIR_ADVICE_HOLD] = "hold", [WEIR_ADVICE_SCALE_UP] = "scale_up", [WEIR_ADVICE_SCALE_DOWN] = "scale_down"};

const char *weir_advice_action_text(enum weir_advice_action a)
{
    return action_texts[a];
}

/* -- reading -- */

struct reader {
    struct weir_err *err;
    int code; /* of the first thing that was wrong */
};

static void refuse(struct reader *r, const char *key, const char *why)
{
    if (r->code == 0)
        r->code = weir_err_set(r->err, WEIR_EPROTO, "hints: %s %s", key, why);
}

/* Between 0 and max. */
static double number(struct reader *r, const json_t *object, const char *key, double max)
{
    const json_t *v = json_object_get(object, key);
    double n = json_number_value(v);
    if (!json_is_number(v) || !isfinite(n) || n < 0 || n > max) {
        refuse(r, key, "is no number, or out of bounds");
        return 0;
    }
    return n;
}

static uint64_t time_ms(struct reader *r, const json_t *object, const char *key)
{
    return (uint64_t)number(r, object, key, (double)(UINT64_C(1) << 53));
}

static struct weir_advice_peak peak(struct reader *r, const json_t *object)
{
    struct weir_advice_peak p = {0};
    if (!json_is_object(object)) {
        refuse(r, "in_flight", "is no object");
        return p;
    }
    p.now = number(r, object, "now", WEIR_ADVICE_NUMBER_MAX);
    p.peak = number(r, object, "peak", WEIR_ADVICE_NUMBER_MAX);
    p.peak_high = number(r, object, "peak_high", WEIR_ADVICE_NUMBER_MAX);
    p.at_ms = time_ms(r, object, "peak_at_unix_ms");
    return p;
}

/* As much of it as fits, whole characters. */
static void take_text(char *to, size_t size, const json_t *from)
{
    const char *text = json_string_value(from);
    size_t len = text != NULL ? json_string_length(from) : 0;
    if (len >= size)
        for (len = size - 1; len > 0 && (text[len] & 0xc0) == 0x80;)
            len--;
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
}

static void take_cluster(struct reader *r, struct weir_advice *out, const json_t *cluster)
{
    const char *action = json_string_value(json_object_get(cluster, "action"));
    unsigned i = 0;
    while (i < WEIR_ADVICE_ACTIONS && (action == NULL || strcmp(action, action_texts[i]) != 0))
        i++;
    if (i == WEIR_ADVICE_ACTIONS)
        refuse(r, "cluster.action", "is none of scale_up, scale_down, hold");
    else
        out->action = (enum weir_advice_action)i;
    out->nodes = (uint32_t)number(r, cluster, "nodes", WEIR_CLUSTER_NODES_MAX);
    out->desired_nodes = (uint32_t)number(r, cluster, "desired_nodes", WEIR_CLUSTER_NODES_MAX);
    take_text(out->reason, sizeof out->reason, json_object_get(cluster, "reason"));
}

static void take_provider(struct reader *r, struct weir_advice *out, const json_t *from)
{
    const json_t *name = json_object_get(from, "provider");
    size_t len = json_string_length(name);
    if (len == 0 || len > WEIR_PROVIDER_NAME_MAX || out->provider_count == WEIR_ADVICE_PROVIDERS_MAX)
        return;
    struct weir_advice_provider *p = &out->providers[out->provider_count++];
    take_text(p->name, sizeof p->name, name);
    p->pool_size = (uint32_t)number(r, from, "pool_size", WEIR_ADVICE_NUMBER_MAX);
    p->in_flight = peak(r, json_object_get(from, "in_flight"));
}

static int read_all(struct weir_advice *out, const json_t *root, struct weir_err *err)
{
    struct reader r = {.err = err};
    size_t i;
    json_t *provider;
    if (json_integer_value(json_object_get(root, "schema")) != 1)
        refuse(&r, "schema", "is not 1");
    out->none = json_is_false(json_object_get(root, "valid"));
    if (out->none) {
        take_text(out->reason, sizeof out->reason, json_object_get(root, "reason"));
        return r.code;
    }
    out->at_ms = time_ms(&r, root, "at_unix_ms");
    out->valid_until_ms = time_ms(&r, root, "valid_until_unix_ms");
    take_cluster(&r, out, json_object_get(root, "cluster"));
    json_array_foreach(json_object_get(root, "providers"), i, provider) take_provider(&r, out, provider);
    return r.code;
}

int weir_advice_parse(struct weir_advice *out, struct weir_str hints, struct weir_err *err)
{
    json_error_t wrong;
    memset(out, 0, sizeof *out);
    if (hints.len > WEIR_COORD_HINTS_MAX)
        return weir_err_set(err, WEIR_EPROTO, "hints: longer than %u bytes", WEIR_COORD_HINTS_MAX);
    json_t *root = json_loadb(hints.ptr, hints.len, JSON_REJECT_DUPLICATES, &wrong);
    if (root == NULL)
        return json_error_code(&wrong) == json_error_out_of_memory
                   ? weir_err_set(err, WEIR_ENOMEM, "hints: out of memory")
                   : weir_err_set(err, WEIR_EPROTO, "hints: %s", wrong.text);
    int code = read_all(out, root, err);
    json_decref(root);
    return code;
}

/* -- following -- */

bool weir_advice_is_valid(const struct weir_advice *a, uint64_t store_ms)
{
    uint64_t life_ms = a->valid_until_ms > a->at_ms ? a->valid_until_ms - a->at_ms : 0;
    life_ms = life_ms < WEIR_ADVICE_LIFE_MS_MAX ? life_ms : WEIR_ADVICE_LIFE_MS_MAX;
    return life_ms > 0 && a->at_ms <= store_ms + WEIR_ADVICE_SLACK_MS && store_ms < a->at_ms + life_ms;
}

const char *weir_advice_why_none(uint64_t version, const struct weir_advice *a)
{
    if (version == 0)
        return "none were published yet";
    if (a == NULL)
        return "the last ones cannot be read";
    return a->none ? a->reason : "the last ones are out of date: no coordinator leads, or it has no history yet";
}

const struct weir_advice_provider *weir_advice_of(const struct weir_advice *a, const char *provider)
{
    for (uint32_t i = 0; i < a->provider_count; i++)
        if (strcmp(a->providers[i].name, provider) == 0)
            return &a->providers[i];
    return NULL;
}

uint32_t weir_advice_part(uint32_t whole, struct weir_advice_share share)
{
    uint64_t part = ((uint64_t)whole * share.own + share.all - 1) / share.all;
    return part < UINT32_MAX ? (uint32_t)part : UINT32_MAX;
}

uint32_t weir_advice_ahead(const struct weir_advice_provider *p, struct weir_advice_share share, uint32_t places,
                           uint64_t store_ms)
{
    const struct weir_advice_peak *peak_of = &p->in_flight;
    if (store_ms + WEIR_ADVICE_AHEAD_MS < peak_of->at_ms || store_ms >= peak_of->at_ms)
        return 0;
    uint32_t requests = weir_advice_part((uint32_t)ceil(peak_of->peak_high), share);
    uint32_t wanted = requests / places + (requests % places != 0), pool = weir_advice_part(p->pool_size, share);
    return wanted < pool ? wanted : pool;
}

int weir_advice_event(struct weir_textbuf *out, const struct weir_advice *a, const char *node)
{
    json_t *event =
        json_pack("{s:s, s:s, s:i, s:i, s:s}", "event", "hint_action", "action", weir_advice_action_text(a->action),
                  "nodes", (int)a->nodes, "desired_nodes", (int)a->desired_nodes, "node", node);
    char *text = event != NULL ? json_dumps(event, JSON_COMPACT) : NULL;
    json_decref(event);
    if (text != NULL)
        weir_textbuf_str(out, text);
    free(text);
    return text == NULL || out->failed ? WEIR_ENOMEM : 0;
}
