/* Brings the configuration's file, the secrets' files and the environment to the loader in common/core, for every
 * program that reads the file, and its findings to whoever started the program. */
#ifndef WEIR_NET_CONFIG_FILE_H
#define WEIR_NET_CONFIG_FILE_H

#include "core/config.h"

/* Reads and checks the file. 0: *out is the caller's, and problems holds warnings at most. Else *out is NULL and
 * problems says why, also when the file cannot be read. Blocks on the file; a file above WEIR_CONFIG_FILE_BYTES_MAX is
 * not read. Errors: WEIR_EINVAL, WEIR_ENOMEM. */
WEIR_MUST_USE int weir_config_file_load(struct weir_config **out, const char *path,
                                        struct weir_config_problems *problems);
/* Writes problems to standard error, one a line, and a last line that counts them when there are errors. */
void weir_config_problems_print(const char *program, const struct weir_config_problems *problems);

#endif
