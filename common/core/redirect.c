#include "core/redirect.h"

const char *weir_redirect_reason_label(enum weir_redirect_reason r)
{
#define LABEL(id, label, text) [WEIR_REDIRECT_##id] = (label),
    static const char *const labels[] = {WEIR_REDIRECT_REASON_MAP(LABEL)};
#undef LABEL
    return labels[r];
}

const char *weir_redirect_reason_text(enum weir_redirect_reason r)
{
#define TEXT(id, label, text) [WEIR_REDIRECT_##id] = (text),
    static const char *const texts[] = {WEIR_REDIRECT_REASON_MAP(TEXT)};
#undef TEXT
    return texts[r];
}

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool becomes_get(unsigned status, struct weir_str method)
{
    if (status == 303)
        return !weir_str_eq(method, WEIR_STR("HEAD")) && !weir_str_eq(method, WEIR_STR("GET"));
    return (status == 301 || status == 302) && weir_str_eq(method, WEIR_STR("POST"));
}

/* The one Location; of several, programs take different ones. */
static bool find_location(const struct weir_fields *f, struct weir_str *out)
{
    unsigned count = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (f->at[i].id != WEIR_FIELD_LOCATION)
            continue;
        *out = f->at[i].value;
        count++;
    }
    return count == 1 && out->len > 0;
}

static bool find_endpoint(const struct weir_redirect_sight *s, const char *id, size_t *index)
{
    for (size_t i = 0; i < s->endpoint_count; i++) {
        *index = i;
        if (strcmp(s->endpoints[i].id, id) == 0)
            return true;
    }
    return false;
}

/* Where it leads, and whether that is allowed. */
static enum weir_redirect_reason look_at_target(struct weir_redirect_decision *d, const struct weir_redirect_sight *s,
                                                struct weir_arena *a)
{
    struct weir_str location;
    if (!find_location(s->fields, &location))
        return WEIR_REDIRECT_LOCATION;
    enum weir_url_wrong wrong = weir_url_resolve(&d->to, a, &s->asked, location);
    if (wrong != WEIR_URL_FINE)
        return wrong == WEIR_URL_MEMORY ? WEIR_REDIRECT_MEMORY : WEIR_REDIRECT_LOCATION;
    d->foreign = !find_endpoint(s, d->to.origin.id, &d->endpoint);
    if (d->foreign && s->policy != WEIR_CONFIG_REDIRECTS_ANY)
        return WEIR_REDIRECT_ORIGIN;
    if (d->foreign && d->to.origin.tls && !s->foreign_tls)
        return WEIR_REDIRECT_TLS;
    if (d->foreign && s->asked.tls && !d->to.origin.tls)
        return WEIR_REDIRECT_DOWNGRADE;
    return WEIR_REDIRECT_NONE;
}

struct weir_redirect_decision weir_redirect_decide(const struct weir_redirect_sight *s, struct weir_arena *a)
{
    struct weir_redirect_decision d = {.word = WEIR_REDIRECT_PASS, .method = s->method, .keeps_body = s->has_body};
    if (!is_redirect(s->status))
        d.reason = WEIR_REDIRECT_STATUS;
    else if (s->policy == WEIR_CONFIG_REDIRECTS_OFF)
        d.reason = WEIR_REDIRECT_DISABLED;
    else if (s->answer_begun)
        d.reason = WEIR_REDIRECT_ANSWER_BEGUN;
    else
        d.reason = look_at_target(&d, s, a);
    if (d.reason != WEIR_REDIRECT_NONE)
        return d;
    if (becomes_get(s->status, s->method)) {
        d.method = WEIR_STR("GET");
        d.keeps_body = false;
    }
    if (d.keeps_body ? !s->replayable : s->has_body && !s->body_ended) {
        d.reason = WEIR_REDIRECT_BODY;
    } else if (s->followed >= WEIR_REDIRECTS_MAX) {
        d.word = WEIR_REDIRECT_TOO_MANY;
        d.reason = WEIR_REDIRECT_LIMIT;
    } else {
        d.word = WEIR_REDIRECT_FOLLOW;
    }
    return d;
}

static void drop_names(struct weir_fields *f, const char *const *names)
{
    for (; *names != NULL; names++)
        weir_fields_drop_name(f, weir_str_of(*names));
}

void weir_redirect_drop_credentials(struct weir_fields *f, const struct weir_config_provider *p,
                                    struct weir_str key_name)
{
    static const char *const names[] = {"authorization",
                                        "proxy-authorization",
                                        "cookie",
                                        "x-api-key",
                                        "api-key",
                                        "x-goog-api-key",
                                        "openai-organization",
                                        "openai-project",
                                        "ocp-apim-subscription-key",
                                        "x-amz-security-token",
                                        "x-forwarded-for",
                                        "x-forwarded-proto",
                                        "x-forwarded-host",
                                        "x-forwarded-port",
                                        "x-real-ip",
                                        "forwarded",
                                        "via",
                                        NULL};
    drop_names(f, names);
    weir_fields_drop_name(f, key_name);
    for (size_t i = 0; i < p->headers.count; i++)
        weir_fields_drop_name(f, weir_str_of(p->headers.at[i].name));
}

void weir_redirect_drop_content(struct weir_fields *f)
{
    static const char *const names[] = {"content-type",
                                        "content-encoding",
                                        "content-language",
                                        "content-location",
                                        "content-length",
                                        "content-digest",
                                        "content-md5",
                                        "digest",
                                        "expect",
                                        "trailer",
                                        NULL};
    drop_names(f, names);
}
