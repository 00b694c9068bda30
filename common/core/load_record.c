#include "core/load_record.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* "provider ", the longest name, and each field with its name, the longest number, '=' and a space. */
#define LINE_MAX_BYTES 1024u

struct field {
    const char *name;
    size_t at;
};

static const struct field point_fields[] = {
#define FIELD(name) {#name, offsetof(struct weir_load_point, name)},
    WEIR_LOAD_POINT_MAP(FIELD)
#undef FIELD
};

static const struct field head_fields[] = {
    {"slot", offsetof(struct weir_load_record, slot)},
    {"nodes", offsetof(struct weir_load_record, nodes)},
    {"in_flight_peak", offsetof(struct weir_load_record, in_flight_peak)},
    {"utilization_pct", offsetof(struct weir_load_record, utilization_pct)},
    {"loop_lag_us", offsetof(struct weir_load_record, loop_lag_us)},
    {"slots", offsetof(struct weir_load_record, slots)},
    {"safe_concurrency", offsetof(struct weir_load_record, safe_concurrency)},
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

void weir_load_point_init(struct weir_load_point *p)
{
    *p = (struct weir_load_point){.tokens_in = WEIR_LOAD_ABSENT, .tokens_out = WEIR_LOAD_ABSENT};
}

struct weir_load_item *weir_load_record_item(struct weir_load_record *r, struct weir_str provider)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (weir_str_eq(weir_str_of(r->items[i].provider), provider))
            return &r->items[i];
    if (r->count == WEIR_LOAD_PROVIDERS_MAX || provider.len > WEIR_PROVIDER_NAME_MAX)
        return NULL;
    struct weir_load_item *item = &r->items[r->count++];
    memset(item, 0, sizeof *item);
    memcpy(item->provider, provider.ptr, provider.len);
    weir_load_point_init(&item->point);
    return item;
}

const struct weir_load_point *weir_load_record_find(const struct weir_load_record *r, const char *provider)
{
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->items[i].provider, provider) == 0)
            return &r->items[i].point;
    return NULL;
}

double weir_load_record_requests(const struct weir_load_record *r)
{
    double sum = 0;
    for (uint32_t i = 0; i < r->count; i++)
        sum += (double)r->items[i].point.requests;
    return sum;
}

double weir_load_record_in_flight(const struct weir_load_record *r)
{
    double sum = 0;
    for (uint32_t i = 0; i < r->count; i++)
        sum += (double)r->items[i].point.in_flight_peak;
    return r->in_flight_peak > 0 ? fmin(sum, (double)r->in_flight_peak) : sum;
}

/* -- printing -- */

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

static void add(struct line *l, const char *before, const char *text)
{
    int n = snprintf(l->text + l->len, sizeof l->text - l->len, "%s%s", before, text);
    l->len += n > 0 ? (size_t)n : 0;
}

static void add_fields(struct line *l, const struct field *fields, size_t count, const void *from)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t v;
        memcpy(&v, (const char *)from + fields[i].at, sizeof v);
        if (v == 0 || v == WEIR_LOAD_ABSENT)
            continue;
        char number[24];
        (void)snprintf(number, sizeof number, "=%llu",
                       (unsigned long long)(v < WEIR_LOAD_NUMBER_MAX ? v : WEIR_LOAD_NUMBER_MAX));
        add(l, " ", fields[i].name);
        add(l, number, "");
    }
}

uint32_t weir_load_record_print(struct weir_textbuf *out, const struct weir_load_record *r)
{
    struct line head = {.len = 0};
    add(&head, "weir-load 1", "");
    if (r->node[0] != '\0')
        add(&head, " node=", r->node);
    add_fields(&head, head_fields, COUNT(head_fields), r);
    weir_textbuf_add(out, head.text, head.len);
    weir_textbuf_char(out, '\n');
    size_t used = head.len + 1;
    for (uint32_t i = 0; i < r->count; i++) {
        struct line l = {.len = 0};
        add(&l, "provider ", r->items[i].provider);
        add_fields(&l, point_fields, COUNT(point_fields), &r->items[i].point);
        used += l.len + 1;
        if (used > WEIR_LOAD_RECORD_TEXT_MAX)
            return i;
        weir_textbuf_add(out, l.text, l.len);
        weir_textbuf_char(out, '\n');
    }
    return r->count;
}

