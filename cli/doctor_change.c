#include "cli/doctor_change.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/show.h"
#include "cli/yaml.h"

/* Of all lines for a provider, and of a value that is held. */
#define LINES_BYTES_MAX ((size_t)4096)
#define HELD_BYTES_MAX  256
/* Enough digits for every count, without a tail for what is no whole number of them. */
#define SHOWN "%.10g"

void ctl_change_begin(struct ctl_change *c, const char *provider, const json_t *settings)
{
    struct weir_textbuf key;
    *c = (struct ctl_change){.settings = settings, .held = json_array()};
    weir_textbuf_init(&c->lines, LINES_BYTES_MAX);
    /* One that is too long for a name is left for the reader to fill in. */
    weir_textbuf_init(&key, CTL_KEY_BYTES_MAX - 1);
    ctl_yaml_string(&key, provider, strlen(provider));
    snprintf(c->provider, sizeof c->provider, "%.*s", key.failed ? 8 : (int)key.len, key.failed ? "PROVIDER" : key.ptr);
    weir_textbuf_close(&key);
}

void ctl_change_section(struct ctl_change *c, const char *section)
{
    c->section = section;
    c->in_section = false;
}

/* The value in force by the configuration; NULL: not told. */
static const json_t *setting(const struct ctl_change *c, const char *key)
{
    return json_object_get(json_object_get(c->settings, c->section), key);
}

/* Begins a line, with what has to stand above it. */
static void begin_line(struct ctl_change *c, const char *key)
{
    if (c->lines.len == 0)
        weir_textbuf_printf(&c->lines, "providers:\n  %s:\n", c->provider);
    if (!c->in_section)
        weir_textbuf_printf(&c->lines, "    %s:\n", c->section);
    c->in_section = true;
    weir_textbuf_printf(&c->lines, "      %s: ", key);
}

static void hold(struct ctl_change *c, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void hold(struct ctl_change *c, const char *key, const char *fmt, ...)
{
    char value[HELD_BYTES_MAX], text[2 * HELD_BYTES_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    snprintf(text, sizeof text, "%s.%s: %s", c->section, key, value);
    json_array_append_new(c->held, json_string(text));
}

/* unit: what a value is told in, and scale how many of the settings' it is. */
static void change_number(struct ctl_change *c, const char *key, enum ctl_bound bound, double wanted, double told,
                          const char *unit, double scale)
{
    double now;
    bool known = ctl_number(json_object_get(c->settings, c->section), key, &now);
    now /= scale;
    if (known && (bound == CTL_AT_LEAST ? now >= wanted : now <= wanted)) {
        hold(c, key, SHOWN "%s", now, unit);
        return;
    }
    begin_line(c, key);
    weir_textbuf_printf(&c->lines, SHOWN "%s", wanted, unit);
    if (known)
        weir_textbuf_printf(&c->lines, " # " SHOWN "%s now", now, unit);
    else if (told >= 0)
        weir_textbuf_printf(&c->lines, " # about " SHOWN "%s now", told, unit);
    weir_textbuf_char(&c->lines, '\n');
}

void ctl_change_number(struct ctl_change *c, const char *key, enum ctl_bound bound, double wanted, double told)
{
    change_number(c, key, bound, wanted, told, "", 1);
}

void ctl_change_kilobytes(struct ctl_change *c, const char *key, enum ctl_bound bound, double wanted)
{
    change_number(c, key, bound, wanted, -1, "KB", 1024);
}

void ctl_change_on(struct ctl_change *c, const char *key)
{
    if (json_is_true(setting(c, key))) {
        hold(c, key, "true");
        return;
    }
    begin_line(c, key);
    weir_textbuf_str(&c->lines, "true\n");
}

static bool has(const json_t *list, int code)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == code)
            return true;
    return false;
}

static void add_code(struct weir_textbuf *list, json_int_t code)
{
    weir_textbuf_printf(list, "%s%lld", list->len > 0 ? ", " : "", (long long)code);
}

void ctl_change_codes(struct ctl_change *c, const char *key, const int *codes, size_t count)
{
    const json_t *now = setting(c, key);
    struct weir_textbuf list;
    size_t missing = 0;
    weir_textbuf_init(&list, LINES_BYTES_MAX);
    for (size_t i = 0; i < json_array_size(now); i++)
        add_code(&list, json_integer_value(json_array_get(now, i)));
    for (size_t i = 0; i < count; i++)
        if (!has(now, codes[i])) {
            add_code(&list, codes[i]);
            missing++;
        }
    if (missing == 0) {
        hold(c, key, "[%.*s]", (int)list.len, list.len > 0 ? list.ptr : "");
    } else {
        begin_line(c, key);
        weir_textbuf_printf(&c->lines, "[%.*s]\n", (int)list.len, list.len > 0 ? list.ptr : "");
    }
    c->lines.failed = c->lines.failed || list.failed;
    weir_textbuf_close(&list);
}

bool ctl_change_end(struct ctl_change *c, json_t *finding)
{
    bool left = c->lines.len > 0 && !c->lines.failed;
    json_object_set_new(finding, "change", json_stringn(left ? c->lines.ptr : "", left ? c->lines.len : 0));
    json_object_set_new(finding, "held", c->held);
    weir_textbuf_close(&c->lines);
    return left;
}
