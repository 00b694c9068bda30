/* What a node's own checks of its endpoints found, for the doctor: an endpoint that nobody asks for anything shows its
 * trouble there alone. */
#ifndef WEIR_CLI_DOCTOR_CHECKS_H
#define WEIR_CLI_DOCTOR_CHECKS_H

#include "cli/doctor.h"

/* Adds to the findings one for each provider whose endpoints failed their last check, or have no address, unless one is
 * about it already.
 */
void ctl_diagnose_checks(json_t *findings, const struct ctl_exam *x);

#endif
