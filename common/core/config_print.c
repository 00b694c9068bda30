#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/config_origin.h"
#include "core/config_output.h"
#include "core/config_schema.h"
#include "core/config_value.h"

#define MASK         "********"
#define INDENT_WIDTH 2

struct printer {
    const struct weir_config *c;
    struct weir_textbuf *out;
    unsigned depth;
    bool item;        /* the next line begins a list's element */
    const char *base; /* a provider's http, whose values http_client's may stand for; NULL elsewhere */
};

static void indent(struct printer *p)
{
    unsigned depth = p->depth - p->item;
    for (unsigned i = 0; i < depth * INDENT_WIDTH; i++)
        weir_textbuf_char(p->out, ' ');
    weir_textbuf_str(p->out, p->item ? "- " : "");
    p->item = false;
}

/* The code point at text and how many bytes it has; a byte that begins none stands for itself (variables may hold any
 * bytes, the file only UTF-8). */
static size_t decode(const char *text, uint32_t *out)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 1;
    *out = len == 1 ? at[0] : at[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            *out = at[0];
            return 1;
        }
        *out = *out << 6 | (at[i] & 0x3f);
    }
    return len;
}

/* Controls, what YAML takes for the end of a line, and what it takes for no character at all. */
static bool is_unprintable(uint32_t c)
{
    return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe ||
           c == 0xffff;
}

/* As YAML in double quotes; "${" would be taken for a variable. */
static void quoted(struct weir_textbuf *out, const char *text)
{
    weir_textbuf_char(out, '"');
    while (*text != '\0') {
        uint32_t c;
        size_t len = decode(text, &c);
        if (is_unprintable(c) || (len == 1 && c >= 0x80))
            weir_textbuf_printf(out, c > 0xff ? "\\u%04x" : "\\x%02x", c);
        else if (c == '"' || c == '\\')
            weir_textbuf_printf(out, "\\%c", (char)c);
        else if (c == '$' && text[1] == '{')
            weir_textbuf_str(out, "$$");
        else
            weir_textbuf_add(out, text, len);
        text += len;
    }
    weir_textbuf_char(out, '"');
}

/* A URL's credentials stand between "//" and the last "@" of its authority; a query may be one, or hold some. */
static void quoted_url(struct weir_textbuf *out, const char *url)
{
    const char *authority = strstr(url, "//");
    size_t len = authority != NULL ? strcspn(authority + 2, "/?#") : 0;
    const char *at = len > 0 ? memrchr(authority + 2, '@', len) : NULL;
    const char *rest = at != NULL ? at : url, *query = strchr(rest, '?');
    int shown = query != NULL ? (int)(query + 1 - rest) : (int)strlen(rest);
    char masked[512];
    if ((size_t)snprintf(masked, sizeof masked, "%.*s%s%.*s%s", at != NULL ? (int)(authority + 2 - url) : 0, url,
                         at != NULL ? MASK : "", shown, rest, query != NULL ? MASK : "") < sizeof masked)
        quoted(out, masked);
    else
        quoted(out, at != NULL || query != NULL ? MASK : url);
}

/* -- where a value came from -- */

static const struct weir_config_origin *inherited(const struct printer *p, const void *member)
{
    size_t offset = p->base != NULL ? (size_t)((const char *)member - p->base) : sizeof p->c->http_client;
    if (p->base == NULL || (const char *)member < p->base || offset >= sizeof p->c->http_client)
        return NULL;
    return weir_config_origin_of(p->c, (const char *)&p->c->http_client + offset);
}

static void comment(struct printer *p, const struct weir_config_field *f, const void *member)
{
    const struct weir_config_origin *origin = weir_config_origin_of(p->c, member);
    const char *from = "";
    if (origin == NULL) {
        origin = inherited(p, member);
        from = "http_client, ";
    }
    if (origin == NULL && f->fallback == NULL && f->derived != NULL)
        weir_textbuf_printf(p->out, " # default: %s\n", f->derived);
    else if (origin == NULL)
        weir_textbuf_str(p->out, " # default\n");
    else if (origin->layer == WEIR_CONFIG_LAYER_OVERLAY)
        weir_textbuf_printf(p->out, " # %s%s overlay, %s:%u\n", from, p->c->environment, p->c->file, origin->line);
    else
        weir_textbuf_printf(p->out, " # %s%s:%u\n", from, p->c->file, origin->line);
}

