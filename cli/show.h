/* A node's answer as text for people: one function a page. Pure. Answers are JSON from outside: a field that is missing
 * or of another kind than expected shows as "-", numbers are taken when they are not negative, and what is long is cut
 * (cli/table.h). */
#ifndef WEIR_CLI_SHOW_H
#define WEIR_CLI_SHOW_H

#include <jansson.h>

#include "cli/options.h"
#include "cli/table.h"

/* The answer as o->output says; `style` is for tables. False: it is not an answer of that page (nothing is added). */
bool ctl_show(struct weir_textbuf *out, const struct ctl_options *o, const struct ctl_style *style,
              const json_t *answer);
/* A value as JSON (one document) or YAML. */
void ctl_show_value(struct weir_textbuf *out, enum ctl_output form, const json_t *value);
/* One event of a stream, in one line (`yaml`: a document). */
void ctl_show_event(struct weir_textbuf *out, enum ctl_output form, const struct ctl_style *style, const json_t *event);
/* The node is a member of a cluster and has no contact to its store, as the answer of `status` says. */
bool ctl_store_is_away(const json_t *state);
/* A coordinator has led, and none does now. */
bool ctl_lead_is_gone(const json_t *state);

/* -- the pages (cli/show_cluster.c, cli/show_traffic.c, cli/show_hints.c), called by ctl_show -- */

void ctl_show_status(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer);
void ctl_show_nodes(struct weir_textbuf *out, const struct ctl_style *style, const json_t *nodes);
void ctl_show_shards(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer);
void ctl_show_breakers(struct weir_textbuf *out, const struct ctl_style *style, const json_t *breakers);
void ctl_show_limits(struct weir_textbuf *out, const struct ctl_style *style, const json_t *limits);
void ctl_show_pools(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer);
void ctl_show_alerts(struct weir_textbuf *out, const struct ctl_style *style, const json_t *alerts);
void ctl_show_hints(struct weir_textbuf *out, const struct ctl_style *style, const json_t *answer);

/* -- fields of answers -- */

/* The text at key, or `otherwise`. */
const char *ctl_text(const json_t *object, const char *key, const char *otherwise);
/* False: there is no such number; *out is 0 then. */
bool ctl_number(const json_t *object, const char *key, double *out);
/* The next cell: a whole number, or "-". */
void ctl_number_cell(struct ctl_table *t, const json_t *object, const char *key);
void ctl_text_cell(struct ctl_table *t, enum ctl_tone tone, const json_t *object, const char *key);
/* A number with so many digits behind the point and what follows it ("%", " ms"), or "-". */
void ctl_decimal_cell(struct ctl_table *t, enum ctl_tone tone, const json_t *object, const char *key, int digits,
                      const char *unit);
/* The guide's colours of a pool's utilisation: from 70 and 85 percent. */
enum ctl_tone ctl_tone_of_use(double percent);
/* "12.5 s", "3 min 5 s", "2 h 7 min", "5 d 3 h". */
#define CTL_DURATION_MAX 32
const char *ctl_duration(char text[CTL_DURATION_MAX], double seconds);

#endif
