/* Redirects that weir follows itself: carries out what core/redirect decides. */
#include <assert.h>

#include "core/config_schema.h"
#include "core/redirect.h"
#include "node/foreign.h"
#include "node/node.h"
#include "node/request.h"

static const struct {
    enum weir_redirect_reason reason;
    enum weir_provider_counter counter;
} passed[] = {
    {WEIR_REDIRECT_LOCATION, WEIR_PC_REDIRECT_LOCATION}, {WEIR_REDIRECT_ORIGIN, WEIR_PC_REDIRECT_ORIGIN},
    {WEIR_REDIRECT_TLS, WEIR_PC_REDIRECT_TLS},           {WEIR_REDIRECT_DOWNGRADE, WEIR_PC_REDIRECT_TLS},
    {WEIR_REDIRECT_BODY, WEIR_PC_REDIRECT_BODY},         {WEIR_REDIRECT_LIMIT, WEIR_PC_REDIRECT_LIMIT},
};

static void count_passed(struct weir_request *r, enum weir_redirect_reason reason)
{
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        if (passed[i].reason == reason)
            weir_provider_add(weir_request_provider_counters(r), passed[i].counter, 1);
}

struct weir_str weir_request_method(const struct weir_request *r)
{
    if (r->head == NULL)
        return (struct weir_str){"", 0};
    return r->redirect.target.len > 0 ? r->redirect.method : r->head->method;
}

/* The slot of one of the provider's configured endpoints, a bit. */
static uint64_t slot_of(const struct weir_request *r, const char *id)
{
    const struct weir_view_provider *p = r->provider;
    for (unsigned i = 0; i < p->endpoint_count; i++)
        if (strcmp(p->endpoints[i].config->id, id) == 0)
            return UINT64_C(1) << p->endpoints[i].rt->slot;
    return 0;
}

static void drop_body(struct weir_request *r)
{
    assert(r->body_ended);
    r->head->has_body = false;
    r->head->content_length = WEIR_LENGTH_UNKNOWN;
    r->trailers = NULL;
    r->fresh = false;
    weir_redirect_drop_content(&r->head->fields);
    weir_request_forget_body(r);
}

static struct weir_redirect_decision decide(struct weir_request *r, const struct weir_head *head)
{
    const struct weir_config_provider *config = r->provider->config;
    const struct weir_config_endpoint *at = r->endpoint->config;
    const struct weir_redirect_sight s = {
        .status = head->status,
        .fields = &head->fields,
        .method = weir_request_method(r),
        .asked = {at->tls, weir_str_of(at->authority), r->asked},
        .policy = config->http.follow_redirects,
        .endpoints = config->endpoints,
        .endpoint_count = config->endpoint_count,
        .followed = r->redirect.count,
        .foreign_tls = r->provider->tls.foreign != NULL,
        .answer_begun = r->answer_begun,
        .has_body = r->head->has_body,
        .body_ended = r->body_ended,
        .replayable = !r->replay.broken,
    };
    return weir_redirect_decide(&s, &r->arena);
}

void weir_request_leave_foreign(struct weir_request *r)
{
    if (r->redirect.foreign != NULL)
        weir_endpoint_unref(r->redirect.foreign->rt);
    r->redirect.foreign = NULL;
}

/* True: there is somewhere to go now. False: the redirect passes. */
static bool find_way(struct weir_request *r, const struct weir_redirect_decision *d,
                     const struct weir_view_endpoint **foreign, uint64_t *slot)
{
    *foreign = NULL;
    *slot = 0;
    if (d->word != WEIR_REDIRECT_FOLLOW)
        return false;
    if (d->foreign)
        *foreign = weir_foreign_new(r->provider, &d->to.origin);
    else
        *slot = slot_of(r, d->to.origin.id);
    return *foreign != NULL || *slot != 0;
}

bool weir_request_follow(struct weir_request *r, const struct weir_head *head)
{
    if (head->status < 300 || head->status > 399)
        return false;
    struct weir_redirect_decision d = decide(r, head);
    const struct weir_view_endpoint *foreign;
    uint64_t slot;
    count_passed(r, d.reason);
    if (d.word == WEIR_REDIRECT_TOO_MANY) {
        weir_request_fail(r, 502, "redirect_limit", "The provider %s redirected more than %u times in a row.",
                          r->provider->config->name, WEIR_REDIRECTS_MAX);
        return true;
    }
    if (!find_way(r, &d, &foreign, &slot))
        return false;
    weir_request_let_answer_go(r, head);
    if (r->head->has_body && !d.keeps_body)
        drop_body(r);
    r->redirect.restarts = weir_str_eq(d.method, r->head->method);
    r->redirect.method = d.method;
    r->redirect.target = d.to.target;
    r->redirect.slot = slot;
    r->redirect.outside = foreign != NULL;
    r->redirect.count++;
    if (foreign != NULL) {
        weir_request_leave_foreign(r);
        r->redirect.foreign = r->endpoint = foreign;
        r->redirect.left = true;
    }
    weir_provider_add(weir_request_provider_counters(r),
                      foreign != NULL ? WEIR_PC_REDIRECT_FOREIGN : WEIR_PC_REDIRECT_FOLLOWED, 1);
    weir_request_try(r);
    return true;
}

void weir_request_unfollow(struct weir_request *r)
{
    if (!r->redirect.restarts)
        return;
    r->redirect.restarts = false;
    r->redirect.target.len = 0;
    r->redirect.slot = 0;
    r->redirect.outside = r->redirect.left = false;
}

/* A copy: the provider is to be sent all of them again, should the request begin anew. */
bool weir_request_foreign_fields(struct weir_request *r, struct weir_fields *out)
{
    const struct weir_fields *all = &r->head->fields;
    *out = (struct weir_fields){0};
    for (size_t i = 0; i < all->count; i++)
        if (!weir_fields_add(out, &r->arena, all->at[i].name, all->at[i].value))
            return false;
    weir_redirect_drop_credentials(out, r->provider->config, r->provider->credential_name);
    return true;
}

void weir_request_fail_outside(struct weir_request *r, const struct weir_try_failure *f)
{
    static const char text[] = "Where the provider %s redirected to failed: %s.";
    const char *name = r->provider->config->name;
    weir_provider_add(weir_request_provider_counters(r), WEIR_PC_REDIRECT_FAILED, 1);
    if (f->status == 504)
        weir_request_fail(r, 504, "redirect_timeout", text, name, f->message);
    else
        weir_request_fail(r, 502, "redirect_failed", text, name, f->message);
}
