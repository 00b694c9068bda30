#include "cli/yaml.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* Letters first, then what neither quotes, ends nor begins anything; and no word that some YAML takes for a boolean or
 * for null. */
static bool is_plain(const char *text, size_t len)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    if (len == 0 || !isalpha((unsigned char)text[0]))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("_-./", text[i]) == NULL)
            return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    return true;
}

void ctl_json(struct weir_textbuf *out, const json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    const char *from = text != NULL ? text : "";
    out->failed = out->failed || text == NULL;
    for (const char *del; (del = strchr(from, 0x7f)) != NULL; from = del + 1) { /* jansson takes it for printable */
        weir_textbuf_add(out, from, (size_t)(del - from));
        weir_textbuf_str(out, "\\u007F");
    }
    weir_textbuf_str(out, from);
    free(text);
}

void ctl_yaml_string(struct weir_textbuf *out, const char *text, size_t len)
{
    if (is_plain(text, len)) {
        weir_textbuf_add(out, text, len);
        return;
    }
    json_t *value = json_stringn(text, len);
    ctl_json(out, value, 0);
    json_decref(value);
}

static void add_indent(struct weir_textbuf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        weir_textbuf_str(out, "  ");
}

static void add_value(struct weir_textbuf *out, const json_t *value, unsigned depth, bool in_list);

static void add_object(struct weir_textbuf *out, const json_t *value, unsigned depth, bool in_list)
{
    const char *key;
    json_t *member;
    bool first = in_list; /* its first line stands behind the dash */
    json_object_foreach((json_t *)value, key, member)
    {
        if (!first)
            add_indent(out, depth);
        first = false;
        ctl_yaml_string(out, key, strlen(key));
        weir_textbuf_char(out, ':');
        add_value(out, member, depth + 1, false);
    }
}

static void add_array(struct weir_textbuf *out, const json_t *value, unsigned depth)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        add_indent(out, depth);
        weir_textbuf_char(out, '-');
        add_value(out, json_array_get(value, i), depth + 1, true);
    }
}

/* Behind a colon or a dash. jansson's parser bounds the depth. */
static void add_value(struct weir_textbuf *out, const json_t *value, unsigned depth, bool in_list)
{
    bool object = json_is_object(value) && json_object_size(value) > 0;
    bool array = json_is_array(value) && json_array_size(value) > 0;
    weir_textbuf_str(out, object && in_list ? " " : object || array ? "\n" : " ");
    if (object)
        add_object(out, value, depth, in_list);
    else if (array)
        add_array(out, value, depth);
    else if (json_is_string(value))
        ctl_yaml_string(out, json_string_value(value), json_string_length(value));
    else
        ctl_json(out, value, 0);
    if (!object && !array)
        weir_textbuf_char(out, '\n');
}

void ctl_yaml(struct weir_textbuf *out, const json_t *value)
{
    if (json_is_object(value) && json_object_size(value) > 0) {
        add_object(out, value, 0, false);
    } else if (json_is_array(value) && json_array_size(value) > 0) {
        add_array(out, value, 0);
    } else {
        ctl_json(out, value, 0);
        weir_textbuf_char(out, '\n');
    }
}
