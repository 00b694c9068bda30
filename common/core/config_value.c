#include "core/config_value.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    double factor;
};

static const struct unit duration_units[] = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {NULL, 0}};
static const struct unit bytes_units[] = {
    {"B", 1},         {"KB", 1024},         {"KiB", 1024},         {"MB", 1048576},
    {"MiB", 1048576}, {"GB", 1073741824.0}, {"GiB", 1073741824.0}, {NULL, 0}};
/* One more digit still fits into 64 bits; a longer number is none that somebody meant. */
#define MANTISSA_MAX UINT64_C(100000000000000000)

bool weir_config_type_is_scalar(enum weir_config_type type)
{
    return type <= WEIR_CONFIG_CHOICE;
}

static bool is_any_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasecmp(text, *words) == 0)
            return true;
    return false;
}

bool weir_config_text_is_false(const char *text)
{
    static const char *const words[] = {"false", "no", "off", NULL};
    return is_any_of(text, words);
}

static bool text_is_true(const char *text)
{
    static const char *const words[] = {"true", "yes", "on", NULL};
    return is_any_of(text, words);
}

/* Decimal digits with at most one point; the number's end, or NULL. By hand, because strtod takes hex, infinities and
 * the locale's comma too; one division of whole numbers keeps it exact. */
static const char *number_parse(const char *text, double *out)
{
    uint64_t mantissa = 0;
    double scale = 1;
    bool point = false, digit = false;
    const char *at = text;
    for (;; at++) {
        if (*at == '.' && !point) {
            point = true;
            digit = false; /* one must follow */
            continue;
        }
        if (*at < '0' || *at > '9')
            break;
        if (mantissa > MANTISSA_MAX)
            return NULL;
        mantissa = mantissa * 10 + (uint64_t)(*at - '0');
        scale *= point ? 10 : 1;
        digit = true;
    }
    if (!digit)
        return NULL;
    *out = (double)mantissa / scale;
    return at;
}

static bool unit_parse(const char *text, const struct unit *units, double *out)
{
    const char *end = number_parse(text, out);
    if (end == NULL)
        return false;
    if (*end == '\0')
        return true;
    while (*end == ' ')
        end++;
    for (; units->name != NULL; units++)
        if (strcasecmp(end, units->name) == 0) {
            *out *= units->factor;
            return true;
        }
    return false;
}

static const char *kind_of(const struct weir_config_field *f)
{
    switch (f->type) {
    case WEIR_CONFIG_BOOL:
        return "true or false";
    case WEIR_CONFIG_COUNT:
        return "a whole number";
    case WEIR_CONFIG_NUMBER:
        return "a number";
    case WEIR_CONFIG_DURATION:
        return "a duration (30 is seconds; 10s, 250ms, 5m)";
    default:
        return "a size (bytes; 16KB, 64MB)";
    }
}

static bool wrong_kind(const struct weir_config_field *f, const char *text, bool quoted, char *why)
{
    snprintf(why, WEIR_CONFIG_WHY_SIZE, "\"%.80s\"%s is not %s", text, quoted ? " in quotes" : "", kind_of(f));
    return false;
}

void weir_config_range_format(const struct weir_config_field *f, char *buf, size_t len)
{
    buf[0] = '\0';
    if (f->min != 0 || f->max != 0)
        snprintf(buf, len, "%.15g to %.15g", f->min, f->max);
}

static bool in_range(const struct weir_config_field *f, double value, const char *text, char *why)
{
    if ((f->min == 0 && f->max == 0) || (value >= f->min && value <= f->max))
        return true;
    char range[64];
    weir_config_range_format(f, range, sizeof range);
    const char *unit = f->type == WEIR_CONFIG_DURATION                                  ? " seconds"
                       : f->type == WEIR_CONFIG_BYTES || f->type == WEIR_CONFIG_BYTES32 ? " bytes"
                                                                                        : "";
    snprintf(why, WEIR_CONFIG_WHY_SIZE, "%.80s is out of range: %s%s", text, range, unit);
    return false;
}

static bool count_parse(const struct weir_config_field *f, const char *text, uint32_t *out, char *why)
{
    uint64_t value;
    if (!weir_str_to_u64(weir_str_of(text), &value)) {
        bool digits = text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
        return digits ? in_range(f, INFINITY, text, why) : wrong_kind(f, text, false, why);
    }
    if (!in_range(f, (double)value, text, why))
        return false;
    assert(value <= UINT32_MAX); /* every COUNT has a range, so the schema's test says */
    *out = (uint32_t)value;
    return true;
}

