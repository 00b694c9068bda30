/* Checks of a scalar's text that are more than a range; each returns what is wrong, as the end of a sentence that
 * begins with the value, or NULL. Pure. */
#ifndef WEIR_CORE_CONFIG_CHECK_H
#define WEIR_CORE_CONFIG_CHECK_H

#include <stdbool.h>

#include "core/config.h"
#include "core/str.h"

/* RFC 9110 section 9.1: a token in capitals. */
const char *weir_config_check_method(const char *text);
/* A path that begins with a slash, without query, space or control character. */
const char *weir_config_check_path(const char *text);
/* RFC 9110 section 5.1: a token, and none that frames the message or names the hop. */
const char *weir_config_check_field_name(const char *text);
/* RFC 9110 section 5.5: no control character, not empty. */
const char *weir_config_check_field_value(const char *text);
/* A host, or "*." and one. */
const char *weir_config_check_host_glob(const char *text);
/* What can stand in a metric's label and in a path as it is: letters, digits, dot, dash, underscore. */
const char *weir_config_check_name(const char *text);
/* What core/redis_url.h reads. */
const char *weir_config_check_redis_url(const char *text);
/* http:// or https://, without credentials and fragment; a query is fine. */
const char *weir_config_check_http_url(const char *text);
/* A source of the affinity key: header:NAME, cookie:NAME, json:NAME, api_key, address. */
const char *weir_config_check_affinity(const char *text);
/* host:port with a name or an address. */
const char *weir_config_check_host_port(const char *text);
/* address:port; a resolver has no name. */
const char *weir_config_check_address_port(const char *text);
/* A condition of an alert (core/alert_expr.h). False: why says in which column it is wrong. */
bool weir_config_explain_condition(const char *text, char *why, size_t len);

/* "host", "host:port", "[v6]:port", a name or an address; the host comes without brackets. Without a port *port stays.
 */
bool weir_config_authority_split(struct weir_str text, struct weir_str *host, uint16_t *port);

/* "127.0.0.1:8000", "[::1]:8000". What is wrong, or NULL. out->text is text itself. */
const char *weir_config_listen_parse(struct weir_config_listen *out, struct weir_arena *a, const char *text);
/* The parts of such a URL, slices of the text. */
struct weir_config_http_url {
    bool tls;
    struct weir_str host;      /* without brackets */
    struct weir_str authority; /* for the Host field */
    struct weir_str target;    /* path and query; empty: "/" */
    uint16_t port;
};
/* What is wrong, or NULL. */
const char *weir_config_http_url_split(struct weir_config_http_url *out, const char *text);

/* The address is this machine's own, or the name always stands for that (RFC 6761). */
bool weir_config_host_is_loopback(const char *host);

#endif
