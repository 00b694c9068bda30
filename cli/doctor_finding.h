/* A finding of the doctor's as it is made: its shape is ctl_diagnose's (cli/doctor.h). */
#ifndef WEIR_CLI_DOCTOR_FINDING_H
#define WEIR_CLI_DOCTOR_FINDING_H

#include "cli/doctor.h"

/* Adds one, with nothing but its kind, and the provider (NULL: none) whose it is; the findings own it. */
json_t *ctl_finding_add(json_t *findings, const struct ctl_exam *x, const char *kind, const char *provider);
/* Adds a sentence of evidence. */
void ctl_finding_evidence(json_t *finding, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets .change or .advice. */
void ctl_finding_text(json_t *finding, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
