#include "core/config_check.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/alert.h"
#include "core/redis_url.h"

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";
    if (text[0] == '\0')
        return false;
    for (; *text != '\0'; text++) {
        bool alnum = (*text >= '0' && *text <= '9') || (*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z');
        if (!alnum && strchr(extra, *text) == NULL)
            return false;
    }
    return true;
}

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' ||
           c == '.';
}

const char *weir_config_check_method(const char *text)
{
    if (!is_token(text))
        return "is not a method";
    for (const char *at = text; *at != '\0'; at++)
        if (*at >= 'a' && *at <= 'z')
            return "is not a method: methods are in capitals";
    return NULL;
}

const char *weir_config_check_path(const char *text)
{
    if (text[0] != '/')
        return "does not begin with a slash";
    for (; *text != '\0'; text++) {
        if (*text == '?' || *text == '#')
            return "holds a query or a fragment";
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return "holds a character that no path has: write it as %XX";
    }
    return NULL;
}

const char *weir_config_check_field_name(const char *text)
{
    static const char *const ours[] = {"connection", "content-length",   "expect", "host",
                                       "keep-alive", "proxy-connection", "te",     "trailer",
                                       "upgrade",    "transfer-encoding"};
    if (!is_token(text))
        return "is not a header's name";
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcasecmp(text, ours[i]) == 0)
            return "is set by weir itself";
    return NULL;
}

const char *weir_config_check_field_value(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return "holds a control character";
    return NULL;
}

const char *weir_config_check_name(const char *text)
{
    if (text[0] == '\0' || strlen(text) > 64)
        return "is not a name: 1 to 64 characters";
    for (; *text != '\0'; text++)
        if (!is_name_char(*text))
            return "is not a name: letters, digits, dot, dash and underscore only";
    return NULL;
}

/* RFC 1123 section 2.1, with the underscore that container networks use. */
static bool is_host_name(const char *text, size_t len)
{
    if (len == 0 || len > 253)
        return false;
    size_t label = 0;
    for (size_t i = 0; i < len; i++) {
        label = text[i] == '.' ? 0 : label + 1;
        if (!is_name_char(text[i]) || label > 63 || (label == 0 && (i == 0 || text[i - 1] == '.')))
            return false;
    }
    return true;
}

const char *weir_config_check_host_glob(const char *text)
{
    if (strncmp(text, "*.", 2) == 0)
        text += 2;
    return is_host_name(text, strlen(text)) ? NULL : "is not a host: a name, or *. and a name, without a port";
}

static bool has_prefix(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 && text[len] != '\0';
}

const char *weir_config_check_redis_url(const char *text)
{
    struct weir_arena arena = {0};
    struct weir_redis_url url;
    const char *wrong = weir_redis_url_parse(&url, &arena, text);
    weir_arena_reset(&arena);
    return wrong;
}

