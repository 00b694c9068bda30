#include "cli/doctor_checks.h"

#include <stdbool.h>
#include <string.h>

#include "cli/doctor_finding.h"
#include "cli/show.h"

#define ADVICE "Is its URL right, and does this machine reach it? curl -v with that URL shows how far one gets."

static bool is_found(const json_t *findings, const char *provider)
{
    for (size_t i = 0; i < json_array_size(findings); i++)
        if (strcmp(ctl_text(json_array_get(findings, i), "provider", ""), provider) == 0)
            return true;
    return false;
}

/* A sentence for each endpoint that failed its last check, or has no address to check: the first check comes later. */
static json_t *evidence_of(const json_t *endpoints)
{
    json_t *evidence = json_array();
    const char *id;
    double addresses;
    json_t *e; /* jansson's loop takes no const */
    json_object_foreach((json_t *)endpoints, id, e)
    {
        const json_t *last = json_object_get(e, "last_check");
        if (json_is_true(json_object_get(e, "checks_failed")))
            json_array_append_new(evidence, json_sprintf("the check of %s failed: %s (%s)", id,
                                                         ctl_text(last, "error", "-"), ctl_text(last, "at", "-")));
        else if (ctl_number(e, "addresses", &addresses) && addresses == 0)
            json_array_append_new(evidence, json_sprintf("%s has no address: its name does not resolve", id));
    }
    return evidence;
}

void ctl_diagnose_checks(json_t *findings, const struct ctl_exam *x)
{
    json_t *providers = json_object_get(x->providers, "providers"), *p;
    const char *name;
    json_object_foreach(providers, name, p)
    {
        json_t *evidence = evidence_of(json_object_get(p, "endpoints"));
        if (json_array_size(evidence) > 0 && !is_found(findings, name)) {
            json_t *f = ctl_finding_add(findings, x, "failed checks", name);
            json_object_set(f, "evidence", evidence);
            ctl_finding_text(f, "advice", ADVICE);
        }
        json_decref(evidence);
    }
}