static void begin(struct printer *p, const struct weir_config_field *f)
{
    indent(p);
    weir_textbuf_printf(p->out, "%s:", f->key);
}

/* -- values -- */

static void print_texts(struct printer *p, const struct weir_config_texts *list)
{
    weir_textbuf_str(p->out, " [");
    for (size_t i = 0; i < list->count; i++) {
        weir_textbuf_str(p->out, i > 0 ? ", " : "");
        quoted(p->out, list->at[i]);
    }
    weir_textbuf_char(p->out, ']');
}

static void print_statuses(struct printer *p, const struct weir_config_numbers *list)
{
    weir_textbuf_str(p->out, " [");
    for (size_t i = 0; i < list->count; i++)
        weir_textbuf_printf(p->out, "%s%u", i > 0 ? ", " : "", list->at[i]);
    weir_textbuf_char(p->out, ']');
}

static void print_nets(struct printer *p, const struct weir_config_nets *list)
{
    weir_textbuf_str(p->out, " [");
    for (size_t i = 0; i < list->count; i++) {
        char ip[WEIR_IP_TEXT_MAX];
        const struct weir_net *net = &list->at[i];
        bool v4 = weir_ip_is_v4(&net->ip) && net->bits >= 96;
        weir_ip_format(&net->ip, ip);
        weir_textbuf_printf(p->out, "%s\"%s/%u\"", i > 0 ? ", " : "", ip, net->bits - (v4 ? 96u : 0u));
    }
    weir_textbuf_char(p->out, ']');
}

static void print_listens(struct printer *p, const struct weir_config_listens *list)
{
    weir_textbuf_str(p->out, " [");
    for (size_t i = 0; i < list->count; i++) {
        weir_textbuf_str(p->out, i > 0 ? ", {address: " : "{address: ");
        quoted(p->out, list->at[i].text);
        weir_textbuf_printf(p->out, ", proxy_protocol: %s}", list->at[i].proxy_protocol ? "true" : "false");
    }
    weir_textbuf_char(p->out, ']');
}

/* A header's value may be a secret (another way to send a key), so none is shown. */
static void print_pairs(struct printer *p, const struct weir_config_pairs *list)
{
    weir_textbuf_str(p->out, " {");
    for (size_t i = 0; i < list->count; i++) {
        weir_textbuf_str(p->out, i > 0 ? ", " : "");
        quoted(p->out, list->at[i].name);
        weir_textbuf_str(p->out, ": \"" MASK "\"");
    }
    weir_textbuf_char(p->out, '}');
}

/* null reads back as not given. */
static void print_text(struct printer *p, const struct weir_config_field *f, const void *member)
{
    const char *text = *(const char *const *)member;
    weir_textbuf_char(p->out, ' ');
    if (text == NULL)
        weir_textbuf_str(p->out, "null");
    else if (f->type == WEIR_CONFIG_SECRET)
        weir_textbuf_str(p->out, "\"" MASK "\"");
    else if (f->type == WEIR_CONFIG_SECRET_URL)
        quoted_url(p->out, text);
    else
        quoted(p->out, text);
}

static void print_value(struct printer *p, const struct weir_config_field *f, const void *member)
{
    char buf[64];
    switch (f->type) {
    case WEIR_CONFIG_TEXT:
    case WEIR_CONFIG_SECRET:
    case WEIR_CONFIG_SECRET_FILE:
    case WEIR_CONFIG_SECRET_URL:
        print_text(p, f, member);
        break;
    case WEIR_CONFIG_TEXTS:
        print_texts(p, member);
        break;
    case WEIR_CONFIG_STATUSES:
        print_statuses(p, member);
        break;
    case WEIR_CONFIG_NETS:
        print_nets(p, member);
        break;
    case WEIR_CONFIG_LISTENS:
        print_listens(p, member);
        break;
    case WEIR_CONFIG_PAIRS:
        print_pairs(p, member);
        break;
    case WEIR_CONFIG_URL:
        weir_textbuf_char(p->out, ' ');
        quoted(p->out, ((const struct weir_config_endpoint *)member)->url);
        break;
    default:
        weir_config_value_format(f, member, buf, sizeof buf);
        weir_textbuf_printf(p->out, f->type == WEIR_CONFIG_CHOICE ? " \"%s\"" : " %s", buf);
    }
}

