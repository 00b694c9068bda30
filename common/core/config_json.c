#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_output.h"
#include "core/config_schema.h"

/* jansson takes NULL for a value and fails the whole, so a lack of memory anywhere ends as a NULL at the top. */

/* Above the number of tables there are; a schema test counts them. */
#define SECTIONS_MAX 64

/* Each table of the schema becomes one definition, wherever and how often it is used. */
struct builder {
    json_t *defs;
    const struct weir_config_section *sections[SECTIONS_MAX];
    size_t section_count;
};

static json_t *section_schema(struct builder *b, const struct weir_config_section *s);

static json_t *ref(const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/$defs/%s", name));
}

/* Refers to the table's definition, which is made at the first use. */
static json_t *section_ref(struct builder *b, const struct weir_config_section *s)
{
    char name[32];
    size_t i = 0;
    while (i < b->section_count && b->sections[i] != s)
        i++;
    snprintf(name, sizeof name, "section-%zu", i);
    if (i == b->section_count) {
        assert(i < SECTIONS_MAX);
        b->sections[b->section_count++] = s;
        if (json_object_set_new(b->defs, name, section_schema(b, s)) != 0)
            return NULL;
    }
    return ref(name);
}

/* What may be written in place of any value: a variable. */
static json_t *or_variable(json_t *schema)
{
    return json_pack("{s:[o,o]}", "anyOf", schema, ref("variable"));
}

static json_t *number_schema(const struct weir_config_field *f, const char *type)
{
    json_t *schema = json_pack("{s:s}", "type", type);
    int failed = 0;
    if (f->min != 0 || f->max != 0) {
        failed |= json_object_set_new(schema, "minimum", json_real(f->min));
        failed |= json_object_set_new(schema, "maximum", json_real(f->max));
    }
    if (failed != 0) {
        json_decref(schema);
        return NULL;
    }
    return or_variable(schema);
}

static json_t *words_schema(const char *const *choices)
{
    json_t *words = json_array();
    for (size_t i = 0; words != NULL && choices[i] != NULL; i++) {
        /* YAML readers of editors see `true` and `on` as truth values. */
        bool truth = strcmp(choices[i], "true") == 0 || strcmp(choices[i], "on") == 0;
        bool lie = strcmp(choices[i], "false") == 0 || strcmp(choices[i], "off") == 0;
        int failed = json_array_append_new(words, json_string(choices[i]));
        if (truth || lie)
            failed |= json_array_append_new(words, json_boolean(truth));
        /* So is 1.2 a number. */
        char *end;
        double number = strtod(choices[i], &end);
        if (*end == '\0')
            failed |= json_array_append_new(words, json_real(number));
        if (failed != 0) {
            json_decref(words);
            return NULL;
        }
    }
    return json_pack("{s:o}", "enum", words);
}

static json_t *list_schema(json_t *items)
{
    return json_pack("{s:s,s:o}", "type", "array", "items", items);
}

static json_t *listens_schema(struct builder *b)
{
    json_t *one = json_pack("{s:[{s:s},o]}", "anyOf", "type", "string", section_ref(b, &weir_config_section_listen));
    json_t *many = one != NULL ? list_schema(json_incref(one)) : NULL;
    return json_pack("{s:[o,o]}", "anyOf", one, many);
}

static json_t *texts_schema(const struct weir_config_field *f)
{
    return list_schema(f->choices != NULL ? words_schema(f->choices) : json_pack("{s:s}", "type", "string"));
}

/* `retry:` with nothing behind it is as if it were not there. */
static json_t *nested_schema(struct builder *b, const struct weir_config_field *f)
{
    json_t *mapping = section_ref(b, f->section);
    if (f->scalar != NULL)
        return json_pack("{s:[o,o,{s:s}]}", "anyOf", mapping, ref("duration"), "type", "null");
    return json_pack("{s:[o,{s:s}]}", "anyOf", mapping, "type", "null");
}

