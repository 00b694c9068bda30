#include <stdlib.h>
#include <string.h>

#include "core/shard_map.h"

/* -- printing -- */

/* shards: ascending numbers of one node. */
static void print_shards(struct weir_textbuf *out, const uint16_t *shards, uint32_t count)
{
    if (count == 0)
        weir_textbuf_char(out, '-');
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first = i;
        while (i + 1 < count && shards[i + 1] == shards[i] + 1)
            i++;
        if (first > 0)
            weir_textbuf_char(out, ',');
        weir_textbuf_u64(out, shards[first]);
        if (i > first) {
            weir_textbuf_char(out, '-');
            weir_textbuf_u64(out, shards[i]);
        }
    }
}

static void print_nodes(struct weir_textbuf *out, const struct weir_shard_map *m, uint16_t *sorted)
{
    uint32_t at[WEIR_CLUSTER_NODES_MAX], begin = 0;
    for (uint32_t i = 0; i < m->node_count; i++) {
        at[i] = begin;
        begin += m->nodes[i].shard_count;
    }
    for (uint32_t s = 0; s < m->shard_count; s++)
        sorted[at[m->owner[s]]++] = (uint16_t)s;
    for (uint32_t i = 0; i < m->node_count; i++) {
        const struct weir_shard_node *n = &m->nodes[i];
        weir_textbuf_printf(out, "node %s %u ", n->id, n->weight);
        print_shards(out, sorted + at[i] - n->shard_count, n->shard_count);
        weir_textbuf_char(out, '\n');
    }
}

void weir_shard_map_print(struct weir_textbuf *out, const struct weir_shard_map *m)
{
    uint16_t *sorted = malloc(m->shard_count * sizeof *sorted);
    if (sorted == NULL) {
        out->failed = true;
        return;
    }
    weir_textbuf_str(out, "weir-shard-map 1\nepoch ");
    weir_textbuf_u64(out, m->epoch);
    if (m->leader[0] != '\0') {
        weir_textbuf_str(out, "\nleader ");
        weir_textbuf_str(out, m->leader);
    }
    weir_textbuf_str(out, "\nshards ");
    weir_textbuf_u64(out, m->shard_count);
    weir_textbuf_str(out, "\nnodes ");
    weir_textbuf_u64(out, m->node_count);
    weir_textbuf_char(out, '\n');
    print_nodes(out, m, sorted);
    free(sorted);
}

/* -- parsing -- */

struct reader {
    struct weir_str left;
    unsigned line; /* of the last one taken */
    struct weir_err *err;
};

static int refuse(const struct reader *r, const char *why)
{
    return weir_err_set(r->err, WEIR_EPROTO, "shard map, line %u: %s", r->line, why);
}

/* Takes a line that begins with the word and a space, and gives what follows. False: nothing is taken. */
static bool line_of(struct reader *r, struct weir_str word, struct weir_str *rest)
{
    const char *end = r->left.len > 0 ? memchr(r->left.ptr, '\n', r->left.len) : NULL;
    if (end == NULL)
        return false;
    struct weir_str line = {r->left.ptr, (size_t)(end - r->left.ptr)};
    if (!weir_str_starts(line, word) || line.len == word.len || line.ptr[word.len] != ' ')
        return false;
    *rest = (struct weir_str){line.ptr + word.len + 1, line.len - word.len - 1};
    r->left = (struct weir_str){end + 1, r->left.len - line.len - 1};
    r->line++;
    return true;
}

static bool take_char(struct weir_str *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = (struct weir_str){text->ptr + 1, text->len - 1};
    return true;
}

/* Digits as weir_textbuf_u64 writes them: no zero in front. */
static bool take_number(struct weir_str *text, uint64_t max, uint64_t *out)
{
    struct weir_str digits = {text->ptr, 0};
    while (digits.len < text->len && text->ptr[digits.len] >= '0' && text->ptr[digits.len] <= '9')
        digits.len++;
    if (digits.len == 0 || (digits.len > 1 && digits.ptr[0] == '0'))
        return false;
    *text = (struct weir_str){text->ptr + digits.len, text->len - digits.len};
    return weir_str_to_u64(digits, out) && *out <= max;
}

static bool number_line(struct reader *r, struct weir_str word, uint64_t min, uint64_t max, uint64_t *out)
{
    struct weir_str rest;
    return line_of(r, word, &rest) && take_number(&rest, max, out) && rest.len == 0 && *out >= min;
}

