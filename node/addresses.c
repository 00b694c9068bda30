#include "node/addresses.h"

#include <assert.h>
#include <stdlib.h>

#include "net/dial.h"

/* -- of an endpoint -- */

void weir_addresses_init(struct weir_addresses *as)
{
    *as = (struct weir_addresses){.failures_max = WEIR_ADDRESS_FAILURES_MAX, .recovery_ms = WEIR_ADDRESS_RECOVERY_MS};
}

void weir_addresses_configure(struct weir_addresses *as, uint32_t failures_max, uint64_t recovery_ms)
{
    atomic_store(&as->failures_max, failures_max > 0 ? failures_max : 1);
    atomic_store(&as->recovery_ms, recovery_ms);
}

void weir_addresses_take_effect(struct weir_addresses *as, struct weir_address_list now,
                                struct weir_address_list before)
{
    uint64_t current = 0;
    for (unsigned i = 0; i < now.count; i++)
        current |= now.at[i]->bit;
    atomic_store(&as->current, current);
    for (unsigned i = 0; i < before.count; i++) {
        bool stays = false;
        for (unsigned k = 0; k < now.count && !stays; k++)
            stays = now.at[k] == before.at[i]; /* another record of the same address will not hear when that goes */
        if (!stays)
            atomic_store(&before.at[i]->gone, true);
    }
}

/* -- one address -- */

static uint64_t take_bit(struct weir_addresses *as)
{
    uint64_t used = atomic_load(&as->used);
    while (used != UINT64_MAX) {
        uint64_t bit = ~used & (used + 1);
        if (atomic_compare_exchange_weak(&as->used, &used, used | bit))
            return bit;
    }
    return 0;
}

struct weir_address *weir_address_new(struct weir_addresses *of, const struct weir_addr *addr)
{
    struct weir_address *a = malloc(sizeof *a);
    if (a != NULL)
        *a = (struct weir_address){.refs = 1, .of = of, .bit = take_bit(of), .addr = *addr};
    return a;
}

void weir_address_ref(struct weir_address *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
}

void weir_address_unref(struct weir_address *a)
{
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    atomic_fetch_and(&a->of->out, ~a->bit);
    atomic_fetch_and(&a->of->used, ~a->bit);
    free(a);
}

static unsigned bits(uint64_t mask)
{
    return (unsigned)__builtin_popcountll(mask);
}

/* Not more than half of the addresses that there are now. */
static bool few_enough(uint64_t out, uint64_t current)
{
    return bits(out & current) * 2 <= bits(current);
}

/* False: half of them are out already, or it is. */
static bool put_out(struct weir_address *a)
{
    uint64_t current = atomic_load(&a->of->current), out = atomic_load(&a->of->out);
    if ((current & a->bit) == 0)
        return false;
    do {
        if ((out & a->bit) != 0 || !few_enough(out | a->bit, current))
            return false;
    } while (!atomic_compare_exchange_weak(&a->of->out, &out, out | a->bit));
    return true;
}

static enum weir_address_change failed(struct weir_address *a, uint64_t now_ms)
{
    uint32_t failures = atomic_fetch_add(&a->failures, 1) + 1;
    if (failures < atomic_load(&a->of->failures_max) || weir_address_out(a, now_ms))
        return WEIR_ADDRESS_SAME;
    /* Before the bit, so that nobody sees it out with a time that is over. */
    atomic_store(&a->out_until_ms, now_ms + atomic_load(&a->of->recovery_ms));
    if (!put_out(a))
        return WEIR_ADDRESS_SAME;
    return atomic_exchange(&a->told_out, true) ? WEIR_ADDRESS_SAME : WEIR_ADDRESS_OUT;
}

enum weir_address_change weir_address_tried(struct weir_address *a, bool ok, uint64_t now_ms)
{
    if (!ok)
        return failed(a, now_ms);
    if (atomic_load_explicit(&a->failures, memory_order_relaxed) == 0)
        return WEIR_ADDRESS_SAME;
    atomic_store(&a->failures, 0);
    atomic_fetch_and(&a->of->out, ~a->bit);
    return atomic_exchange(&a->told_out, false) ? WEIR_ADDRESS_BACK : WEIR_ADDRESS_SAME;
}

bool weir_address_out(struct weir_address *a, uint64_t now_ms)
{
    uint64_t out = atomic_load_explicit(&a->of->out, memory_order_relaxed);
    if ((out & a->bit) == 0)
        return false;
    if (now_ms < atomic_load(&a->out_until_ms))
        return few_enough(out, atomic_load(&a->of->current));
    /* On probation: `failures` stays, so the next one puts it out again. */
    atomic_fetch_and(&a->of->out, ~a->bit);
    return false;
}

/* -- dialing -- */

struct weir_address *weir_addresses_find(struct weir_address_list list, const struct weir_addr *addr)
{
    for (unsigned i = 0; i < list.count; i++)
        if (weir_addr_eq(&list.at[i]->addr, addr))
            return list.at[i];
    return NULL;
}

/* Classes are dialed one after the other. */
enum standing { GOOD, OUT, AVOIDED, STANDINGS };

struct order {
    const struct weir_addr *in;
    unsigned count;
    uint32_t turn;
    enum standing standing[WEIR_ADDRESSES_MAX];
};

/* Those of one standing that are, or are not, of the resolver's first family, from the turn's one on. */
static unsigned gather(const struct order *o, struct weir_addr *out, enum standing standing, bool first_family)
{
    const struct weir_addr *found[WEIR_ADDRESSES_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < o->count; i++)
        if (o->standing[i] == standing && (o->in[i].sa.sa_family == o->in[0].sa.sa_family) == first_family)
            found[n++] = &o->in[i];
    for (unsigned i = 0; i < n; i++)
        out[i] = *found[(o->turn + i) % n];
    return n;
}

static enum standing standing_of(const struct weir_addr *addr, struct weir_address_list known,
                                 const struct weir_addr *avoid, uint64_t now_ms)
{
    struct weir_address *a = weir_addresses_find(known, addr);
    if (avoid != NULL && weir_addr_eq(addr, avoid))
        return AVOIDED;
    return a != NULL && weir_address_out(a, now_ms) ? OUT : GOOD;
}

void weir_addresses_order(struct weir_addresses *as, struct weir_addr *out, const struct weir_addr *in, unsigned count,
                          struct weir_address_list known, const struct weir_addr *avoid, uint64_t now_ms)
{
    struct weir_addr same[WEIR_ADDRESSES_MAX];
    struct order o = {.in = in, .count = count};
    assert(count <= WEIR_ADDRESSES_MAX);
    if (count > 1)
        o.turn = atomic_fetch_add_explicit(&as->turn, 1, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++)
        o.standing[i] = standing_of(&in[i], known, avoid, now_ms);
    for (enum standing at = GOOD; count > 0 && at < STANDINGS; at++) {
        unsigned n = gather(&o, same, at, true);
        n += gather(&o, same + n, at, false);
        weir_dial_interleave(out, same, n);
        out += n;
    }
}