static json_t *value_schema(struct builder *b, const struct weir_config_field *f)
{
    switch (f->type) {
    case WEIR_CONFIG_BOOL:
        return or_variable(json_pack("{s:s}", "type", "boolean"));
    case WEIR_CONFIG_COUNT:
        return number_schema(f, "integer");
    case WEIR_CONFIG_NUMBER:
        return number_schema(f, "number");
    case WEIR_CONFIG_DURATION:
        return ref("duration");
    case WEIR_CONFIG_BYTES:
    case WEIR_CONFIG_BYTES32:
        return ref("size");
    case WEIR_CONFIG_CHOICE:
        return or_variable(words_schema(f->choices));
    case WEIR_CONFIG_TEXTS:
        return texts_schema(f);
    case WEIR_CONFIG_STATUSES:
        return list_schema(number_schema(f, "integer"));
    case WEIR_CONFIG_NETS:
        return list_schema(json_pack("{s:s}", "type", "string"));
    case WEIR_CONFIG_PAIRS:
        return json_pack("{s:s,s:{s:[s,s]}}", "type", "object", "additionalProperties", "type", "string", "number");
    case WEIR_CONFIG_LISTENS:
        return listens_schema(b);
    case WEIR_CONFIG_LIST:
        return list_schema(section_ref(b, f->section));
    case WEIR_CONFIG_PROVIDERS:
        return json_pack("{s:s,s:{s:[o,{s:s}]}}", "type", "object", "additionalProperties", "anyOf",
                         section_ref(b, f->section), "type", "null");
    case WEIR_CONFIG_SECTION:
        return nested_schema(b, f);
    default:
        return json_pack("{s:[s,s,s]}", "type", "string", "number", "null");
    }
}

/* 30 is a number to an editor, 250ms a text. */
static json_t *default_value(const struct weir_config_field *f)
{
    char *end;
    double number = strtod(f->fallback, &end);
    if (f->type == WEIR_CONFIG_BOOL)
        return json_boolean(strcmp(f->fallback, "true") == 0);
    if (f->type == WEIR_CONFIG_CHOICE || f->type == WEIR_CONFIG_TEXT || *end != '\0')
        return json_string(f->fallback);
    return number == (double)(json_int_t)number ? json_integer((json_int_t)number) : json_real(number);
}

static bool field_add(struct builder *b, json_t *properties, json_t *required, const struct weir_config_field *f)
{
    json_t *schema = value_schema(b, f);
    if (schema == NULL || json_object_set_new(schema, "description", json_string(f->doc)) != 0) {
        json_decref(schema);
        return false;
    }
    if (f->fallback != NULL && f->fallback[0] != '\0' && f->type <= WEIR_CONFIG_TEXT &&
        json_object_set_new(schema, "default", default_value(f)) != 0) {
        json_decref(schema);
        return false;
    }
    if (f->required && json_array_append_new(required, json_string(f->key)) != 0) {
        json_decref(schema);
        return false;
    }
    return json_object_set_new(properties, f->key, schema) == 0;
}

static bool fields_add(struct builder *b, json_t *properties, json_t *required, const struct weir_config_section *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct weir_config_field *f = &s->fields[i];
        if (f->type == WEIR_CONFIG_INCLUDE ? !fields_add(b, properties, required, f->section)
                                           : !field_add(b, properties, required, f))
            return false;
    }
    return true;
}

static json_t *section_schema(struct builder *b, const struct weir_config_section *s)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    if (!fields_add(b, properties, required, s)) {
        json_decref(properties);
        json_decref(required);
        return NULL;
    }
    return json_pack("{s:s,s:b,s:o,s:o}", "type", "object", "additionalProperties", 0, "properties", properties,
                     "required", required);
}

static json_t *defs(void)
{
    return json_pack("{s:{s:s,s:s},s:{s:[{s:s,s:i},{s:s}]},s:{s:[{s:s,s:i},{s:s}]}}", "variable", "type", "string",
                     "pattern", "\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}", "duration", "anyOf", "type", "number", "minimum", 0,
                     "type", "string", "size", "anyOf", "type", "integer", "minimum", 0, "type", "string");
}

static json_t *root_schema(void)
{
    struct builder b = {.defs = defs()};
    json_t *root = section_schema(&b, &weir_config_root);
    json_t *overlay = section_schema(&b, &weir_config_root);
    json_t *properties = json_object_get(root, "properties");
    int failed = b.defs == NULL || overlay == NULL || properties == NULL;
    failed = failed || json_object_del(json_object_get(overlay, "properties"), "environment") != 0;
    for (size_t i = 0; !failed && weir_config_environments[i] != NULL; i++)
        failed |= json_object_set_new(properties, weir_config_environments[i], ref("overlay"));
    failed |= json_object_set(b.defs, "overlay", overlay);
    failed |= json_object_set_new(root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    failed |= json_object_set_new(root, "title", json_string("weir's configuration"));
    failed |= json_object_set(root, "$defs", b.defs);
    json_decref(overlay);
    json_decref(b.defs);
    if (failed == 0)
        return root;
    json_decref(root);
    return NULL;
}

static int append(const char *bytes, size_t len, void *out)
{
    weir_textbuf_add(out, bytes, len);
    return 0;
}

bool weir_config_print_schema(struct weir_textbuf *out)
{
    json_t *root = root_schema();
    bool ok = root != NULL && json_dump_callback(root, append, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) == 0;
    json_decref(root);
    weir_textbuf_char(out, '\n');
    return ok && !out->failed;
}
