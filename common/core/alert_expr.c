#include "core/alert_expr.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* -- tokens -- */

enum token_type {
    T_END,
    T_NUMBER,
    T_NAME,
    T_OPEN,
    T_CLOSE,
    T_PLUS,
    T_MINUS,
    T_TIMES,
    T_DIVIDE,
    T_GT,
    T_GE,
    T_LT,
    T_LE,
    T_EQ,
    T_NE,
    T_AND,
    T_OR,
    T_NOT,
    T_WRONG /* the error has been said */
};

struct token {
    enum token_type type;
    uint32_t at; /* offset */
    uint32_t len;
    double number;
};

struct parser {
    const char *text;
    uint32_t len, at; /* at: behind the token */
    struct token token;
    unsigned depth;
    struct weir_alert_expr *out;
    struct weir_alert_expr_error *error;
    void *arg;
    weir_alert_expr_resolve_fn *resolve;
};

/* What an expression yields; NONE: it failed, and the error has been said. */
enum kind { NONE, NUMBER, TRUTH };

static enum kind fail(struct parser *p, uint32_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static enum kind fail(struct parser *p, uint32_t at, const char *fmt, ...)
{
    va_list ap;
    if (p->token.type == T_WRONG) /* the first one is the cause */
        return NONE;
    p->error->column = at + 1;
    va_start(ap, fmt);
    vsnprintf(p->error->sentence, sizeof p->error->sentence, fmt, ap);
    va_end(ap);
    p->token.type = T_WRONG;
    return NONE;
}

static char peek(const struct parser *p, uint32_t at)
{
    return at < p->len ? p->text[at] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    c = weir_lower(c);
    return (c >= 'a' && c <= 'z') || c == '_';
}

/* A power of ten; the exponent is bounded, so this ends. */
static double scale(double v, int exponent)
{
    for (; exponent > 0; exponent--)
        v *= 10;
    double divisor = 1;
    for (; exponent < 0 && exponent >= -300; exponent++)
        divisor *= 10;
    return v / divisor;
}

/* By hand, because strtod goes by the locale and takes more forms than these. A division by an exact power of ten makes
 * 0.05 the double that the compiler makes of it; beyond 17 digits the last bit may differ. */
static void lex_number(struct parser *p)
{
    double v = 0;
    int exponent = 0, written = 0;
    bool digits = false, point = false, minus = false;
    uint32_t start = p->at;
    for (;; p->at++) {
        char c = peek(p, p->at);
        if (c == '.' && !point) {
            point = true;
        } else if (is_digit(c)) {
            v = v * 10 + (c - '0');
            exponent -= point;
            digits = true;
        } else {
            break;
        }
    }
    if (digits && weir_lower(peek(p, p->at)) == 'e') {
        p->at++;
        minus = peek(p, p->at) == '-';
        p->at += minus || peek(p, p->at) == '+';
        digits = is_digit(peek(p, p->at));
        for (; is_digit(peek(p, p->at)); p->at++)
            written = written < 1000 ? written * 10 + (peek(p, p->at) - '0') : written;
    }
    char next = peek(p, p->at);
    v = scale(v, exponent + (minus ? -written : written));
    if (!digits || next == '.' || is_letter(next) || is_digit(next))
        fail(p, start, "not a number: digits with at most one point, and an exponent");
    else if (!isfinite(v))
        fail(p, start, "the number is too large");
    else
        p->token = (struct token){.type = T_NUMBER, .at = start, .len = p->at - start, .number = v};
}

static void lex_word(struct parser *p)
{
    static const struct {
        struct weir_str word;
        enum token_type type;
    } words[] = {{{"and", 3}, T_AND}, {{"or", 2}, T_OR}, {{"not", 3}, T_NOT}};
    uint32_t start = p->at;
    while (is_letter(peek(p, p->at)) || is_digit(peek(p, p->at)))
        p->at++;
    p->token = (struct token){.type = T_NAME, .at = start, .len = p->at - start};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (weir_str_eq_nocase((struct weir_str){p->text + start, p->at - start}, words[i].word))
            p->token.type = words[i].type;
}

static void lex_sign(struct parser *p)
{
    /* Longer ones first. */
    static const struct {
        char text[3];
        enum token_type type;
    } signs[] = {{">=", T_GE},   {"<=", T_LE},  {"==", T_EQ},   {"!=", T_NE},   {"&&", T_AND},
                 {"||", T_OR},   {">", T_GT},   {"<", T_LT},    {"!", T_NOT},   {"(", T_OPEN},
                 {")", T_CLOSE}, {"+", T_PLUS}, {"-", T_MINUS}, {"*", T_TIMES}, {"/", T_DIVIDE}};
    char c = peek(p, p->at), next = peek(p, p->at + 1);
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        const char *s = signs[i].text;
        if (s[0] != c || (s[1] != '\0' && s[1] != next))
            continue;
        uint32_t len = s[1] != '\0' ? 2 : 1;
        p->token = (struct token){.type = signs[i].type, .at = p->at, .len = len};
        p->at += len;
        return;
    }
    if (c == '=' || c == '&' || c == '|')
        fail(p, p->at, "\"%c\" stands for nothing: write \"%c%c\"", c, c, c);
    else if (c > ' ' && c < 0x7f)
        fail(p, p->at, "\"%c\" has no place in a condition", c);
    else
        fail(p, p->at, "a byte that has no place in a condition");
}

