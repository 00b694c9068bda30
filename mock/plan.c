#include "mock/plan.h"

#include <stddef.h>

enum kind { KIND_U32, KIND_RATE, KIND_MS_TO_US, KIND_PERMILLE, KIND_BOOL, KIND_STR, KIND_FAULT };

struct key {
    struct weir_str name;
    enum kind kind;
    size_t offset;
    uint32_t max;
    const char *help;
};

/* Bounds: a wrong digit must not turn a test into an hour or a gigabyte. */
#define MS_MAX          3600000u
#define TOKENS_MAX      10000000u
#define TOKEN_BYTES_MAX 4096u
#define PADDING_MAX     1048576u

#define KEY(text, kind, member, max, help)                                            \
    {                                                                                 \
        {text, sizeof(text) - 1}, kind, offsetof(struct mock_plan, member), max, help \
    }
static const struct key keys[] = {
    KEY("latency-ms", KIND_U32, latency_ms, MS_MAX, "wait before the response head"),
    KEY("first-token-ms", KIND_U32, first_token_ms, MS_MAX, "wait between head and first token"),
    KEY("token-interval-ms", KIND_MS_TO_US, token_interval_us, MS_MAX, "wait between tokens"),
    KEY("token-rate", KIND_RATE, token_interval_us, 1000000, "tokens a second (0: no pause)"),
    KEY("tokens", KIND_U32, tokens, TOKENS_MAX, "tokens in the answer"),
    KEY("token-bytes", KIND_U32, token_bytes, TOKEN_BYTES_MAX, "bytes of one token"),
    KEY("status", KIND_U32, status, 999, "answer with this status and the provider's error body"),
    KEY("retry-after", KIND_STR, retry_after, 0, "Retry-After of such an answer"),
    KEY("fault", KIND_FAULT, fault, 0, "one of the faults below"),
    KEY("fault-after", KIND_U32, fault_after, TOKENS_MAX, "tokens before a fault inside the body"),
    KEY("fault-rate", KIND_PERMILLE, fault_permille, 1000, "share of requests with fault or status, 0 to 1"),
    KEY("close", KIND_BOOL, close, 1, "Connection: close after the answer"),
    KEY("silent-close", KIND_BOOL, silent_close, 1, "close after the answer without saying so"),
    KEY("trailers", KIND_BOOL, trailers, 1, "send trailer fields"),
    KEY("interim", KIND_STR, interim, 0, "1xx heads to send first: 103,100"),
    KEY("reject-expect", KIND_BOOL, reject_expect, 1, "417 to Expect: 100-continue"),
    KEY("early", KIND_BOOL, early, 1, "answer before the request's body has come"),
    KEY("padding-bytes", KIND_U32, padding_bytes, PADDING_MAX, "size of an additional response field"),
    KEY("gate", KIND_STR, gate, 0, "each step of the answer waits for POST /gate/NAME?steps=N"),
    KEY("raw", KIND_STR, raw, 0, "percent-encoded bytes sent instead of an answer; then closes"),
    KEY("raw-hold", KIND_BOOL, raw_hold, 1, "stays open after `raw`"),
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

#define FAULT_NAME(id, name, help) {name, sizeof(name) - 1},
static const struct weir_str fault_names[] = {MOCK_FAULT_MAP(FAULT_NAME)};
#define FAULT_HELP(id, name, help) help,
static const char *const fault_helps[] = {MOCK_FAULT_MAP(FAULT_HELP)};
#define FAULT_COUNT (sizeof fault_names / sizeof fault_names[0])

void mock_plan_init(struct mock_plan *p)
{
    *p = (struct mock_plan){
        .tokens = 16, .token_bytes = 8, .fault_after = MOCK_FAULT_AFTER_HALF, .fault_permille = 1000};
}

static bool find_fault(struct weir_str name, enum mock_fault *out)
{
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (weir_str_eq(fault_names[i], name)) {
            *out = (enum mock_fault)i;
            return true;
        }
    }
    return false;
}

static bool to_u32(struct weir_str s, uint32_t max, uint32_t *out)
{
    uint64_t n;
    if (!weir_str_to_u64(s, &n) || n > max)
        return false;
    *out = (uint32_t)n;
    return true;
}

