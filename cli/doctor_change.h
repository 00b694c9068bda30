/* Lines of configuration that the doctor would have changed at one provider, each only where the provider's settings
 * are not as good already, as its node tells them (.settings of the pool's statistics): what is set already is told
 * instead, so that nobody pastes what changes nothing, or makes it worse. Pure. */
#ifndef WEIR_CLI_DOCTOR_CHANGE_H
#define WEIR_CLI_DOCTOR_CHANGE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/textbuf.h"

/* Of a name as a key of YAML: longer than names are. */
#define CTL_KEY_BYTES_MAX 160

struct ctl_change {
    const json_t *settings; /* borrowed; NULL: the node does not tell, and every line is proposed */
    struct weir_textbuf lines;
    json_t *held; /* what is set already, as "retry.attempts: 5" */
    char provider[CTL_KEY_BYTES_MAX];
    const char *section;
    bool in_section; /* its title is out */
};

/* provider: its name, which is somebody else's text. */
void ctl_change_begin(struct ctl_change *c, const char *provider, const json_t *settings);
/* What follows are keys of this section of the provider's. */
void ctl_change_section(struct ctl_change *c, const char *section);

/* Which values are as good as the one that is proposed. */
enum ctl_bound { CTL_AT_LEAST, CTL_AT_MOST };
/* told: what seems to be in force, shown where the settings do not tell it; below 0: not known. */
void ctl_change_number(struct ctl_change *c, const char *key, enum ctl_bound bound, double wanted, double told);
/* The settings have bytes. */
void ctl_change_kilobytes(struct ctl_change *c, const char *key, enum ctl_bound bound, double wanted);
/* Is to be true. */
void ctl_change_on(struct ctl_change *c, const char *key);
/* A list that has these among others: what it has besides stays. */
void ctl_change_codes(struct ctl_change *c, const char *key, const int *codes, size_t count);

/* Sets .change (lines of YAML; "": none are left) and .held of the finding, closes. True: lines are left. */
bool ctl_change_end(struct ctl_change *c, json_t *finding);

#endif
