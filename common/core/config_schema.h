/* The schema table: one entry per key of the configuration file. Reading, defaults, ranges, units, the effective
 * configuration, docs/configuration.md and the JSON Schema are all made from it; a new key is one line in one of the
 * config_schema_*.c files and one member of the model.
 *
 * Two keys may share an offset: the guide's basic form (`max_connections`) writes where the advanced form
 * (`pool_limits.max_connections`) does, which is all the normalisation there is. Such a key is marked alias_of. */
#ifndef WEIR_CORE_CONFIG_SCHEMA_H
#define WEIR_CORE_CONFIG_SCHEMA_H

#include "core/config.h"

/* X(id, built, reaction, words): what an issue to come builds. Once it is built, its line turns to true and nothing
 * else. REFUSE: ignoring the key would weaken security or change the routing. */
#define WEIR_CONFIG_FEATURE_MAP(X)                        \
    X(NODE, true, WARN, "the node")                       \
    X(RETRY, true, WARN, "retries")                       \
    X(BREAKER, true, WARN, "the circuit breaker")         \
    X(HEALTH, true, WARN, "health checks")                \
    X(RATE_LIMIT, true, WARN, "rate limits")              \
    X(SCALING, true, WARN, "adaptive pool sizes")         \
    X(BALANCE, true, WARN, "load-aware endpoint choice")  \
    X(REDIRECTS, true, WARN, "following redirects")       \
    X(COMPRESSION, true, WARN, "compression")             \
    X(DNS_CACHE, true, WARN, "the DNS cache switch")      \
    X(ALERTS, true, WARN, "alerts")                       \
    X(HTTP2, true, WARN, "HTTP/2 to providers")           \
    X(HTTP2_SERVER, true, WARN, "HTTP/2 towards clients") \
    X(CLUSTER, true, WARN, "the cluster")                 \
    X(ANALYTICS, true, WARN, "analytics")                 \
    X(COORDINATOR, true, WARN, "the coordinator")         \
    X(TLS_CLIENT, true, REFUSE, "TLS to providers")       \
    X(TLS_SERVER, true, REFUSE, "TLS listeners")          \
    X(AUTH, false, REFUSE, "client authentication")       \
    X(MODEL_ROUTES, false, REFUSE, "routing by model")

#define WEIR_CONFIG_FEATURE_ENUM(id, built, reaction, words) WEIR_CONFIG_FEATURE_##id,
enum weir_config_feature { WEIR_CONFIG_FEATURE_MAP(WEIR_CONFIG_FEATURE_ENUM) WEIR_CONFIG_FEATURE_COUNT };
#undef WEIR_CONFIG_FEATURE_ENUM

struct weir_config_feature_info {
    bool built;
    bool refuse; /* when not built: an error, else a warning */
    const char *words;
};

extern const struct weir_config_feature_info weir_config_features[WEIR_CONFIG_FEATURE_COUNT];

/* X(id, what the member is) */
#define WEIR_CONFIG_TYPE_MAP(X)             \
    X(BOOL, bool)                           \
    X(COUNT, uint32_t)                      \
    X(NUMBER, double)                       \
    X(DURATION, uint64_t)                   \
    X(BYTES, uint64_t)                      \
    X(BYTES32, uint32_t)                    \
    X(CHOICE, uint32_t)                     \
    X(TEXT, const char *)                   \
    X(SECRET, const char *)                 \
    X(SECRET_FILE, const char *)            \
    X(SECRET_URL, const char *)             \
    X(TEXTS, struct weir_config_texts)      \
    X(STATUSES, struct weir_config_numbers) \
    X(NETS, struct weir_config_nets)        \
    X(PAIRS, struct weir_config_pairs)      \
    X(LISTENS, struct weir_config_listens)  \
    X(URL, struct weir_config_endpoint)     \
    X(BASE_URL, struct weir_config_list)    \
    X(LIST, struct weir_config_list)        \
    X(PROVIDERS, struct weir_config_list)

/* What every list of the model looks like in memory. */
struct weir_config_list {
    void *at;
    size_t count;
};

#define WEIR_CONFIG_TYPE_ENUM(id, member) WEIR_CONFIG_##id,
enum weir_config_type {
    WEIR_CONFIG_TYPE_MAP(WEIR_CONFIG_TYPE_ENUM) /* values */
    WEIR_CONFIG_SECTION,                        /* a mapping with a table of its own */
    WEIR_CONFIG_INCLUDE /* another table's keys stand here as if they were this one's; has no key */
};
#undef WEIR_CONFIG_TYPE_ENUM

struct weir_config_section;

struct weir_config_field {
    const char *key;
    const char *doc;
    enum weir_config_type type;
    enum weir_config_feature feature;
    size_t offset;        /* of the member in the section's struct */
    size_t size;          /* of the member */
    const char *fallback; /* the default as it would be written (lists: separated by spaces); NULL: unset */
    const char *derived;  /* the default in words, where it comes from other keys */
    double min, max;      /* in the file's unit: seconds, bytes, pieces; both 0: any */
    const char *const
        *choices; /* CHOICE: NULL-terminated, in the order of the enum; TEXTS: the words allowed, or NULL */
    const struct weir_config_section *section; /* SECTION, INCLUDE, LIST, PROVIDERS */
    const struct weir_config_field *scalar;    /* SECTION: where a scalar in the mapping's place goes... */
    size_t scalar_count;                       /* ...each of these, as offsets in the struct of this field's table */
    const char *alias_of; /* the advanced form's path; such a key is not printed and has no default of its own */
    const char *quiet;    /* feature not built: this value asks for nothing, so it does not warn */
    bool apart;           /* has effect though the feature of its section is not built */
    size_t twin;          /* SECRET, SECRET_FILE: offset of the other one */
    /* A further check of a scalar's text: what is wrong with it as the end of a sentence, or NULL. */
    const char *(*check)(const char *text);
    /* The same where the sentence is made for the case. False: why says what is wrong. */
    bool (*explain)(const char *text, char *why, size_t len);
    bool required;
};