static bool choice_parse(const struct weir_config_field *f, const char *text, uint32_t *out, char *why)
{
    size_t used = 0;
    const char *nearest = NULL;
    char list[128] = "";
    for (uint32_t i = 0; f->choices[i] != NULL; i++) {
        if (strcmp(text, f->choices[i]) == 0) {
            *out = i;
            return true;
        }
        if (nearest == NULL || weir_config_distance(text, f->choices[i]) < weir_config_distance(text, nearest))
            nearest = f->choices[i];
        int n = snprintf(list + used, sizeof list - used, i == 0 ? "%s" : ", %s", f->choices[i]);
        used += n > 0 ? (size_t)n : 0;
        assert(used < sizeof list);
    }
    snprintf(why, WEIR_CONFIG_WHY_SIZE, "\"%.80s\" is none of %s; the nearest is \"%s\"", text, list, nearest);
    return false;
}

static bool bool_parse(const struct weir_config_field *f, const char *text, bool quoted, bool *out, char *why)
{
    if (quoted || (!text_is_true(text) && !weir_config_text_is_false(text)))
        return wrong_kind(f, text, quoted, why);
    *out = text_is_true(text);
    return true;
}

static bool unit_value_parse(const struct weir_config_field *f, const char *text, void *out, char *why)
{
    bool duration = f->type == WEIR_CONFIG_DURATION;
    double value;
    if (!unit_parse(text, duration ? duration_units : bytes_units, &value))
        return wrong_kind(f, text, false, why);
    if (!in_range(f, value, text, why))
        return false;
    /* What is above nothing stays above nothing. */
    uint64_t whole = (uint64_t)llround(duration ? value * 1000 : value);
    if (whole == 0 && value > 0)
        whole = 1;
    if (f->type == WEIR_CONFIG_BYTES32)
        *(uint32_t *)out = (uint32_t)whole;
    else
        *(uint64_t *)out = whole;
    return true;
}

bool weir_config_value_parse(const struct weir_config_field *f, const char *text, bool quoted, void *out,
                             char why[WEIR_CONFIG_WHY_SIZE])
{
    switch (f->type) {
    case WEIR_CONFIG_BOOL:
        return bool_parse(f, text, quoted, out, why);
    case WEIR_CONFIG_COUNT:
        return quoted ? wrong_kind(f, text, quoted, why) : count_parse(f, text, out, why);
    case WEIR_CONFIG_NUMBER: {
        double value;
        const char *end = quoted ? NULL : number_parse(text, &value);
        if (end == NULL || *end != '\0')
            return wrong_kind(f, text, quoted, why);
        if (!in_range(f, value, text, why))
            return false;
        *(double *)out = value;
        return true;
    }
    case WEIR_CONFIG_DURATION:
    case WEIR_CONFIG_BYTES:
    case WEIR_CONFIG_BYTES32:
        return unit_value_parse(f, text, out, why);
    default:
        assert(f->type == WEIR_CONFIG_CHOICE);
        return choice_parse(f, text, out, why);
    }
}

bool weir_config_status_parse(const struct weir_config_field *f, const char *text, uint32_t *out,
                              char why[WEIR_CONFIG_WHY_SIZE])
{
    const struct weir_config_field code = {.type = WEIR_CONFIG_COUNT, .min = f->min, .max = f->max};
    return count_parse(&code, text, out, why);
}

static void bytes_format(uint64_t value, char *buf, size_t len)
{
    if (value >= 1048576 && value % 1048576 == 0)
        snprintf(buf, len, "%lluMB", (unsigned long long)(value / 1048576));
    else if (value >= 1024 && value % 1024 == 0)
        snprintf(buf, len, "%lluKB", (unsigned long long)(value / 1024));
    else
        snprintf(buf, len, "%llu", (unsigned long long)value);
}

static void duration_format(uint64_t ms, char *buf, size_t len)
{
    if (ms % 1000 == 0)
        snprintf(buf, len, "%llu", (unsigned long long)(ms / 1000));
    else
        snprintf(buf, len, "%llums", (unsigned long long)ms);
}

void weir_config_value_format(const struct weir_config_field *f, const void *value, char *buf, size_t len)
{
    switch (f->type) {
    case WEIR_CONFIG_BOOL:
        snprintf(buf, len, "%s", *(const bool *)value ? "true" : "false");
        return;
    case WEIR_CONFIG_COUNT:
        snprintf(buf, len, "%u", *(const uint32_t *)value);
        return;
    case WEIR_CONFIG_NUMBER:
        snprintf(buf, len, "%.15g", *(const double *)value);
        return;
    case WEIR_CONFIG_DURATION:
        duration_format(*(const uint64_t *)value, buf, len);
        return;
    case WEIR_CONFIG_BYTES:
        bytes_format(*(const uint64_t *)value, buf, len);
        return;
    case WEIR_CONFIG_BYTES32:
        bytes_format(*(const uint32_t *)value, buf, len);
        return;
    default:
        assert(f->type == WEIR_CONFIG_CHOICE);
        snprintf(buf, len, "%s", f->choices[*(const uint32_t *)value]);
    }
}