static void lex(struct parser *p)
{
    if (p->token.type == T_WRONG)
        return;
    while (peek(p, p->at) == ' ' || peek(p, p->at) == '\t' || peek(p, p->at) == '\n' || peek(p, p->at) == '\r')
        p->at++;
    char c = peek(p, p->at);
    if (p->at == p->len)
        p->token = (struct token){.type = T_END, .at = p->at};
    else if (is_digit(c) || c == '.')
        lex_number(p);
    else if (is_letter(c))
        lex_word(p);
    else
        lex_sign(p);
}

/* -- grammar -- */

/* Node operations are the tokens' own types, and the unary minus. */
enum { OP_NEGATE = T_WRONG };

static enum kind emit(struct parser *p, const struct token *t, uint8_t op, uint32_t id, enum kind kind)
{
    if (p->out->count >= WEIR_ALERT_EXPR_NODES_MAX)
        return fail(p, t->at, "too long: more than %u names, numbers and signs", WEIR_ALERT_EXPR_NODES_MAX);
    p->out->nodes[p->out->count++] = (struct weir_alert_expr_node){.op = op, .id = id, .number = t->number};
    return kind;
}

static enum kind expected(struct parser *p, const char *what)
{
    const struct token *t = &p->token;
    if (t->type == T_WRONG)
        return NONE;
    if (t->type == T_END)
        return fail(p, t->at, "ends where %s is wanted", what);
    return fail(p, t->at, "\"%.*s\" where %s is wanted", (int)(t->len < 64 ? t->len : 64), p->text + t->at, what);
}

/* An operand of the wrong kind; its text starts at that offset. */
static enum kind want(struct parser *p, enum kind got, enum kind wanted, uint32_t at)
{
    if (got == NONE || got == wanted)
        return got;
    return fail(p, at,
                wanted == TRUTH ? "a number where a comparison is wanted" : "a comparison where a number is wanted");
}

static bool descend(struct parser *p)
{
    if (p->depth < WEIR_ALERT_EXPR_DEPTH_MAX) {
        p->depth++;
        return true;
    }
    fail(p, p->token.at, "nested more than %u deep", WEIR_ALERT_EXPR_DEPTH_MAX);
    return false;
}

static enum kind parse_or(struct parser *p);

static enum kind parse_name(struct parser *p)
{
    struct token t = p->token;
    struct weir_str name = {p->text + t.at, t.len};
    int id = p->resolve(p->arg, name);
    if (id < 0) {
        p->error->unknown = name;
        return fail(p, t.at, "unknown name \"%.*s\"", (int)(t.len < 64 ? t.len : 64), name.ptr);
    }
    lex(p);
    return emit(p, &t, T_NAME, (uint32_t)id, NUMBER);
}

static enum kind parse_primary(struct parser *p)
{
    struct token t = p->token;
    if (t.type == T_NAME)
        return parse_name(p);
    if (t.type == T_NUMBER) {
        lex(p);
        return emit(p, &t, T_NUMBER, 0, NUMBER);
    }
    if (t.type != T_OPEN)
        return expected(p, "a name, a number or \"(\"");
    if (!descend(p))
        return NONE;
    lex(p);
    enum kind k = parse_or(p);
    p->depth--;
    if (k != NONE && p->token.type != T_CLOSE)
        return expected(p, "\")\"");
    lex(p);
    return k;
}

static enum kind parse_unary(struct parser *p)
{
    struct token t = p->token;
    if (t.type != T_MINUS)
        return parse_primary(p);
    if (!descend(p))
        return NONE;
    lex(p);
    uint32_t at = p->token.at;
    enum kind k = want(p, parse_unary(p), NUMBER, at);
    p->depth--;
    return k == NONE ? NONE : emit(p, &t, OP_NEGATE, 0, NUMBER);
}

struct level {
    enum token_type first, last; /* the operators */
    enum kind operand, result;
    enum kind (*tighter)(struct parser *p);
    bool once; /* does not chain */
};

static enum kind parse_level(struct parser *p, const struct level *l)
{
    uint32_t at = p->token.at;
    enum kind k = l->tighter(p);
    for (unsigned n = 0; k != NONE && p->token.type >= l->first && p->token.type <= l->last; n++) {
        struct token t = p->token;
        if (l->once && n > 0)
            return fail(p, t.at, "comparisons do not chain: write a < b and b < c");
        if (want(p, k, l->operand, at) == NONE)
            return NONE;
        lex(p);
        at = p->token.at;
        k = want(p, l->tighter(p), l->operand, at);
        if (k != NONE)
            k = emit(p, &t, (uint8_t)t.type, 0, l->result);
    }
    return k;
}

