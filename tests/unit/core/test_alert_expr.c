#include "core/alert_expr.h"

#include "check_main.h"
#include "core/rng.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define T WEIR_ALERT_TRUE
#define F WEIR_ALERT_FALSE
#define U WEIR_ALERT_UNKNOWN

/* a to f, with the values 1 to 6, z is 0, and n is no number. */
static const double values[] = {1, 2, 3, 4, 5, 6, 0, (double)NAN};
#define VALUES (sizeof values / sizeof values[0])

static int resolve(void *arg, struct weir_str name)
{
    ck_assert_str_eq(arg, "arg");
    static const char names[] = "abcdefzn";
    const char *at = name.len == 1 ? memchr(names, name.ptr[0], VALUES) : NULL;
    return at != NULL ? (int)(at - names) : -1;
}

static int parse(struct weir_alert_expr *e, struct weir_alert_expr_error *error, const char *text)
{
    return weir_alert_expr_parse(e, weir_str_of(text), error, "arg", resolve);
}

struct pair {
    const char *text;
    enum weir_alert_truth truth;
};

static void each(const struct pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct weir_alert_expr e;
        struct weir_alert_expr_error error;
        int code = parse(&e, &error, pairs[i].text);
        ck_assert_msg(code == WEIR_OK, "%s: column %u: %s", pairs[i].text, error.column, error.sentence);
        enum weir_alert_truth truth = weir_alert_expr_eval(&e, values, VALUES);
        ck_assert_msg(truth == pairs[i].truth, "%s: %d", pairs[i].text, (int)truth);
    }
}

#define EACH(pairs) each(pairs, sizeof(pairs) / sizeof((pairs)[0]))

START_TEST(test_comparisons)
{
    static const struct pair cases[] = {
        {"a > 0", T},       {"a > 1", F},        {"a >= 1", T},        {"a >= 1.01", F},       {"a < 2", T},
        {"a < 1", F},       {"a <= 1", T},       {"a <= .9", F},       {"a == 1", T},          {"a == 2", F},
        {"a != 1", F},      {"a != 2", T},       {"a>0", T},           {" \t\r\na\n>\t0 ", T}, {"0.05 == 5 / 100", T},
        {"1e3 == 1000", T}, {"1E+2 == 100.", T}, {"25e-2 == 0.25", T}, {"1e-9 > 0", T},        {"0.1 + 0.2 > 0.3", T},
    };
    EACH(cases);
}
END_TEST

START_TEST(test_arithmetic_and_precedence)
{
    static const struct pair cases[] = {
        {"a + b * c == 7", T},
        {"(a + b) * c == 9", T},
        {"f - c - b == 1", T},
        {"f / c / b == 1", T},
        {"f - (c - b) == 5", T},
        {"f / b * c == 9", T},
        {"-a + b == 1", T},
        {"- -a == 1", T},
        {"b * -c == -6", T},
        {"-(a + b) == -3", T},
        {"a + b > c - 1", T},
        {"a == 1 and b == 1 or c == 3", T},
        {"c == 3 or a == 1 and b == 1", T},
        {"(c == 3 or a == 1) and b == 1", F},
        {"not a == 2", T},
        {"!a == 2", T},
        {"not a == 1 or b == 2", T},
        {"not (a == 1 or b == 2)", F},
        {"not not a == 1", T},
        {"! ! (a == 2)", F},
        {"((((a)))) > 0", T},
        {"((a > 0))", T},
    };
    EACH(cases);
}
END_TEST

START_TEST(test_logic_in_words_and_signs)
{
    static const struct pair cases[] = {
        {"a == 1 and b == 2", T}, {"a == 1 && b == 1", F}, {"a == 2 or b == 2", T}, {"a == 2 || b == 1", F},
        {"a == 1 AND b == 2", T}, {"a == 2 Or b == 2", T}, {"NOT a == 2", T},       {"a==1&&!b==1||c==9", T},
    };
    EACH(cases);
}
END_TEST

START_TEST(test_division_by_zero_does_not_fire)
{
    static const struct pair cases[] = {
        {"a / z > 0", U},
        {"a / z < 0", U},
        {"z / z == z / z", U},
        {"not a / z > 0.05", U},
        {"a / z != 1", U},
        {"1 + a / z > 0", U},
        {"-(a / z) > 0", U},
        {"a / (b - 2) > 0", U},
        {"a / z > 0 or b > 1", T},
        {"b > 1 or a / z > 0", T},
        {"a / z > 0 or b > 9", U},
        {"b > 9 or a / z > 0", U},
        {"a / z > 0 and b > 1", U},
        {"b > 1 and a / z > 0", U},
        {"a / z > 0 and b > 9", F},
        {"b > 9 and a / z > 0", F},
        {"a / z > 0 or a / z > 0", U},
        {"n > 0", U},
        {"n == n", U},
        {"z / a > 0", F},
        {"a / 1e-300 / 1e-300 > 1e300", T},
    };
    EACH(cases);
}
END_TEST