/* "0.25" as 250; "1", "0" and ".5" too. Digits after the third make no difference. */
static bool to_permille(struct weir_str s, uint32_t *out)
{
    uint32_t n = 0, scale = 100;
    size_t i = 0;
    if (s.len > 0 && (s.ptr[0] == '0' || s.ptr[0] == '1'))
        n = (uint32_t)(s.ptr[i++] - '0') * 1000;
    if (s.len == 0 || (i < s.len && s.ptr[i++] != '.'))
        return false;
    for (; i < s.len; i++, scale /= 10) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        n += (uint32_t)(s.ptr[i] - '0') * scale;
    }
    *out = n;
    return n <= 1000;
}

static bool to_bool(struct weir_str s, bool *out)
{
    *out = weir_str_eq(s, WEIR_STR("1")) || weir_str_eq(s, WEIR_STR("true"));
    return *out || weir_str_eq(s, WEIR_STR("0")) || weir_str_eq(s, WEIR_STR("false"));
}

static bool set(struct mock_plan *p, const struct key *k, struct weir_str value)
{
    void *at = (char *)p + k->offset;
    uint32_t n;
    switch (k->kind) {
    case KIND_U32:
        return to_u32(value, k->max, at);
    case KIND_MS_TO_US:
        if (!to_u32(value, k->max, &n))
            return false;
        *(uint32_t *)at = n * 1000;
        return true;
    case KIND_RATE:
        if (!to_u32(value, k->max, &n))
            return false;
        *(uint32_t *)at = n == 0 ? 0 : 1000000 / n;
        return true;
    case KIND_PERMILLE:
        return to_permille(value, at);
    case KIND_BOOL:
        return to_bool(value, at);
    case KIND_STR:
        *(struct weir_str *)at = value;
        return true;
    case KIND_FAULT:
        return find_fault(value, at);
    }
    return false;
}

enum mock_plan_result mock_plan_set(struct mock_plan *p, struct weir_str key, struct weir_str value)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (weir_str_eq(keys[i].name, key))
            return set(p, &keys[i], value) ? MOCK_PLAN_OK : MOCK_PLAN_BAD_VALUE;
    }
    return MOCK_PLAN_UNKNOWN;
}

void mock_plan_set_model(struct mock_plan *p, struct weir_str model)
{
    const struct weir_str prefix = WEIR_STR("mock-");
    if (!weir_str_starts(model, prefix))
        return;
    struct weir_str rest = {model.ptr + prefix.len, model.len - prefix.len};
    uint32_t status;
    if (rest.len == 3 && to_u32(rest, 599, &status) && status >= 200) {
        p->status = status;
        if (status == 429 && p->retry_after.len == 0)
            p->retry_after = WEIR_STR("1");
    } else if (weir_str_eq(rest, WEIR_STR("slow"))) {
        p->latency_ms = 2000;
    } else if (weir_str_eq(rest, WEIR_STR("long"))) {
        p->tokens = 2000;
    } else {
        (void)find_fault(rest, &p->fault);
    }
}

void mock_plan_describe(FILE *out)
{
    fputs("What it does with a request, as --KEY VALUE, or per request as the field x-mock-KEY:\n", out);
    for (size_t i = 0; i < KEY_COUNT; i++)
        fprintf(out, "  %-18s %s\n", keys[i].name.ptr, keys[i].help);
    fputs("Faults (also as model name mock-FAULT; mock-NNN answers with that status; mock-slow, mock-long):\n", out);
    for (size_t i = 0; i < FAULT_COUNT; i++)
        fprintf(out, "  %-18s %s\n", fault_names[i].ptr, fault_helps[i]);
}

uint32_t mock_plan_fault_point(const struct mock_plan *p, uint32_t total)
{
    if (p->fault_after == MOCK_FAULT_AFTER_HALF)
        return total / 2;
    return p->fault_after < total ? p->fault_after : total;
}

size_t mock_percent_decode(char *to, struct weir_str from)
{
    size_t n = 0;
    for (size_t i = 0; i < from.len; i++) {
        char byte = from.ptr[i];
        if (byte == '%' && i + 2 < from.len && weir_hex_value(from.ptr[i + 1]) >= 0 &&
            weir_hex_value(from.ptr[i + 2]) >= 0) {
            byte = (char)(weir_hex_value(from.ptr[i + 1]) * 16 + weir_hex_value(from.ptr[i + 2]));
            i += 2;
        }
        to[n++] = byte;
    }
    return n;
}
