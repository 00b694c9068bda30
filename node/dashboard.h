/* The page at /dashboard: one file, made when weir is built from dashboard/ (cmake/dashboard.cmake). It holds nothing
 * that is secret; what it shows it asks for, by the same rules as anybody (node/admin_auth.h). */
#ifndef WEIR_NODE_DASHBOARD_H
#define WEIR_NODE_DASHBOARD_H

#include <stddef.h>

struct weir_dashboard {
    const char *html; /* NULL: built without it */
    size_t len;
    const char *policy;  /* Content-Security-Policy: its own script and style by their hashes, its node, nothing else */
    const char *missing; /* why there is none; a part of a sentence */
};
extern const struct weir_dashboard weir_dashboard;

#endif