/* -- structure -- */

static void print_section(struct printer *p, const struct weir_config_section *s, const char *base);

static void print_rows(struct printer *p, const struct weir_config_field *f, const struct weir_config_list *list)
{
    begin(p, f);
    weir_textbuf_str(p->out, list->count == 0 ? " []" : "");
    comment(p, f, list);
    for (size_t i = 0; i < list->count; i++) {
        p->depth += 2;
        p->item = true;
        print_section(p, f->section, (const char *)list->at + i * f->section->size);
        p->depth -= 2;
    }
}

static void print_providers(struct printer *p, const struct weir_config_field *f)
{
    begin(p, f);
    weir_textbuf_str(p->out, p->c->provider_count == 0 ? " {}\n" : "\n");
    for (size_t i = 0; i < p->c->provider_count; i++) {
        const struct weir_config_provider *provider = &p->c->providers[i];
        p->depth++;
        indent(p);
        quoted(p->out, provider->name);
        weir_textbuf_printf(p->out, ": # %s:%u\n", p->c->file, provider->line);
        p->depth++;
        p->base = (const char *)&provider->http;
        print_section(p, f->section, (const char *)provider);
        p->base = NULL;
        p->depth -= 2;
    }
}

/* A route's header without a name is no header at all. */
static bool is_absent(const struct weir_config_field *f, const char *member)
{
    const struct weir_config_field *first = &f->section->fields[0];
    return first->required && first->type == WEIR_CONFIG_TEXT && *(const char *const *)(member + first->offset) == NULL;
}

static void print_field(struct printer *p, const struct weir_config_field *f, const char *member)
{
    const struct weir_config_feature_info *feature = &weir_config_features[f->feature];
    if (!feature->built && feature->refuse) {
        p->item = false;
        indent(p);
        weir_textbuf_printf(p->out, "# %s: not in this build (%s)\n", f->key, feature->words);
        return;
    }
    switch (f->type) {
    case WEIR_CONFIG_SECTION:
        begin(p, f);
        if (is_absent(f, member)) {
            weir_textbuf_str(p->out, " null # default\n");
            return;
        }
        weir_textbuf_str(p->out, feature->built ? "\n" : " # no effect in this build\n");
        p->depth++;
        print_section(p, f->section, member);
        p->depth--;
        return;
    case WEIR_CONFIG_INCLUDE:
        print_section(p, f->section, member);
        return;
    case WEIR_CONFIG_BASE_URL: /* endpoints says the same */
        return;
    case WEIR_CONFIG_LIST:
        print_rows(p, f, (const struct weir_config_list *)(const void *)member);
        return;
    case WEIR_CONFIG_PROVIDERS:
        print_providers(p, f);
        return;
    default:
        begin(p, f);
        print_value(p, f, member);
        comment(p, f, member);
    }
}

/* A secret that was read from a file is shown as that file. */
static bool is_hidden(const struct weir_config_field *f, const char *base)
{
    return f->type == WEIR_CONFIG_SECRET && *(const char *const *)(base + f->twin) != NULL;
}

static void print_section(struct printer *p, const struct weir_config_section *s, const char *base)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct weir_config_field *f = &s->fields[i];
        if (f->alias_of == NULL && !is_hidden(f, base))
            print_field(p, f, base + f->offset);
    }
}

void weir_config_print(const struct weir_config *c, struct weir_textbuf *out)
{
    struct printer p = {.c = c, .out = out};
    weir_textbuf_printf(out, "# The effective configuration of %s", c->file);
    if (c->environment[0] != '\0')
        weir_textbuf_printf(out, " in the environment %s", c->environment);
    weir_textbuf_str(out, ". Secrets are masked.\n");
    print_section(&p, &weir_config_root, (const char *)c);
}
