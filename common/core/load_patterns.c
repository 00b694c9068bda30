#include "core/load_patterns.h"

#include <string.h>

/* What is left of an hour's sums for the same hour of the next day, and of the recent sums for the next slot. */
#define DAY_KEEPS  (6.0 / 7)
#define SLOT_KEEPS (29.0 / 30)
#define HOUR_MS    UINT64_C(3600000)
#define DAY_MS     (WEIR_LOAD_HOURS * HOUR_MS)

void weir_load_patterns_init(struct weir_load_patterns *p, uint64_t slot_ms)
{
    memset(p, 0, sizeof *p);
    p->slot_ms = slot_ms;
}

static struct weir_load_pattern *pattern_of(struct weir_load_patterns *p, const char *provider)
{
    struct weir_load_pattern *oldest = NULL;
    for (uint32_t i = 0; i < p->count; i++) {
        if (strcmp(p->at[i].provider, provider) == 0)
            return &p->at[i];
        if (oldest == NULL || p->at[i].told < oldest->told)
            oldest = &p->at[i];
    }
    if (p->count < WEIR_LOAD_PROVIDERS_MAX)
        oldest = &p->at[p->count++];
    memset(oldest, 0, sizeof *oldest);
    memcpy(oldest->provider, provider, strlen(provider) + 1);
    return oldest;
}

static void fade(struct weir_load_usage *u, double keep)
{
    u->seconds *= keep;
    u->requests *= keep;
    u->refused *= keep;
    u->errors *= keep;
    u->in_flight *= keep;
    u->leases *= keep;
    u->reused *= keep;
    u->connects *= keep;
    u->closed *= keep;
    u->connect_us *= keep;
    u->exchanges *= keep;
    u->exchange_us *= keep;
    u->first_byte_p50_us *= keep;
    u->first_byte_p99_us *= keep;
}

static void add(struct weir_load_usage *u, const struct weir_load_point *p, double seconds)
{
    double exchanges = (double)p->exchanges;
    u->seconds += seconds;
    u->requests += (double)p->requests;
    u->refused += (double)p->refused;
    u->errors += (double)p->errors;
    u->in_flight += (double)p->in_flight_mean / 1000 * seconds;
    u->leases += (double)p->leases;
    u->reused += (double)p->reused;
    u->connects += (double)p->connects;
    u->closed += (double)p->closed;
    u->connect_us += (double)p->connect_us_sum;
    u->exchanges += exchanges;
    u->exchange_us += (double)p->exchange_us_sum;
    u->first_byte_p50_us += (double)p->first_byte_p50_us * exchanges;
    u->first_byte_p99_us += (double)p->first_byte_p99_us * exchanges;
}

static void take_slot(struct weir_load_patterns *p, const struct weir_load_record *r)
{
    for (uint32_t i = 0; i < p->count; i++)
        fade(&p->at[i].recent, SLOT_KEEPS);
    for (uint32_t i = 0; i < r->count; i++) {
        struct weir_load_pattern *at = pattern_of(p, r->items[i].provider);
        at->told = r->slot;
        add(&at->recent, &r->items[i].point, (double)p->slot_ms / 1000);
    }
}

static void take_ten_minutes(struct weir_load_patterns *p, const struct weir_load_record *r)
{
    unsigned slots = weir_load_step_slots(WEIR_LOAD_TEN_MINUTES);
    uint64_t ms = r->slot * slots * p->slot_ms, day = ms / DAY_MS, hour = ms % DAY_MS / HOUR_MS;
    for (uint32_t i = 0; i < r->count; i++) {
        struct weir_load_pattern *at = pattern_of(p, r->items[i].provider);
        struct weir_load_usage *u = &at->hours[hour].usage;
        if (at->hours[hour].day < day)
            fade(u, DAY_KEEPS);
        at->hours[hour].day = day;
        at->told = at->told > r->slot * slots ? at->told : r->slot * slots;
        add(u, &r->items[i].point, (double)r->slots * (double)p->slot_ms / 1000);
    }
}

void weir_load_patterns_take(struct weir_load_patterns *p, enum weir_load_step step, const struct weir_load_record *r)
{
    if (step == WEIR_LOAD_SLOT)
        take_slot(p, r);
    else if (step == WEIR_LOAD_TEN_MINUTES)
        take_ten_minutes(p, r);
}

const struct weir_load_pattern *weir_load_patterns_find(const struct weir_load_patterns *p, const char *provider)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (strcmp(p->at[i].provider, provider) == 0)
            return &p->at[i];
    return NULL;
}

/* Less than a thousandth of one is what has faded of it. */
static double of(double sum, double count)
{
    return count >= 1e-3 ? sum / count : -1;
}

double weir_load_exchange_ms(const struct weir_load_usage *u)
{
    return of(u->exchange_us / 1000, u->exchanges);
}

double weir_load_connect_ms(const struct weir_load_usage *u)
{
    return of(u->connect_us / 1000, u->connects);
}

double weir_load_reuse_percent(const struct weir_load_usage *u)
{
    return of(100 * u->reused, u->leases);
}

double weir_load_per_s(const struct weir_load_usage *u, double sum)
{
    return u->seconds > 0 ? sum / u->seconds : 0;
}
