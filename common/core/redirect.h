/* Decides whether weir follows a provider's redirect itself, and what it asks for then (RFC 9110 section 15.4). Pure.
 *
 * Followed are 301, 302, 303, 307 and 308 with one Location that can be resolved (core/url.h), where
 * http_client.follow_redirects lets it lead, and while nothing of an answer has gone to the client. Everything else
 * passes to the client unchanged, which may follow it or not; reason says why. A chain that goes on behind
 * WEIR_REDIRECTS_MAX (a loop, most often) is an error of its own, as it is for the HTTP clients that people use: handed
 * on, it would only begin again at the client.
 *
 * The method, as HTTP clients do it: 303 makes anything but HEAD a GET, 301 and 302 make a POST one; otherwise, and for
 * 307 and 308 always, method and body stay. */
#ifndef WEIR_CORE_REDIRECT_H
#define WEIR_CORE_REDIRECT_H

#include "core/fields.h"
#include "core/url.h"

#define WEIR_REDIRECTS_MAX 10u

/* X(id, label, text): the label is for metrics, the text completes "redirect not followed: ". */
#define WEIR_REDIRECT_REASON_MAP(X)                                                          \
    X(NONE, "none", "")                                                                      \
    X(STATUS, "status", "it is no redirect")                                                 \
    X(DISABLED, "disabled", "follow_redirects is false")                                     \
    X(ANSWER_BEGUN, "answer_begun", "a part of an answer has gone to the client")            \
    X(LOCATION, "location", "it has no Location, more than one, or one that is no http URL") \
    X(ORIGIN, "origin", "it leads outside the provider's endpoints")                         \
    X(TLS, "tls", "there are no authorities to check another origin's certificate by")       \
    X(DOWNGRADE, "downgrade", "it leads from https:// to http:// elsewhere")                 \
    X(BODY, "body", "the request body is not kept, or has not come to its end")              \
    X(LIMIT, "limit", "there were too many in a row")                                        \
    X(MEMORY, "memory", "out of memory")

#define WEIR_REDIRECT_REASON_ENUM(id, label, text) WEIR_REDIRECT_##id,
enum weir_redirect_reason { WEIR_REDIRECT_REASON_MAP(WEIR_REDIRECT_REASON_ENUM) WEIR_REDIRECT_REASON_COUNT };
#undef WEIR_REDIRECT_REASON_ENUM

const char *weir_redirect_reason_label(enum weir_redirect_reason r);
const char *weir_redirect_reason_text(enum weir_redirect_reason r);

enum weir_redirect_word {
    WEIR_REDIRECT_PASS,    /* the answer goes to the client */
    WEIR_REDIRECT_FOLLOW,  /* ask again, as the rest of the decision says */
    WEIR_REDIRECT_TOO_MANY /* an error: 502 */
};

struct weir_redirect_sight {
    unsigned status;
    const struct weir_fields *fields; /* of the answer */
    struct weir_str method;           /* of the request that it answers */
    struct weir_url_base asked;       /* likewise */
    enum weir_config_redirects policy;
    const struct weir_config_endpoint *endpoints; /* the provider's */
    size_t endpoint_count;
    unsigned followed; /* so far, by this request */
    bool foreign_tls;  /* there are authorities by which another origin's certificate can be checked */
    bool answer_begun; /* a byte of the final head has gone to the client */
    bool has_body;     /* the request that it answers had one */
    bool body_ended;   /* all of it has come from the client */
    bool replayable;   /* all of it that was sent is still kept */
};

struct weir_redirect_decision {
    enum weir_redirect_word word;
    enum weir_redirect_reason reason; /* NONE when the word is FOLLOW */
    struct weir_str method;
    bool keeps_body;
    bool foreign;    /* no endpoint of the provider: credentials do not go there (weir_redirect_drop_credentials) */
    size_t endpoint; /* of the provider, unless foreign */
    struct weir_url to;
};

struct weir_redirect_decision weir_redirect_decide(const struct weir_redirect_sight *s, struct weir_arena *a);

/* Takes out of a request what only the provider is to see: authorization and cookies, keys in the fields where the
 * common APIs have them, what is configured for the provider (key_name, lower case, and its headers), and who the
 * client is. */
void weir_redirect_drop_credentials(struct weir_fields *f, const struct weir_config_provider *p,
                                    struct weir_str key_name);
/* Takes out what describes a body that is no longer sent (RFC 9110 section 15.4, step 5). */
void weir_redirect_drop_content(struct weir_fields *f);

#endif
