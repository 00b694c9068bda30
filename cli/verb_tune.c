/* tune: the guide's two formulas, for a load that the caller names. Asks nobody. */
#include <math.h>

#include "cli/verb.h"
#include "core/tuning.h"

/* The guide's own examples, where nothing is given: a provider on the same continent with its usual time-out. */
#define NETWORK_LATENCY_S  0.0
#define PROVIDER_TIMEOUT_S 30.0

static double given_or(const struct ctl_options *o, uint64_t bit, double value, double otherwise)
{
    return o->given & bit ? value : otherwise;
}

static void show_lines(struct weir_textbuf *text, const struct ctl_style *style, uint32_t size,
                       const struct weir_tuning_timeouts *t)
{
    ctl_fact(text, style, "pool size", CTL_PLAIN, "%u connections", size);
    ctl_fact(text, style, "timeouts", CTL_PLAIN, "connect %g s, read %g s, total %g s", t->connect_s, t->read_s,
             t->total_s);
    weir_textbuf_str(text, "\nhttp_client:\n  pool_limits:\n");
    weir_textbuf_printf(text, "    max_connections: %u\n  timeout:\n", size);
    weir_textbuf_printf(text, "    connect: %.10g\n    read: %.10g\n    total: %.10g\n", t->connect_s, t->read_s,
                        t->total_s);
}

int ctl_run_tune(struct ctl_session *s)
{
    const struct ctl_options *o = s->options;
    const uint64_t both = CTL_BIT(RPS) | CTL_BIT(LATENCY);
    struct weir_textbuf text;
    if ((o->given & both) != both)
        return ctl_complain(WEIR_EXIT_USAGE, "For example: weirctl tune --rps 100 --latency 1200",
                            "tune needs --rps and --latency");
    if (o->rps != floor(o->rps))
        return ctl_complain(WEIR_EXIT_USAGE, NULL, "--rps %g: the formula takes whole requests a second", o->rps);
    double network = given_or(o, CTL_BIT(NETWORK_LATENCY), o->network_latency_s, NETWORK_LATENCY_S);
    double provider = given_or(o, CTL_BIT(PROVIDER_TIMEOUT), o->provider_timeout_s, PROVIDER_TIMEOUT_S);
    uint32_t size = weir_tuning_pool_size((int64_t)o->rps, o->latency_ms);
    struct weir_tuning_timeouts t = weir_tuning_timeouts(network, provider);
    if (ctl_wants_value(s)) {
        json_t *value = json_pack("{s:i, s:i, s:{s:f, s:f, s:f}}", "schema", 1, "pool_size", (int)size, "timeouts",
                                  "connect", t.connect_s, "read", t.read_s, "total", t.total_s);
        int code = ctl_put_value(s, value);
        json_decref(value);
        return code;
    }
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    show_lines(&text, &s->style, size, &t);
    return ctl_put(s, &text);
}