/* One node's ranges. NULL, or what is wrong with them. */
static const char *parse_shards(struct weir_shard_map *m, uint16_t node, struct weir_str text)
{
    if (weir_str_eq(text, WEIR_STR("-")))
        return NULL;
    uint64_t first, last, low = 0;
    for (;; low = last + 2) { /* ranges that touch are one */
        if (!take_number(&text, m->shard_count - 1, &first) || first < low)
            return "not a list of shards in ascending order";
        last = first;
        if (take_char(&text, '-') && (!take_number(&text, m->shard_count - 1, &last) || last <= first))
            return "not a range of shards";
        for (uint64_t s = first; s <= last; s++) {
            if (m->owner[s] != WEIR_NODE_NOBODY)
                return "a shard that has an owner already";
            m->owner[s] = node;
        }
        m->nodes[node].shard_count += (uint32_t)(last - first + 1);
        if (text.len == 0)
            return NULL;
        if (!take_char(&text, ','))
            return "not a list of shards";
    }
}

static int parse_node(struct reader *r, struct weir_shard_map *m, uint16_t node)
{
    struct weir_str rest;
    uint64_t weight;
    if (!line_of(r, WEIR_STR("node"), &rest))
        return refuse(r, "then not a node's line");
    const char *space = memchr(rest.ptr, ' ', rest.len);
    struct weir_str id = {rest.ptr, space != NULL ? (size_t)(space - rest.ptr) : 0};
    if (!weir_coord_id_valid(id))
        return refuse(r, "not a node's id");
    rest = (struct weir_str){id.ptr + id.len, rest.len - id.len};
    if (!take_char(&rest, ' ') || !take_number(&rest, WEIR_RENDEZVOUS_WEIGHT_MAX, &weight) || weight == 0 ||
        !take_char(&rest, ' '))
        return refuse(r, "not a weight");
    weir_shard_map_node_set(m, node, id, (uint32_t)weight);
    if (node > 0 && strcmp(m->nodes[node - 1].id, m->nodes[node].id) >= 0)
        return refuse(r, "nodes are not in ascending order");
    const char *why = parse_shards(m, node, rest);
    return why == NULL ? WEIR_OK : refuse(r, why);
}

static int parse_nodes(struct reader *r, struct weir_shard_map *m)
{
    memset(m->owner, 0xff, m->shard_count * sizeof *m->owner); /* WEIR_NODE_NOBODY */
    uint32_t owned = 0;
    for (uint32_t i = 0; i < m->node_count; i++) {
        int code = parse_node(r, m, (uint16_t)i);
        if (code != WEIR_OK)
            return code;
        owned += m->nodes[i].shard_count;
    }
    if (r->left.len > 0)
        return refuse(r, "then more than the nodes");
    if (owned != m->shard_count)
        return refuse(r, "not every shard has an owner");
    return WEIR_OK;
}

int weir_shard_map_parse(struct weir_shard_map **out, struct weir_str text, struct weir_err *err)
{
    struct reader r = {.left = text, .err = err};
    uint64_t version, epoch, shards, nodes;
    struct weir_str leader = {NULL, 0};
    *out = NULL;
    if (text.len > WEIR_SHARD_MAP_TEXT_MAX)
        return refuse(&r, "too long");
    if (!number_line(&r, WEIR_STR("weir-shard-map"), 1, 1, &version))
        return refuse(&r, "not a shard map of version 1");
    if (!number_line(&r, WEIR_STR("epoch"), 0, UINT64_MAX, &epoch))
        return refuse(&r, "then not an epoch");
    if (line_of(&r, WEIR_STR("leader"), &leader) && !weir_coord_id_valid(leader))
        return refuse(&r, "not a leader's id");
    if (!number_line(&r, WEIR_STR("shards"), 1, WEIR_SHARDS_MAX, &shards))
        return refuse(&r, "then not a count of shards");
    if (!number_line(&r, WEIR_STR("nodes"), 1, WEIR_CLUSTER_NODES_MAX, &nodes))
        return refuse(&r, "then not a count of nodes");
    struct weir_shard_map *m = weir_shard_map_new((uint32_t)shards, (uint32_t)nodes);
    if (m == NULL)
        return weir_err_set(err, WEIR_ENOMEM, "shard map: %s", weir_err_text(WEIR_ENOMEM));
    m->epoch = epoch;
    if (leader.len > 0)
        memcpy(m->leader, leader.ptr, leader.len);
    int code = parse_nodes(&r, m);
    if (code != WEIR_OK)
        weir_shard_map_free(&m);
    *out = m;
    return code;
}
