/* The verbs that do more than show a page, each in a file of its own (cli/verb_NAME.c). Each returns the exit code,
 * and has told on standard error what is wrong. */
#ifndef WEIR_CLI_VERB_H
#define WEIR_CLI_VERB_H

#include "cli/session.h"

/* The page with all events of the cluster that are kept (WEIR_COORD_EVENTS_KEPT). */
#define CTL_EVENTS_ALL "/api/cluster/events?n=1000"

int ctl_run_events(struct ctl_session *s);
int ctl_run_rebalance(struct ctl_session *s);
int ctl_run_drain(struct ctl_session *s);
int ctl_run_undrain(struct ctl_session *s);
int ctl_run_breaker(struct ctl_session *s);
int ctl_run_config(struct ctl_session *s);
int ctl_run_reload(struct ctl_session *s);
int ctl_run_doctor(struct ctl_session *s);
int ctl_run_report(struct ctl_session *s);
int ctl_run_bench(struct ctl_session *s);
int ctl_run_top(struct ctl_session *s);
int ctl_run_tune(struct ctl_session *s);

#endif