static enum kind parse_product(struct parser *p)
{
    return parse_level(p, &(struct level){T_TIMES, T_DIVIDE, NUMBER, NUMBER, parse_unary, false});
}

static enum kind parse_sum(struct parser *p)
{
    return parse_level(p, &(struct level){T_PLUS, T_MINUS, NUMBER, NUMBER, parse_product, false});
}

static enum kind parse_comparison(struct parser *p)
{
    return parse_level(p, &(struct level){T_GT, T_NE, NUMBER, TRUTH, parse_sum, true});
}

static enum kind parse_not(struct parser *p)
{
    struct token t = p->token;
    if (t.type != T_NOT)
        return parse_comparison(p);
    if (!descend(p))
        return NONE;
    lex(p);
    uint32_t at = p->token.at;
    enum kind k = want(p, parse_not(p), TRUTH, at);
    p->depth--;
    return k == NONE ? NONE : emit(p, &t, T_NOT, 0, TRUTH);
}

static enum kind parse_and(struct parser *p)
{
    return parse_level(p, &(struct level){T_AND, T_AND, TRUTH, TRUTH, parse_not, false});
}

static enum kind parse_or(struct parser *p)
{
    return parse_level(p, &(struct level){T_OR, T_OR, TRUTH, TRUTH, parse_and, false});
}

int weir_alert_expr_parse(struct weir_alert_expr *out, struct weir_str text, struct weir_alert_expr_error *error,
                          void *arg, weir_alert_expr_resolve_fn *resolve)
{
    struct parser p = {.text = text.ptr, .out = out, .error = error, .arg = arg, .resolve = resolve};
    *error = (struct weir_alert_expr_error){0};
    out->count = 0;
    if (text.len > WEIR_ALERT_EXPR_BYTES_MAX) {
        fail(&p, WEIR_ALERT_EXPR_BYTES_MAX, "longer than %u bytes", WEIR_ALERT_EXPR_BYTES_MAX);
        return WEIR_EINVAL;
    }
    p.len = (uint32_t)text.len;
    lex(&p);
    uint32_t at = p.token.at;
    enum kind k = want(&p, parse_or(&p), TRUTH, at);
    if (k != NONE && p.token.type != T_END)
        k = expected(&p, "the end, or an operator,");
    return k != NONE ? WEIR_OK : WEIR_EINVAL;
}

int weir_alert_expr_name_at(const struct weir_alert_expr *e, uint32_t node)
{
    return e->nodes[node].op == T_NAME ? (int)e->nodes[node].id : -1;
}

/* -- evaluation: a truth is 1 or 0, and what is unknown is no number (NaN) -- */

static double divide(double a, double b)
{
    return b == 0 ? (double)NAN : a / b;
}

static double compare(uint8_t op, double a, double b)
{
    if (isnan(a) || isnan(b))
        return (double)NAN;
    switch (op) {
    case T_GT:
        return a > b;
    case T_GE:
        return a >= b;
    case T_LT:
        return a < b;
    case T_LE:
        return a <= b;
    case T_EQ:
        return a == b;
    default:
        assert(op == T_NE);
        return a != b;
    }
}

/* The value that settles it (true for or, false for and), from whichever side; else what is unknown stays so. */
static double settle(double a, double b, double settling)
{
    if (a == settling || b == settling)
        return settling;
    return isnan(a) || isnan(b) ? (double)NAN : 1 - settling;
}

static double apply(uint8_t op, double a, double b)
{
    switch (op) {
    case T_PLUS:
        return a + b;
    case T_MINUS:
        return a - b;
    case T_TIMES:
        return a * b;
    case T_DIVIDE:
        return divide(a, b);
    case T_AND:
        return settle(a, b, 0);
    case T_OR:
        return settle(a, b, 1);
    default:
        return compare(op, a, b);
    }
}

enum weir_alert_truth weir_alert_expr_eval(const struct weir_alert_expr *e, const double *values, size_t count)
{
    double stack[WEIR_ALERT_EXPR_NODES_MAX];
    unsigned n = 0;
    for (uint32_t i = 0; i < e->count; i++) {
        const struct weir_alert_expr_node *node = &e->nodes[i];
        if (node->op == T_NUMBER) {
            stack[n++] = node->number;
        } else if (node->op == T_NAME) {
            assert(node->id < count);
            stack[n++] = values[node->id];
        } else if (node->op == OP_NEGATE || node->op == T_NOT) {
            assert(n >= 1);
            stack[n - 1] = node->op == T_NOT ? 1 - stack[n - 1] : -stack[n - 1];
        } else {
            assert(n >= 2);
            n--;
            stack[n - 1] = apply(node->op, stack[n - 1], stack[n]);
        }
    }
    assert(n == 1);
    return isnan(stack[0]) ? WEIR_ALERT_UNKNOWN : stack[0] != 0 ? WEIR_ALERT_TRUE : WEIR_ALERT_FALSE;
}