struct weir_config_section {
    const struct weir_config_field *fields;
    size_t count;
    size_t size;        /* of the struct */
    const char *doc;    /* for the reference page */
    size_t line_offset; /* of a uint32_t for the line where such a mapping stands; 0: there is none */
};

extern const struct weir_config_section weir_config_root;
extern const struct weir_config_section weir_config_section_server;
extern const struct weir_config_section weir_config_section_http;
extern const struct weir_config_section weir_config_section_client_tls;
extern const struct weir_config_section weir_config_section_provider;
extern const struct weir_config_section weir_config_section_route;
extern const struct weir_config_section weir_config_section_listen; /* the mapping form of a listener */
extern const struct weir_config_section weir_config_section_auth;
extern const struct weir_config_section weir_config_section_logging;
extern const struct weir_config_section weir_config_section_required_tls;
extern const struct weir_config_section weir_config_section_compression;
extern const struct weir_config_section weir_config_section_tracing;
extern const struct weir_config_section weir_config_section_dns;
extern const struct weir_config_section weir_config_section_alerting;
extern const struct weir_config_section weir_config_section_alert;
extern const struct weir_config_section weir_config_section_distributed;
extern const struct weir_config_section weir_config_section_analytics;
extern const struct weir_config_section weir_config_section_coordinator;

/* The overlays a file may hold; NULL-terminated. */
extern const char *const weir_config_environments[];
/* The alert rules in force where `alerting.connection_pool` is not written. */
extern const struct weir_config_alerts weir_config_default_alerts;

/* The field of that key, includes searched too; *base is moved to the struct that the field's offset counts in. NULL:
 * unknown. */
const struct weir_config_field *weir_config_field_find(const struct weir_config_section *s, const char *key,
                                                       char **base);
/* The known key of the section with the smallest edit distance; never NULL. */
const char *weir_config_key_nearest(const struct weir_config_section *s, const char *key);
/* Insertions, deletions, replacements and swaps of neighbours that make one word the other; at most 64 bytes of each
 * are looked at. */
unsigned weir_config_distance(const char *a, const char *b);

/* -- how the tables are written; S is the struct, M the member -- */

#define WEIR_CONFIG_AT(S, M) .offset = offsetof(S, M), .size = sizeof(((S *)0)->M)
#define WEIR_CONFIG_VALUE(T, S, M, KEY, DEFAULT, DOC, ...)                                                      \
    {                                                                                                           \
        .key = KEY, .type = WEIR_CONFIG_##T, WEIR_CONFIG_AT(S, M), .fallback = DEFAULT, .doc = DOC, __VA_ARGS__ \
    }
#define WEIR_CONFIG_NEST(S, M, KEY, SECTION, DOC, ...)                                                                \
    {                                                                                                                 \
        .key = KEY, .type = WEIR_CONFIG_SECTION, WEIR_CONFIG_AT(S, M), .section = &(SECTION), .doc = DOC, __VA_ARGS__ \
    }
#define WEIR_CONFIG_ROWS(S, M, KEY, SECTION, DOC, ...)                                                           \
    {                                                                                                            \
        .key = KEY, .type = WEIR_CONFIG_LIST, .offset = offsetof(S, M), .size = sizeof(struct weir_config_list), \
        .section = &(SECTION), .doc = DOC, __VA_ARGS__                                                           \
    }
/* The same for a struct within S that has no name: M is the member that it is, N the one in it. */
#define WEIR_CONFIG_PART_AT(S, M, N) .offset = offsetof(S, M.N) - offsetof(S, M), .size = sizeof(((S *)0)->M.N)
#define WEIR_CONFIG_PART(T, S, M, N, KEY, DEFAULT, DOC, ...)                                                \
    {                                                                                                       \
        .key = KEY, .type = WEIR_CONFIG_##T, WEIR_CONFIG_PART_AT(S, M, N), .fallback = DEFAULT, .doc = DOC, \
        __VA_ARGS__                                                                                         \
    }
#define WEIR_CONFIG_PART_TABLE(FIELDS, S, M, DOC)                                                                    \
    {                                                                                                                \
        .fields = (FIELDS), .count = sizeof(FIELDS) / sizeof((FIELDS)[0]), .size = sizeof(((S *)0)->M), .doc = (DOC) \
    }
#define WEIR_CONFIG_RANGE(MIN, MAX) .min = (MIN), .max = (MAX)
#define WEIR_CONFIG_NEEDS(FEATURE)  .feature = WEIR_CONFIG_FEATURE_##FEATURE
#define WEIR_CONFIG_TABLE_OF(FIELDS, STRUCT, DOC, LINE)                                                          \
    {                                                                                                            \
        .fields = (FIELDS), .count = sizeof(FIELDS) / sizeof((FIELDS)[0]), .size = sizeof(STRUCT), .doc = (DOC), \
        .line_offset = (LINE)                                                                                    \
    }
#define WEIR_CONFIG_TABLE(FIELDS, STRUCT, DOC)       WEIR_CONFIG_TABLE_OF(FIELDS, STRUCT, DOC, 0)
#define WEIR_CONFIG_TABLE_LINED(FIELDS, STRUCT, DOC) WEIR_CONFIG_TABLE_OF(FIELDS, STRUCT, DOC, offsetof(STRUCT, line))

#endif