const char *weir_config_check_affinity(const char *text)
{
    if (strcmp(text, "api_key") == 0 || strcmp(text, "address") == 0)
        return NULL;
    static const char *const kinds[] = {"header:", "cookie:", "json:"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (has_prefix(text, kinds[i]) && is_token(text + strlen(kinds[i])))
            return NULL;
    return "is not a source of keys: header:NAME, cookie:NAME, json:NAME, api_key or address";
}

bool weir_config_explain_condition(const char *text, char *why, size_t len)
{
    struct weir_alert_expr expr;
    struct weir_alert_expr_error error;
    if (weir_alert_condition_parse(&expr, weir_str_of(text), &error) == WEIR_OK)
        return true;
    snprintf(why, len, "column %u: %s", error.column, error.sentence);
    return false;
}

/* -- addresses -- */

bool weir_config_nets_hold(const struct weir_config_nets *nets, const uint8_t address[16])
{
    struct weir_ip ip;
    memcpy(ip.bytes, address, sizeof ip.bytes);
    return weir_nets_have(nets->at, nets->count, &ip);
}

bool weir_config_host_is_loopback(const char *host)
{
    static const char name[] = "localhost";
    const size_t n = sizeof name - 1, len = strlen(host);
    struct weir_ip ip;
    if (weir_ip_parse(&ip, weir_str_of(host)))
        return weir_ip_is_loopback(&ip);
    return (len == n && strcasecmp(host, name) == 0) ||
           (len > n && host[len - n - 1] == '.' && strcasecmp(host + len - n, name) == 0);
}

/* Splits "host:port" and "[v6]:port". Without a colon behind the host, *port stays. False: not of that form. */
static bool split(const char *text, size_t len, struct weir_str *host, uint64_t *port, bool *has_port)
{
    const char *end = text + len;
    const char *colon;
    if (len > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', len);
        if (close == NULL)
            return false;
        *host = (struct weir_str){text + 1, (size_t)(close - text - 1)};
        colon = close + 1;
        if (colon != end && *colon != ':')
            return false;
        if (memchr(host->ptr, ':', host->len) == NULL)
            return false;
    } else {
        colon = memchr(text, ':', len);
        colon = colon != NULL ? colon : end;
        *host = (struct weir_str){text, (size_t)(colon - text)};
    }
    *has_port = colon != end;
    if (!*has_port)
        return true;
    return weir_str_to_u64((struct weir_str){colon + 1, (size_t)(end - colon - 1)}, port) && *port <= 65535;
}

static bool is_address(struct weir_str host)
{
    struct weir_ip ip;
    return weir_ip_parse(&ip, host);
}

/* All digits and dots is meant as an address, and is no name. */
static bool is_host(struct weir_str host)
{
    if (is_address(host))
        return true;
    bool numeric = true;
    for (size_t i = 0; i < host.len; i++)
        numeric = numeric && ((host.ptr[i] >= '0' && host.ptr[i] <= '9') || host.ptr[i] == '.');
    return !numeric && is_host_name(host.ptr, host.len);
}

bool weir_config_authority_split(struct weir_str text, struct weir_str *host, uint16_t *port)
{
    uint64_t number = *port;
    bool has_port;
    if (!split(text.ptr, text.len, host, &number, &has_port) || number == 0 || !is_host(*host))
        return false;
    *port = (uint16_t)number;
    return true;
}

const char *weir_config_check_host_port(const char *text)
{
    struct weir_str host;
    uint64_t port = 0;
    bool has_port;
    if (!split(text, strlen(text), &host, &port, &has_port) || !has_port || port == 0 || !is_host(host))
        return "is not host:port";
    return NULL;
}

const char *weir_config_check_address_port(const char *text)
{
    struct weir_str host;
    uint64_t port = 0;
    bool has_port;
    if (!split(text, strlen(text), &host, &port, &has_port) || !has_port || !is_address(host))
        return "is not address:port (127.0.0.1:8000, [::1]:8000)";
    return NULL;
}

const char *weir_config_listen_parse(struct weir_config_listen *out, struct weir_arena *a, const char *text)
{
    struct weir_str host;
    uint64_t port = 0;
    bool has_port;
    if (!split(text, strlen(text), &host, &port, &has_port) || !has_port)
        return "is not address:port (127.0.0.1:8000, [::1]:8000)";
    if (weir_str_eq_nocase(host, WEIR_STR("localhost")))
        host = WEIR_STR("127.0.0.1");
    if (!is_address(host))
        return "is not address:port: a listener has an address (0.0.0.0 for all), no name";
    out->text = text;
    out->host = weir_arena_dup(a, host).ptr;
    out->port = (uint16_t)port;
    return out->host == NULL ? weir_err_text(WEIR_ENOMEM) : NULL;
}

/* -- URLs that are posted to -- */

const char *weir_config_http_url_split(struct weir_config_http_url *out, const char *text)
{
    uint64_t port;
    bool has_port;
    out->tls = strncasecmp(text, "https://", 8) == 0;
    if (!out->tls && strncasecmp(text, "http://", 7) != 0)
        return "is not an http:// or https:// URL";
    out->authority.ptr = text + (out->tls ? 8 : 7);
    out->authority.len = strcspn(out->authority.ptr, "/?#");
    if (out->authority.len > 0 && memchr(out->authority.ptr, '@', out->authority.len) != NULL)
        return "holds credentials: a token belongs into its path or query";
    port = out->tls ? 443 : 80;
    if (!split(out->authority.ptr, out->authority.len, &out->host, &port, &has_port) || port == 0)
        return "is not a URL: its port must be 1 to 65535, an IPv6 address stands in brackets";
    if (!is_host(out->host))
        return "is not a URL: its host is neither a name nor an address";
    out->port = (uint16_t)port;
    out->target = weir_str_of(out->authority.ptr + out->authority.len);
    if (out->target.len > 0 && out->target.ptr[0] != '/')
        return "has no path before its query or fragment";
    for (size_t i = 0; i < out->target.len; i++)
        if (out->target.ptr[i] == '#' || (unsigned char)out->target.ptr[i] <= ' ' ||
            (unsigned char)out->target.ptr[i] >= 0x7f)
            return "holds a fragment, or a character that no URL has: write it as %XX";
    return NULL;
}

const char *weir_config_check_http_url(const char *text)
{
    struct weir_config_http_url url;
    return weir_config_http_url_split(&url, text);
}

/* -- URLs of endpoints -- */

static const char *authority_set(struct weir_config_endpoint *out, struct weir_arena *a, struct weir_str host,
                                 bool port_shown)
{
    bool v6 = memchr(host.ptr, ':', host.len) != NULL;
    char *lower = weir_arena_bytes(a, host.len + 1);
    if (lower == NULL)
        return weir_err_text(WEIR_ENOMEM);
    for (size_t i = 0; i < host.len; i++)
        lower[i] = weir_lower(host.ptr[i]);
    lower[host.len] = '\0';
    out->host = lower;
    char port[8];
    snprintf(port, sizeof port, ":%u", out->port);
    const struct weir_str parts[] = {out->tls ? WEIR_STR("https://") : WEIR_STR("http://"),
                                     v6 ? WEIR_STR("[") : WEIR_STR(""),
                                     {lower, host.len},
                                     v6 ? WEIR_STR("]") : WEIR_STR(""),
                                     weir_str_of(port)};
    out->id = weir_arena_join(a, parts, 5).ptr;
    out->authority = weir_arena_join(a, parts + 1, port_shown ? 4 : 3).ptr;
    return out->id == NULL || out->authority == NULL ? weir_err_text(WEIR_ENOMEM) : NULL;
}

const char *weir_config_url_parse(struct weir_config_endpoint *out, struct weir_arena *a, const char *url)
{
    bool tls = strncasecmp(url, "https://", 8) == 0;
    if (!tls && strncasecmp(url, "http://", 7) != 0)
        return "is not an http:// or https:// URL";
    const char *rest = url + (tls ? 8 : 7);
    size_t authority_len = strcspn(rest, "/?#");
    if (memchr(rest, '@', authority_len) != NULL)
        return "holds credentials: use api_key or headers";
    struct weir_str host;
    uint64_t port = tls ? 443 : 80;
    bool has_port;
    if (!split(rest, authority_len, &host, &port, &has_port) || port == 0)
        return "is not a URL: its port must be 1 to 65535, an IPv6 address stands in brackets";
    if (!is_host(host))
        return "is not a URL: its host is neither a name nor an address";
    const char *path = rest + authority_len;
    const char *wrong = path[0] != '\0' ? weir_config_check_path(path) : NULL;
    if (wrong != NULL)
        return wrong[0] == 'd' ? "holds a query or a fragment" : wrong;
    size_t path_len = strlen(path);
    while (path_len > 0 && path[path_len - 1] == '/')
        path_len--;
    out->url = weir_arena_dup(a, weir_str_of(url)).ptr;
    out->path_prefix = weir_arena_dup(a, (struct weir_str){path, path_len}).ptr;
    out->port = (uint16_t)port;
    out->tls = tls;
    if (out->url == NULL || out->path_prefix == NULL)
        return weir_err_text(WEIR_ENOMEM);
    return authority_set(out, a, host, port != (tls ? 443 : 80));
}
