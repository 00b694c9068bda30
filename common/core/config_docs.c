#include <stdio.h>
#include <string.h>

#include "core/config_output.h"
#include "core/config_schema.h"
#include "core/config_value.h"

static const char *type_words(const struct weir_config_field *f)
{
    switch (f->type) {
    case WEIR_CONFIG_BOOL:
        return "true or false";
    case WEIR_CONFIG_COUNT:
        return "whole number";
    case WEIR_CONFIG_NUMBER:
        return "number";
    case WEIR_CONFIG_DURATION:
        return "duration";
    case WEIR_CONFIG_BYTES:
    case WEIR_CONFIG_BYTES32:
        return "size";
    case WEIR_CONFIG_SECRET:
        return "secret";
    case WEIR_CONFIG_SECRET_FILE:
        return "file name";
    case WEIR_CONFIG_URL:
    case WEIR_CONFIG_BASE_URL:
    case WEIR_CONFIG_SECRET_URL:
        return "URL";
    case WEIR_CONFIG_TEXTS:
        return "list of words";
    case WEIR_CONFIG_STATUSES:
        return "list of status codes";
    case WEIR_CONFIG_NETS:
        return "list of networks";
    case WEIR_CONFIG_PAIRS:
        return "mapping of names to values";
    case WEIR_CONFIG_LISTENS:
        return "address:port, or a list";
    case WEIR_CONFIG_LIST:
        return "list of mappings";
    case WEIR_CONFIG_PROVIDERS:
    case WEIR_CONFIG_SECTION:
        return "mapping";
    default:
        return "text";
    }
}

static void print_type(struct weir_textbuf *out, const struct weir_config_field *f)
{
    char range[64];
    if (f->choices != NULL) {
        weir_textbuf_str(out, f->type == WEIR_CONFIG_TEXTS ? "list of " : "");
        for (size_t i = 0; f->choices[i] != NULL; i++)
            weir_textbuf_printf(out, "%s`%s`", i > 0 ? ", " : "", f->choices[i]);
        return;
    }
    weir_textbuf_str(out, type_words(f));
    weir_config_range_format(f, range, sizeof range);
    if (range[0] != '\0')
        weir_textbuf_printf(out, ", %s%s", range, f->type == WEIR_CONFIG_DURATION ? " s" : "");
}

static void print_default(struct weir_textbuf *out, const struct weir_config_field *f)
{
    if (f->alias_of != NULL)
        weir_textbuf_printf(out, "`%s`'s", f->alias_of);
    else if (f->required)
        weir_textbuf_str(out, "must be given");
    else if (f->derived != NULL)
        weir_textbuf_str(out, f->derived);
    else if (f->fallback != NULL && f->fallback[0] != '\0')
        weir_textbuf_printf(out, "`%s`", f->fallback);
    else
        weir_textbuf_str(out, f->section != NULL ? "" : "none");
}

static void print_row(struct weir_textbuf *out, const struct weir_config_field *f)
{
    weir_textbuf_printf(out, "| `%s` | ", f->key);
    print_type(out, f);
    weir_textbuf_str(out, " | ");
    print_default(out, f);
    weir_textbuf_printf(out, " | %s", f->doc);
    if (f->alias_of != NULL && strcmp(f->doc, "Basic form.") == 0)
        weir_textbuf_printf(out, " The same as `%s`.", f->alias_of);
    if (!weir_config_features[f->feature].built)
        weir_textbuf_str(out, weir_config_features[f->feature].refuse ? " **Refused in this build.**"
                                                                      : " *Without effect in this build.*");
    weir_textbuf_str(out, " |\n");
}

static void print_section(struct weir_textbuf *out, const struct weir_config_section *s, const char *path);

/* The table of a key's own mapping, below the one the key stands in. */
static void print_below(struct weir_textbuf *out, const struct weir_config_field *f, const char *path)
{
    char below[160];
    const char *suffix = f->type == WEIR_CONFIG_LIST ? "[]" : f->type == WEIR_CONFIG_PROVIDERS ? ".NAME" : "";
    snprintf(below, sizeof below, "%s%s%s%s", path, path[0] != '\0' ? "." : "", f->key, suffix);
    print_section(out, f->section, below);
}

static void print_section(struct weir_textbuf *out, const struct weir_config_section *s, const char *path)
{
    if (path[0] != '\0')
        weir_textbuf_printf(out, "\n## %s\n", path);
    weir_textbuf_printf(out, "\n%s\n\n| Key | Value | Default | What it does |\n|---|---|---|---|\n", s->doc);
    for (size_t i = 0; i < s->count; i++)
        if (s->fields[i].type != WEIR_CONFIG_INCLUDE)
            print_row(out, &s->fields[i]);
    for (size_t i = 0; i < s->count; i++) {
        const struct weir_config_field *f = &s->fields[i];
        if (f->section != NULL && f->type != WEIR_CONFIG_INCLUDE && f->alias_of == NULL)
            print_below(out, f, path);
    }
}

void weir_config_print_docs(struct weir_textbuf *out)
{
    weir_textbuf_str(
        out, "# Configuration\n\n"
             "<!-- Made by `weir-node --print-docs` from the schema table; edit that. -->\n\n"
             "One YAML file, given with `-c`. `weir-node --check -c FILE` reports everything that is wrong with it;\n"
             "`--print-config` shows what is in force and where each value came from; `--print-schema` prints a JSON\n"
             "Schema for editors.\n\n"
             "- **Durations** are seconds (`30`, `0.5`), or have a unit: `250ms`, `10s`, `5m`, `1h`.\n"
             "- **Sizes** are bytes, or have a unit: `16KB`, `64MB`, `1GB` (1 KB is 1024 bytes).\n"
             "- **`${NAME}`** anywhere in a value is that environment variable, which must be set; `$${` is a plain\n"
             "  `${`. Secrets may also be read from a file (`*_file`). Neither is ever shown or logged.\n"
             "- **Layers**: the file, then the overlay that `WEIR_ENV` or else `environment` names. Mappings merge,\n"
             "  lists replace. The basic form of a key (`max_connections`) and its advanced form\n"
             "  (`pool_limits.max_connections`) are the same key: a later layer wins whichever form it uses, and both\n"
             "  with different values in one layer are an error.\n"
             "- An unknown key, a wrong type, a value out of range and a repeated key are errors; all are reported in\n"
             "  one run, with file, line and key. Exit code 2.\n");
    print_section(out, &weir_config_root, "");
}
