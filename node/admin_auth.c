#include "node/admin_auth.h"

#include "core/own_host.h"
#include "node/node.h"

/* A longer name and password are nobody's. */
#define BASIC_BYTES_MAX 1024u

/* Takes as long whatever the bytes are: the token cannot be guessed byte by byte. */
static bool same_secret(struct weir_str a, struct weir_str b)
{
    unsigned char differ = a.len != b.len;
    for (size_t i = 0; i < a.len && b.len > 0; i++)
        differ |= (unsigned char)(a.ptr[i] ^ b.ptr[i % b.len]);
    return differ == 0 && a.len > 0;
}

static int sextet_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 (RFC 4648, 4), the padding at its end not looked at. The length; 0: it is none, or longer than `out` takes. */
static size_t decode(struct weir_str text, char out[BASIC_BYTES_MAX])
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;
    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int v = sextet_of(text.ptr[i]);
        if (v < 0 || n == BASIC_BYTES_MAX)
            return 0;
        bits = (bits << 6 | (uint32_t)v) & 0xffffu;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (char)(bits >> held & 0xff);
        }
    }
    return n;
}

static bool is_password(struct weir_str credentials, struct weir_str token)
{
    char text[BASIC_BYTES_MAX];
    size_t len = decode(credentials, text);
    const char *colon = len > 0 ? memchr(text, ':', len) : NULL;
    return colon != NULL && same_secret((struct weir_str){colon + 1, (size_t)(text + len - colon - 1)}, token);
}

static bool only_reads(struct weir_str method)
{
    return weir_str_eq(method, WEIR_STR("GET")) || weir_str_eq(method, WEIR_STR("HEAD"));
}

/* The value behind an authentication scheme's name. */
static bool takes_scheme(struct weir_str value, struct weir_str scheme, struct weir_str *rest)
{
    if (value.len <= scheme.len || !weir_str_eq_nocase((struct weir_str){value.ptr, scheme.len}, scheme))
        return false;
    *rest = (struct weir_str){value.ptr + scheme.len, value.len - scheme.len};
    return true;
}

static bool has_token(const struct weir_request *r, const char *token_text)
{
    const struct weir_field *f = weir_fields_get(&r->head->fields, WEIR_FIELD_AUTHORIZATION);
    if (token_text == NULL || f == NULL)
        return false;
    struct weir_str token = weir_str_of(token_text), rest;
    if (takes_scheme(f->value, WEIR_STR("bearer "), &rest))
        return same_secret(rest, token);
    return takes_scheme(f->value, WEIR_STR("basic "), &rest) && only_reads(r->head->method) && is_password(rest, token);
}

enum weir_admin_access weir_admin_access_of(const struct weir_request *r)
{
    const struct weir_config *c = r->hold->view->config;
    if (has_token(r, c->server.admin.token))
        return WEIR_ADMIN_ALLOWED;
    if (!r->address_certain || !weir_config_nets_hold(&c->server.admin.allow, r->address.bytes))
        return WEIR_ADMIN_TOKEN_WANTED;
    return weir_own_host(c, r->head->authority) ? WEIR_ADMIN_ALLOWED : WEIR_ADMIN_HOST_FOREIGN;
}
