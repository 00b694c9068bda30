#include "core/retry_after.h"

#define DAY_S 86400u

struct date {
    unsigned year, month, day, hour, minute, second; /* month and day from 1 */
};

/* What is left to read; every step that does not find what it wants fails the whole. */
struct cursor {
    struct weir_str rest;
    bool ok;
};

static void expect(struct cursor *c, struct weir_str literal)
{
    c->ok = c->ok && weir_str_starts(c->rest, literal);
    if (c->ok)
        c->rest = (struct weir_str){c->rest.ptr + literal.len, c->rest.len - literal.len};
}

static unsigned number(struct cursor *c, size_t digits)
{
    uint64_t value = 0;
    c->ok = c->ok && c->rest.len >= digits && weir_str_to_u64((struct weir_str){c->rest.ptr, digits}, &value);
    if (c->ok)
        c->rest = (struct weir_str){c->rest.ptr + digits, c->rest.len - digits};
    return (unsigned)value;
}

/* The number from 1 of the name that stands here; names of one list are no prefixes of each other. */
static unsigned name(struct cursor *c, const char *const *names, unsigned n)
{
    for (unsigned i = 0; i < n && c->ok; i++) {
        struct weir_str s = weir_str_of(names[i]);
        if (weir_str_starts(c->rest, s)) {
            expect(c, s);
            return i + 1;
        }
    }
    c->ok = false;
    return 0;
}

static unsigned month(struct cursor *c)
{
    static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    return name(c, names, 12);
}

static void day_name(struct cursor *c)
{
    static const char *const names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    (void)name(c, names, 7);
}

static void time_of_day(struct cursor *c, struct date *d)
{
    d->hour = number(c, 2);
    expect(c, WEIR_STR(":"));
    d->minute = number(c, 2);
    expect(c, WEIR_STR(":"));
    d->second = number(c, 2);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool imf_fixdate(struct weir_str text, struct date *d)
{
    struct cursor c = {text, true};
    day_name(&c);
    expect(&c, WEIR_STR(", "));
    d->day = number(&c, 2);
    expect(&c, WEIR_STR(" "));
    d->month = month(&c);
    expect(&c, WEIR_STR(" "));
    d->year = number(&c, 4);
    expect(&c, WEIR_STR(" "));
    time_of_day(&c, d);
    expect(&c, WEIR_STR(" GMT"));
    return c.ok && c.rest.len == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the year is left as its two digits. */
static bool rfc850(struct weir_str text, struct date *d)
{
    static const char *const names[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};
    struct cursor c = {text, true};
    (void)name(&c, names, 7);
    expect(&c, WEIR_STR(", "));
    d->day = number(&c, 2);
    expect(&c, WEIR_STR("-"));
    d->month = month(&c);
    expect(&c, WEIR_STR("-"));
    d->year = number(&c, 2);
    expect(&c, WEIR_STR(" "));
    time_of_day(&c, d);
    expect(&c, WEIR_STR(" GMT"));
    return c.ok && c.rest.len == 0;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool asctime_date(struct weir_str text, struct date *d)
{
    struct cursor c = {text, true};
    day_name(&c);
    expect(&c, WEIR_STR(" "));
    d->month = month(&c);
    expect(&c, WEIR_STR(" "));
    bool one_digit = weir_str_starts(c.rest, WEIR_STR(" "));
    if (one_digit)
        expect(&c, WEIR_STR(" "));
    d->day = number(&c, one_digit ? 1 : 2);
    expect(&c, WEIR_STR(" "));
    time_of_day(&c, d);
    expect(&c, WEIR_STR(" "));
    d->year = number(&c, 4);
    return c.ok && c.rest.len == 0;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_of_month(unsigned year, unsigned m)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && is_leap(year) ? 29 : days[m - 1];
}

/* Days of all the years before this one, counted from the year 1 of the Gregorian calendar. */
static uint64_t days_before(unsigned year)
{
    uint64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400;
}

static bool to_unix(const struct date *d, uint64_t *unix_s)
{
    if (d->year < 1970 || d->month < 1 || d->month > 12 || d->day < 1 || d->day > days_of_month(d->year, d->month))
        return false;
    if (d->hour > 23 || d->minute > 59 || d->second > 60) /* 60: a leap second */
        return false;
    uint64_t days = days_before(d->year) - days_before(1970) + d->day - 1;
    for (unsigned m = 1; m < d->month; m++)
        days += days_of_month(d->year, m);
    *unix_s = days * DAY_S + d->hour * 3600u + d->minute * 60u + d->second;
    return true;
}

static unsigned year_of(uint64_t unix_s)
{
    uint64_t days = unix_s / DAY_S;
    unsigned year = (unsigned)(1970 + days / 366); /* never too high */
    while (days_before(year + 1) - days_before(1970) <= days)
        year++;
    return year;
}

bool weir_http_date_parse(struct weir_str text, uint64_t unix_s_now, uint64_t *unix_s)
{
    struct date d = {0};
    if (imf_fixdate(text, &d) || asctime_date(text, &d))
        return to_unix(&d, unix_s);
    if (!rfc850(text, &d))
        return false;
    unsigned now = year_of(unix_s_now);
    d.year += now - now % 100 + 100;
    while (d.year > now + 50)
        d.year -= 100;
    return to_unix(&d, unix_s);
}

static bool all_digits(struct weir_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

bool weir_retry_after_parse(struct weir_str value, uint64_t unix_ms, uint64_t *wait_ms)
{
    uint64_t s;
    value = weir_str_trim(value);
    if (all_digits(value)) {
        bool fits = weir_str_to_u64(value, &s) && s <= WEIR_RETRY_AFTER_MS_MAX / 1000;
        *wait_ms = fits ? s * 1000 : WEIR_RETRY_AFTER_MS_MAX;
        return true;
    }
    if (!weir_http_date_parse(value, unix_ms / 1000, &s))
        return false;
    uint64_t wait = s * 1000 > unix_ms ? s * 1000 - unix_ms : 0;
    *wait_ms = wait < WEIR_RETRY_AFTER_MS_MAX ? wait : WEIR_RETRY_AFTER_MS_MAX;
    return true;
}
