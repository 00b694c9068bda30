#include "cli/doctor_finding.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/show.h"

#define SENTENCE_BYTES_MAX 512

json_t *ctl_finding_add(json_t *findings, const struct ctl_exam *x, const char *kind, const char *provider)
{
    json_t *f =
        json_pack("{s:s, s:s?, s:s?, s:[], s:s, s:[], s:n}", "kind", kind, "node", ctl_text(x->after, "node_id", NULL),
                  "provider", provider, "evidence", "change", "", "held", "advice");
    json_array_append_new(findings, f);
    return f;
}

void ctl_finding_evidence(json_t *finding, const char *fmt, ...)
{
    char text[SENTENCE_BYTES_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_array_append_new(json_object_get(finding, "evidence"), json_string(text));
}

void ctl_finding_text(json_t *finding, const char *key, const char *fmt, ...)
{
    char text[4 * SENTENCE_BYTES_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    json_object_set_new(finding, key, json_string(text));
}
