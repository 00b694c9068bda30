/* Parses a configuration from a test's text, with an environment and files that exist in the test alone. */
#ifndef WEIR_TESTS_UNIT_CORE_HELPER_CONFIG_H
#define WEIR_TESTS_UNIT_CORE_HELPER_CONFIG_H

#include <check.h>

#include "core/config.h"
#include "core/textbuf.h"

struct config_case {
    struct weir_config *c; /* NULL when refused */
    struct weir_config_problems problems;
    int code;
};

/* The environment: KEY=secret-from-env, PORT=9123, EMPTY= (nothing), LONG of 4,096 bytes, and WEIR_ENV as this says
 * (NULL: unset). */
extern const char *config_case_env;

/* Files: "/key" holds "secret-from-file\n", "/empty" nothing, "/nul" a NUL; all others are not there. */
struct config_case config_parse(const char *text);
struct config_case config_parse_bytes(const char *bytes, size_t len);
void config_case_end(struct config_case *k);

/* The problem with exactly this text ("f.yaml:3: error: server.workers: ..."); fails the test when there is none. */
void config_expect(const struct config_case *k, const char *text);
/* Valid, with that many warnings. */
void config_expect_valid(const struct config_case *k, size_t warnings);
/* The effective configuration, NUL-terminated; the caller frees it. */
char *config_text(const struct weir_config *c);

#endif