struct wrong {
    const char *text;
    uint32_t column;
    const char *sentence;
};

START_TEST(test_errors_say_where_and_why)
{
    static const struct wrong cases[] = {
        {"", 1, "ends where a name, a number or \"(\" is wanted"},
        {"a >", 4, "ends where a name, a number or \"(\" is wanted"},
        {"a > > 1", 5, "\">\" where a name, a number or \"(\" is wanted"},
        {"a > 1 1", 7, "\"1\" where the end, or an operator, is wanted"},
        {"a > 1)", 6, "\")\" where the end, or an operator, is wanted"},
        {"(a > 1", 7, "ends where \")\" is wanted"},
        {"(a > 1 b", 8, "\"b\" where \")\" is wanted"},
        {"pending > 1", 1, "unknown name \"pending\""},
        {"a + bb > 1", 5, "unknown name \"bb\""},
        {"a = 1", 3, "\"=\" stands for nothing: write \"==\""},
        {"a > 1 & b > 1", 7, "\"&\" stands for nothing: write \"&&\""},
        {"a > 1 | b > 1", 7, "\"|\" stands for nothing: write \"||\""},
        {"a > 90%", 7, "\"%\" has no place in a condition"},
        {"a > \x01", 5, "a byte that has no place in a condition"},
        {"a > \xc3\xbc", 5, "a byte that has no place in a condition"},
        {"a", 1, "a number where a comparison is wanted"},
        {"1", 1, "a number where a comparison is wanted"},
        {"a + 1", 1, "a number where a comparison is wanted"},
        {"a > 1 and b", 11, "a number where a comparison is wanted"},
        {"a and b > 1", 1, "a number where a comparison is wanted"},
        {"not a", 5, "a number where a comparison is wanted"},
        {"(a > 1) + 1 > 0", 1, "a comparison where a number is wanted"},
        {"1 + (a > 1) > 0", 5, "a comparison where a number is wanted"},
        {"-(a > 1) > 0", 2, "a comparison where a number is wanted"},
        {"(a > 1) == (b > 1)", 1, "a comparison where a number is wanted"},
        {"1 < a < 3", 7, "comparisons do not chain: write a < b and b < c"},
        {"a > 1.2.3", 5, "not a number: digits with at most one point, and an exponent"},
        {"a > 1x", 5, "not a number: digits with at most one point, and an exponent"},
        {"a > .", 5, "not a number: digits with at most one point, and an exponent"},
        {"a > 1e", 5, "not a number: digits with at most one point, and an exponent"},
        {"a > 1e5000", 5, "the number is too large"},
        {"a > 1 and", 10, "ends where a name, a number or \"(\" is wanted"},
        {"a > not b", 5, "\"not\" where a name, a number or \"(\" is wanted"},
        {"()", 2, "\")\" where a name, a number or \"(\" is wanted"},
        {"a > 1 or or b > 1", 10, "\"or\" where a name, a number or \"(\" is wanted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_alert_expr e;
        struct weir_alert_expr_error error;
        ck_assert_msg(parse(&e, &error, cases[i].text) == WEIR_EINVAL, "%s", cases[i].text);
        ck_assert_msg(error.column == cases[i].column, "%s: column %u", cases[i].text, error.column);
        ck_assert_str_eq(error.sentence, cases[i].sentence);
    }
}
END_TEST

START_TEST(test_the_unknown_name_is_handed_out)
{
    struct weir_alert_expr e;
    struct weir_alert_expr_error error;
    ck_assert_int_eq(parse(&e, &error, "a > nope and b > 1"), WEIR_EINVAL);
    ck_assert(weir_str_eq(error.unknown, WEIR_STR("nope")));
    ck_assert_int_eq(parse(&e, &error, "a >"), WEIR_EINVAL);
    ck_assert_uint_eq(error.unknown.len, 0);
}
END_TEST

/* head, n times middle, tail */
static const char *repeat(const char *head, const char *middle, unsigned n, const char *tail)
{
    static char buf[8192];
    int len = snprintf(buf, sizeof buf, "%s", head);
    while (n-- > 0)
        len += snprintf(buf + len, sizeof buf - (size_t)len, "%s", middle);
    snprintf(buf + len, sizeof buf - (size_t)len, "%s", tail);
    return buf;
}

START_TEST(test_limits)
{
    struct weir_alert_expr e;
    struct weir_alert_expr_error error;
    ck_assert_int_eq(parse(&e, &error, repeat("", "(", WEIR_ALERT_EXPR_DEPTH_MAX + 1, "a")), WEIR_EINVAL);
    ck_assert_str_eq(error.sentence, "nested more than 24 deep");
    ck_assert_uint_eq(error.column, WEIR_ALERT_EXPR_DEPTH_MAX + 1);
    ck_assert_int_eq(parse(&e, &error, repeat("", "-", 1000, "a > 0")), WEIR_EINVAL);
    ck_assert_int_eq(parse(&e, &error, repeat("", "!", 1000, "a > 0")), WEIR_EINVAL);
    ck_assert_int_eq(parse(&e, &error, repeat("", "-", WEIR_ALERT_EXPR_DEPTH_MAX, "a > 0")), WEIR_OK);
    /* Depth is what is open, not what has been. */
    ck_assert_int_eq(parse(&e, &error, repeat("0", "+(-a)", 23, "< 0")), WEIR_OK);
    ck_assert_int_eq(weir_alert_expr_eval(&e, values, VALUES), T);
    /* 2 x 46 + 1 operands and signs, and the comparison's two, are 95. */
    ck_assert_int_eq(parse(&e, &error, repeat("a", "+a", 46, "> 0")), WEIR_OK);
    ck_assert_uint_eq(e.count, 95);
    ck_assert_int_eq(parse(&e, &error, repeat("a", "+a", 47, "> 0")), WEIR_EINVAL);
    ck_assert_str_eq(error.sentence, "too long: more than 96 names, numbers and signs");
    ck_assert_int_eq(parse(&e, &error, repeat("a", " ", WEIR_ALERT_EXPR_BYTES_MAX, ">0")), WEIR_EINVAL);
    ck_assert_str_eq(error.sentence, "longer than 1024 bytes");
}
END_TEST

START_TEST(test_text_need_not_be_terminated)
{
    struct weir_alert_expr e;
    struct weir_alert_expr_error error;
    struct weir_str text = {"a > 12345", 6};
    ck_assert_int_eq(weir_alert_expr_parse(&e, text, &error, "arg", resolve), WEIR_OK);
    ck_assert_int_eq(weir_alert_expr_eval(&e, values, VALUES), F);
    text = (struct weir_str){"a >\0 0", 6};
    ck_assert_int_eq(weir_alert_expr_parse(&e, text, &error, "arg", resolve), WEIR_EINVAL);
    ck_assert_uint_eq(error.column, 4);
}
END_TEST

/* Random trees, written with all their parentheses and computed on the way. */
static struct weir_rng rng;

static unsigned pick(unsigned n)
{
    return (unsigned)(weir_rng_next(&rng) % n);
}

static void put(char *buf, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void put(char *buf, size_t cap, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(buf, cap, fmt, ap);
    va_end(ap);
    ck_assert(len >= 0 && (size_t)len < cap);
}

static double number(char *buf, size_t cap, unsigned depth)
{
    char left[400], right[400];
    if (depth == 0 || pick(3) == 0) {
        unsigned i = pick(VALUES - 1);
        put(buf, cap, "%c", "abcdefz"[i]);
        return values[i];
    }
    double a = number(left, sizeof left, depth - 1), b = number(right, sizeof right, depth - 1);
    char op = "+-*/"[pick(4)];
    put(buf, cap, "(%s %c %s)", left, op, right);
    return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : b == 0 ? (double)NAN : a / b;
}

static int truth(char *buf, size_t cap, unsigned depth)
{
    char left[800], right[800];
    if (depth == 0) {
        double a = number(left, sizeof left, 2), b = number(right, sizeof right, 1);
        bool less = pick(2) == 0;
        put(buf, cap, "(%s %s %s)", left, less ? "<" : ">=", right);
        return isnan(a) || isnan(b) ? 1 : (less ? a < b : a >= b) ? 2 : 0;
    }
    /* 0, 1 (unknown), 2: and is the minimum, or the maximum. */
    int a = truth(left, sizeof left, depth - 1), b = truth(right, sizeof right, depth - 1);
    switch (pick(3)) {
    case 0:
        put(buf, cap, "(%s and %s)", left, right);
        return a < b ? a : b;
    case 1:
        put(buf, cap, "(%s or %s)", left, right);
        return a > b ? a : b;
    default:
        put(buf, cap, "(not %s)", left);
        return 2 - a;
    }
}

START_TEST(test_random_trees_against_their_own_value)
{
    static const enum weir_alert_truth of[] = {F, U, T};
    unsigned seen[3] = {0};
    rng.state = 3;
    unsigned rounds = check_rounds(20000);
    for (unsigned i = 0; i < rounds; i++) {
        char text[1700];
        struct weir_alert_expr e;
        struct weir_alert_expr_error error;
        int t = truth(text, sizeof text, pick(3));
        if (parse(&e, &error, text) != WEIR_OK) {
            ck_assert_msg(strstr(error.sentence, "too long") != NULL, "%s: %s", text, error.sentence);
            continue;
        }
        seen[t]++;
        ck_assert_msg(weir_alert_expr_eval(&e, values, VALUES) == of[t], "%s", text);
    }
    ck_assert(seen[0] > rounds / 20 && seen[1] > rounds / 20 && seen[2] > rounds / 20);
}
END_TEST

CHECK_MAIN("alert_expr", NULL, NULL, test_comparisons, test_arithmetic_and_precedence, test_logic_in_words_and_signs,
           test_division_by_zero_does_not_fire, test_errors_say_where_and_why, test_the_unknown_name_is_handed_out,
           test_limits, test_text_need_not_be_terminated, test_random_trees_against_their_own_value)