/* -- parsing -- */

struct reader {
    struct weir_str left;
    unsigned line; /* of the last one taken */
    struct weir_err *err;
};

static int refuse(const struct reader *r, const char *why)
{
    return weir_err_set(r->err, WEIR_EPROTO, "load record, line %u: %s", r->line, why);
}

static bool next_line(struct reader *r, struct weir_str *line)
{
    const char *end = r->left.len > 0 ? memchr(r->left.ptr, '\n', r->left.len) : NULL;
    if (end == NULL)
        return false;
    *line = (struct weir_str){r->left.ptr, (size_t)(end - r->left.ptr)};
    r->left = (struct weir_str){end + 1, r->left.len - line->len - 1};
    r->line++;
    return true;
}

/* Takes what is before the next space, and that. */
static struct weir_str next_word(struct weir_str *line)
{
    const char *space = line->len > 0 ? memchr(line->ptr, ' ', line->len) : NULL;
    struct weir_str word = {line->ptr, space != NULL ? (size_t)(space - line->ptr) : line->len};
    size_t taken = word.len + (space != NULL ? 1 : 0);
    *line = (struct weir_str){line->ptr + taken, line->len - taken};
    return word;
}

/* What follows "name=" in the word. */
static bool value_of(struct weir_str word, const char *name, struct weir_str *value)
{
    size_t len = strlen(name);
    if (word.len <= len || memcmp(word.ptr, name, len) != 0 || word.ptr[len] != '=')
        return false;
    *value = (struct weir_str){word.ptr + len + 1, word.len - len - 1};
    return true;
}

/* False: a known field without a number, or with one too large. */
static bool take_field(struct weir_str word, const struct field *fields, size_t count, void *into)
{
    for (size_t i = 0; i < count; i++) {
        struct weir_str value;
        uint64_t v;
        if (!value_of(word, fields[i].name, &value))
            continue;
        if (!weir_str_to_u64(value, &v) || v > WEIR_LOAD_NUMBER_MAX)
            return false;
        memcpy((char *)into + fields[i].at, &v, sizeof v);
        return true;
    }
    return true;
}

static int parse_head(struct reader *r, struct weir_load_record *record)
{
    struct weir_str line, id;
    if (!next_line(r, &line) || !weir_str_eq(next_word(&line), WEIR_STR("weir-load")) ||
        !weir_str_eq(next_word(&line), WEIR_STR("1")))
        return refuse(r, "not a load record of version 1");
    while (line.len > 0) {
        struct weir_str word = next_word(&line);
        if (value_of(word, "node", &id)) {
            if (!weir_coord_id_valid(id))
                return refuse(r, "not a node's id");
            memset(record->node, 0, sizeof record->node);
            memcpy(record->node, id.ptr, id.len);
        } else if (!take_field(word, head_fields, COUNT(head_fields), record)) {
            return refuse(r, "not a number");
        }
    }
    return WEIR_OK;
}

static int parse_provider(struct reader *r, struct weir_load_record *record)
{
    struct weir_str line;
    if (!next_line(r, &line) || !weir_str_eq(next_word(&line), WEIR_STR("provider")))
        return refuse(r, "then not a provider's line");
    struct weir_str name = next_word(&line);
    if (!weir_coord_id_valid(name) || name.len > WEIR_PROVIDER_NAME_MAX)
        return refuse(r, "not a provider's name");
    if (record->count == WEIR_LOAD_PROVIDERS_MAX)
        return refuse(r, "too many providers");
    uint32_t before = record->count;
    struct weir_load_item *item = weir_load_record_item(record, name);
    if (record->count == before)
        return refuse(r, "a provider that was told already");
    while (line.len > 0)
        if (!take_field(next_word(&line), point_fields, COUNT(point_fields), &item->point))
            return refuse(r, "not a number");
    return WEIR_OK;
}

int weir_load_record_parse(struct weir_load_record *r, struct weir_str text, struct weir_err *err)
{
    struct reader in = {.left = text, .err = err};
    memset(r, 0, offsetof(struct weir_load_record, items));
    if (text.len > WEIR_LOAD_RECORD_TEXT_MAX)
        return refuse(&in, "too long");
    int code = parse_head(&in, r);
    while (code == WEIR_OK && in.left.len > 0)
        code = parse_provider(&in, r);
    return code;
}
