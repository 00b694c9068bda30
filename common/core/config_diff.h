/* What a reload changes, key by key. */
#ifndef WEIR_CORE_CONFIG_DIFF_H
#define WEIR_CORE_CONFIG_DIFF_H

#include "core/config.h"

/* key: dotted path, list elements by number, as in "providers.openai.endpoints.0.weight". from, to: values as
 * weir_config_print shows them, secrets masked; NULL where the key is absent. The texts are valid during the call only.
 */
typedef void (*weir_config_diff_cb)(void *arg, const char *key, const char *from, const char *to);

/* Calls cb for each key whose value in force differs; a secret that changed is told with equal masks. Errors:
 * WEIR_ENOMEM; some may have been told then. */
WEIR_MUST_USE int weir_config_diff(const struct weir_config *before, const struct weir_config *after, void *arg,
                                   weir_config_diff_cb cb);

#endif
