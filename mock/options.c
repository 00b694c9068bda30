#include "mock/options.h"

#include <stdlib.h>

static void usage(FILE *out)
{
    fputs("usage: weir-mock-provider [--listen ADDR:PORT] [options]\n"
          "A fake LLM provider: OpenAI chat completions, Anthropic messages, and faults on demand.\n"
          "Prints \"listening on ADDR:PORT\" when it is ready (port 0 picks a free one).\n\n"
          "  --listen ADDR:PORT     default 127.0.0.1:0\n"
          "  --control ADDR:PORT    a second listener, not counted in /stats; printed as \"control on ADDR:PORT\"\n"
          "  --workers N            threads, default 1 (gates need 1)\n"
          "  --name NAME            sent as x-mock-name\n"
          "  --seed N               of its random choices, default 1\n"
          "  --close-idle-after MS  close connections idle that long\n"
          "  --close-idle-random P  after this share of the answers, close the connection at a random moment\n"
          "  --close-idle-window MS within this of the answer's end, default 20\n"
          "  --help, --version\n\n",
          out);
    mock_plan_describe(out);
    fputs(
        "Paths: /v1/chat/completions /v1/messages /v1/models /v1/embeddings /echo /echo/body /upload\n"
        "  /download?bytes=N /bench?bytes=N /stats /reset-stats /gate/NAME?steps=N\n"
        "While it runs (POST, by the control listener): /plan?KEY=VALUE&... gives every request this plan, /plan the "
        "one\n"
        "of the options again; /listen?open=0 refuses connections and resets those that are open, /listen?open=1 ends\n"
        "that. GET /arrivals?from=N says when each request came.\n",
        out);
}

static bool parse_address(const char *text, struct weir_addr *out)
{
    struct weir_err err;
    return weir_addr_parse(out, weir_str_of(text), &err) == WEIR_OK;
}

static bool parse_u32(const char *text, uint32_t max, uint32_t *out)
{
    uint64_t n;
    if (!weir_str_to_u64(weir_str_of(text), &n) || n > max)
        return false;
    *out = (uint32_t)n;
    return true;
}

static bool parse_share(const char *text, uint32_t *permille)
{
    char *end;
    double share = strtod(text, &end);
    if (end == text || *end != '\0' || !(share >= 0.0 && share <= 1.0))
        return false;
    *permille = (uint32_t)(share * 1000.0 + 0.5);
    return true;
}

/* MOCK_PLAN_UNKNOWN: not an option of the process; try the plan's keys. */
static enum mock_plan_result set_own(struct mock_options *o, const char *key, const char *value)
{
    bool good;
    if (strcmp(key, "listen") == 0) {
        good = parse_address(value, &o->listen);
    } else if (strcmp(key, "control") == 0) {
        good = parse_address(value, &o->control);
    } else if (strcmp(key, "workers") == 0) {
        good = parse_u32(value, MOCK_WORKERS_MAX, &o->workers) && o->workers > 0;
    } else if (strcmp(key, "seed") == 0) {
        good = weir_str_to_u64(weir_str_of(value), &o->seed);
    } else if (strcmp(key, "close-idle-after") == 0) {
        good = parse_u32(value, 3600000, &o->close_idle_after_ms);
    } else if (strcmp(key, "close-idle-random") == 0) {
        good = parse_share(value, &o->close_idle_permille);
    } else if (strcmp(key, "close-idle-window") == 0) {
        good = parse_u32(value, 3600000, &o->close_idle_window_ms);
    } else if (strcmp(key, "name") == 0) {
        o->name = value;
        good = strlen(value) > 0 && strlen(value) < 64 && strpbrk(value, "\r\n") == NULL;
    } else {
        return MOCK_PLAN_UNKNOWN;
    }
    return good ? MOCK_PLAN_OK : MOCK_PLAN_BAD_VALUE;
}

int mock_options_parse(struct mock_options *o, int argc, char **argv)
{
    *o = (struct mock_options){.workers = 1, .seed = 1, .close_idle_window_ms = 20};
    (void)parse_address("127.0.0.1:0", &o->listen);
    mock_plan_init(&o->plan);
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("weir-mock-provider " WEIR_VERSION);
            return 0;
        }
        if (strncmp(argv[i], "--", 2) != 0 || i + 1 == argc) {
            fprintf(stderr, "weir-mock-provider: %s: %s (see --help)\n", argv[i],
                    i + 1 == argc ? "value missing" : "not an option");
            return 2;
        }
        enum mock_plan_result r = set_own(o, argv[i] + 2, argv[i + 1]);
        if (r == MOCK_PLAN_UNKNOWN)
            r = mock_plan_set(&o->plan, weir_str_of(argv[i] + 2), weir_str_of(argv[i + 1]));
        if (r != MOCK_PLAN_OK) {
            fprintf(stderr, "weir-mock-provider: %s %s: %s (see --help)\n", argv[i], argv[i + 1],
                    r == MOCK_PLAN_UNKNOWN ? "not an option" : "not a valid value");
            return 2;
        }
    }
    return -1;
}
