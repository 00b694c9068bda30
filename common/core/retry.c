#include "core/retry.h"

#include <assert.h>

const char *weir_retry_reason_label(enum weir_retry_reason r)
{
#define LABEL(id, label, text) label,
    static const char *const labels[] = {WEIR_RETRY_REASON_MAP(LABEL)};
#undef LABEL
    assert(r < WEIR_RETRY_REASON_COUNT);
    return labels[r];
}

const char *weir_retry_reason_text(enum weir_retry_reason r)
{
#define TEXT(id, label, text) text,
    static const char *const texts[] = {WEIR_RETRY_REASON_MAP(TEXT)};
#undef TEXT
    assert(r < WEIR_RETRY_REASON_COUNT);
    return texts[r];
}

static bool is_listed(const struct weir_config_retry *policy, const struct weir_outcome *o)
{
    switch (o->kind) {
    case WEIR_OUTCOME_ANSWERED:
        for (size_t i = 0; i < policy->status_codes.count; i++)
            if (policy->status_codes.at[i] == o->status)
                return true;
        return false;
    case WEIR_OUTCOME_CONNECT_FAILED:
    case WEIR_OUTCOME_LOST:
        return (policy->retry_on & WEIR_CONFIG_RETRY_CONNECT_ERROR) != 0;
    case WEIR_OUTCOME_TIMEOUT:
        return (policy->retry_on & WEIR_CONFIG_RETRY_TIMEOUT) != 0;
    case WEIR_OUTCOME_POOL_TIMEOUT:
    case WEIR_OUTCOME_ABORTED:
        return false;
    }
    return false;
}

static bool is_method(const struct weir_config_retry *policy, struct weir_str method)
{
    for (size_t i = 0; i < policy->methods.count; i++)
        if (weir_str_eq(method, weir_str_of(policy->methods.at[i])))
            return true;
    return policy->methods.count == 0;
}

/* RFC 9110 section 9.2.2. */
static bool is_idempotent(struct weir_str method)
{
    static const char *const names[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (weir_str_eq(method, weir_str_of(names[i])))
            return true;
    return false;
}

/* Nothing was done with it, so that it may go out again whatever the method. Failed connects and clocks are that too,
 * often, but have their own names in the configuration. */
static bool is_safe(const struct weir_outcome *o)
{
    return o->kind == WEIR_OUTCOME_LOST && o->unprocessed;
}

/* A reused connection died with the request on its way: most likely the peer had closed it before. Asking a language
 * model twice costs money and changes nothing, so POST is among what is sent again unless retry.methods leaves it out.
 */
static bool may_replace(const struct weir_config_retry *policy, const struct weir_retry_sight *s)
{
    const struct weir_outcome *o = &s->outcome;
    if (is_safe(o))
        return s->replacements < WEIR_RETRY_REPLACEMENTS_MAX;
    if (s->replacements > 0 || o->kind != WEIR_OUTCOME_LOST || !o->reused)
        return false;
    return o->closed && (is_idempotent(s->method) || is_method(policy, s->method));
}

uint64_t weir_retry_backoff_ms(const struct weir_config_retry *policy, uint32_t n)
{
    uint64_t max = policy->backoff_max_delay_ms;
    uint64_t ms = (uint64_t)(policy->backoff_factor * 1000 + 0.5);
    for (; n > 0 && ms != 0 && ms < max; n--)
        ms = ms > UINT64_MAX / 2 ? max : ms * 2;
    return ms < max ? ms : max;
}

static struct weir_retry_decision give_up(enum weir_retry_reason reason)
{
    return (struct weir_retry_decision){.word = WEIR_RETRY_GIVE_UP, .reason = reason};
}

static uint64_t wait_ms(const struct weir_config_retry *policy, const struct weir_retry_sight *s)
{
    uint64_t ms = weir_retry_backoff_ms(policy, s->retries);
    if (is_safe(&s->outcome) && s->retries == 0)
        return 0;
    return policy->jitter == WEIR_CONFIG_JITTER_FULL && ms < UINT64_MAX ? s->random % (ms + 1) : ms;
}

struct weir_retry_decision weir_retry_decide(const struct weir_config_retry *policy, const struct weir_retry_sight *s)
{
    const struct weir_outcome *o = &s->outcome;
    bool safe = is_safe(o);
    if (!safe && !is_listed(policy, o) && !may_replace(policy, s))
        return give_up(WEIR_RETRY_FINAL);
    if (s->answer_begun)
        return give_up(WEIR_RETRY_ANSWER_BEGUN);
    if (!s->replayable)
        return give_up(WEIR_RETRY_BODY);
    if (may_replace(policy, s))
        return (struct weir_retry_decision){.word = WEIR_RETRY_REPLACE};
    if (!policy->enabled)
        return give_up(WEIR_RETRY_DISABLED);
    if (s->retries >= policy->attempts)
        return give_up(WEIR_RETRY_ATTEMPTS);
    if (!safe && !is_method(policy, s->method))
        return give_up(WEIR_RETRY_METHOD);
    bool bound = o->kind == WEIR_OUTCOME_ANSWERED && o->retry_after && !s->elsewhere;
    if (bound && o->retry_after_ms >= s->left_ms)
        return give_up(WEIR_RETRY_RETRY_AFTER);
    uint64_t delay = wait_ms(policy, s);
    if (bound && delay < o->retry_after_ms)
        delay = o->retry_after_ms;
    if (delay >= s->left_ms)
        return give_up(WEIR_RETRY_DEADLINE);
    return (struct weir_retry_decision){.word = WEIR_RETRY_AGAIN, .delay_ms = delay};
}
