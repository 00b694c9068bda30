/* Whatever the store gives for hints: they are refused with a sentence, or all that a node computes by is within its
 * bounds. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/advice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_provider(const struct weir_advice_provider *p, uint64_t at_ms)
{
    const struct weir_advice_share third = {1, 3};
    assert(p->name[0] != '\0' && strlen(p->name) <= WEIR_PROVIDER_NAME_MAX);
    assert(p->pool_size <= WEIR_ADVICE_NUMBER_MAX);
    assert(p->in_flight.now >= 0 && p->in_flight.peak >= 0 && p->in_flight.peak_high >= 0);
    assert(p->in_flight.peak_high <= WEIR_ADVICE_NUMBER_MAX);
    assert(weir_advice_part(p->pool_size, third) <= p->pool_size);
    assert(weir_advice_ahead(p, third, 1, at_ms) <= weir_advice_part(p->pool_size, third));
}

static void check(const struct weir_advice *a)
{
    struct weir_textbuf event;
    assert(a->action < WEIR_ADVICE_ACTIONS);
    assert(a->nodes <= WEIR_CLUSTER_NODES_MAX && a->desired_nodes <= WEIR_CLUSTER_NODES_MAX);
    assert(a->provider_count <= WEIR_ADVICE_PROVIDERS_MAX);
    assert(memchr(a->reason, '\0', sizeof a->reason) != NULL);
    assert(!weir_advice_is_valid(a, a->at_ms + WEIR_ADVICE_LIFE_MS_MAX));
    for (uint32_t i = 0; i < a->provider_count; i++)
        check_provider(&a->providers[i], a->providers[i].in_flight.at_ms);
    weir_textbuf_init(&event, WEIR_COORD_EVENT_MAX - 1);
    assert(weir_advice_event(&event, a, "node") == 0);
    weir_textbuf_close(&event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct weir_advice a;
    struct weir_err err = {0};
    char *text = malloc(size > 0 ? size : 1); /* so that the sanitizer sees a byte too far */
    assert(text != NULL);
    memcpy(text, data, size);
    int code = weir_advice_parse(&a, (struct weir_str){text, size}, &err);
    assert(code == 0 || err.msg[0] != '\0');
    if (code == 0)
        check(&a);
    free(text);
    return 0;
}
