#include "core/logline.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "check_main.h"
#include "core/access_line.h"

static char buf[WEIR_LOG_LINE_MAX];
static struct weir_line l;

static void begin(enum weir_log_format format)
{
    weir_line_begin(&l, buf, format, 1795000000123, WEIR_LOG_WARN, "test", NULL, NULL);
}

/* The line closed, checked for being one line. */
static struct weir_str finish(void)
{
    size_t len = weir_line_end(&l);
    ck_assert_uint_le(len, sizeof buf);
    ck_assert_ptr_eq(memchr(buf, '\n', len), buf + len - 1);
    return (struct weir_str){buf, len};
}

static void ends_as(const char *want)
{
    struct weir_str line = finish();
    size_t n = strlen(want);
    ck_assert_msg(line.len >= n && memcmp(line.ptr + line.len - n, want, n) == 0, "%.*s", WEIR_FMT(line));
}

static json_t *parsed(void)
{
    struct weir_str line = finish();
    json_error_t error;
    json_t *o = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    ck_assert_msg(o != NULL, "%s: %.*s", error.text, WEIR_FMT(line));
    return o;
}

static const char *text_of(json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    ck_assert_ptr_nonnull(text);
    return text;
}

START_TEST(test_json_line)
{
    weir_line_begin(&l, buf, WEIR_LOG_JSON, 1795000000123, WEIR_LOG_INFO, "reload", "configuration reloaded", "n1");
    weir_line_text(&l, "file", "weir.yaml");
    weir_line_text(&l, "absent", NULL);
    weir_line_u64(&l, "generation", 7);
    weir_line_i64(&l, "offset", -12);
    weir_line_double(&l, "rate", 0.0625);
    weir_line_bool(&l, "ok", true);
    weir_line_us_as_ms(&l, "took_ms", 1234);
    ends_as(
        "{\"ts\":\"2026-11-18T11:06:40.123Z\",\"level\":\"info\",\"event\":\"reload\",\"msg\":\"configuration "
        "reloaded\",\"node\":\"n1\",\"file\":\"weir.yaml\",\"generation\":7,\"offset\":-12,\"rate\":0.063,\"ok\":true,"
        "\"took_ms\":1.234}\n");
}
END_TEST

START_TEST(test_logfmt_line)
{
    weir_line_begin(&l, buf, WEIR_LOG_LOGFMT, 1795000000123, WEIR_LOG_ERROR, "reload", "it failed", NULL);
    weir_line_text(&l, "bare", "a-b/c:1,2");
    weir_line_text(&l, "empty", "");
    weir_line_text(&l, "equals", "a=b");
    weir_line_text(&l, "quote", "say \"x\"\\");
    weir_line_u64(&l, "n", 0);
    weir_line_bool(&l, "ok", false);
    ends_as("ts=2026-11-18T11:06:40.123Z level=error event=reload msg=\"it failed\" bare=a-b/c:1,2 empty=\"\" "
            "equals=\"a=b\" quote=\"say \\\"x\\\"\\\\\" n=0 ok=false\n");
}
END_TEST

START_TEST(test_numbers)
{
    static const uint64_t some[] = {0,    9,     10,     99,      100,        999,        1000,
                                    9999, 10000, 123456, 9999999, UINT32_MAX, UINT64_MAX, 10000000000000000000u};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        char want[128];
        begin(WEIR_LOG_LOGFMT);
        weir_line_u64(&l, "v", some[i]);
        weir_line_us_as_ms(&l, "ms", some[i]);
        snprintf(want, sizeof want, " v=%llu ms=%llu.%03llu\n", (unsigned long long)some[i],
                 (unsigned long long)(some[i] / 1000), (unsigned long long)(some[i] % 1000));
        ends_as(want);
    }
    begin(WEIR_LOG_LOGFMT);
    weir_line_i64(&l, "least", INT64_MIN);
    weir_line_double(&l, "minus", -1.5);
    weir_line_double(&l, "nan", NAN);
    weir_line_double(&l, "huge", 1e300);
    ends_as(" least=-9223372036854775808 minus=-1.500\n");
}
END_TEST

START_TEST(test_time_of_day)
{
    for (uint64_t day = 0; day < 110000; day += 13) { /* to the year 2271, over a century that is no leap year */
        char want[80], got[WEIR_RFC3339_MS_LEN];
        uint64_t ms = day * 86400000 + day * 1237 % 86400000;
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ms % 1000));
        weir_rfc3339_ms(got, ms);
        ck_assert_mem_eq(got, want, sizeof got);
    }
    char got[WEIR_RFC3339_MS_LEN];
    weir_rfc3339_ms(got, UINT64_MAX);
    ck_assert_mem_eq(got, "9999-12-31T23:59:59.999Z", sizeof got);
}
END_TEST

/* A value cannot end its field, its line, or its encoding. */
START_TEST(test_hostile_values)
{
    begin(WEIR_LOG_JSON);
    weir_line_str(&l, "a", WEIR_STR("x\",\"level\":\"error\n\r\t\0\x1b[2J\x7f"));
    weir_line_str(&l, "b", WEIR_STR("\xff\xc0\xaf \xed\xa0\x80 \xe2\x82"));
    weir_line_str(&l, "c", WEIR_STR("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x97 \xc2\x85"));
    ends_as(
        "\"a\":\"x\\\",\\\"level\\\":\\\"error\\u000a\\u000d\\u0009\\u0000\\u001b[2J\\u007f\","
        "\"b\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\","
        "\"c\":\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x97 \xef\xbf\xbd\xef\xbf\xbd\"}\n");
    begin(WEIR_LOG_LOGFMT);
    weir_line_str(&l, "a", WEIR_STR("x level=error\nts=1"));
    ends_as(" a=\"x level=error\\u000ats=1\"\n");
}
END_TEST

/* Eight bytes are looked at together where there are as many: each byte is taken alike alone and among others. */
START_TEST(test_bytes_alone_and_in_words)
{
    static const enum weir_log_format formats[] = {WEIR_LOG_JSON, WEIR_LOG_LOGFMT};
    for (size_t f = 0; f < 2; f++)
        for (unsigned c = 0; c < 256; c++) {
            if (c == 'x')
                continue;
            char alone[64], among[64], word[] = "xxxxxxxxxxxxxxxx";
            weir_line_open(&l, buf, formats[f]);
            weir_line_str(&l, "k", (struct weir_str){(char[]){(char)c}, 1});
            struct weir_str line = finish();
            memcpy(alone, line.ptr, line.len);
            size_t alone_len = line.len;
            word[3] = (char)c;
            weir_line_open(&l, buf, formats[f]);
            weir_line_str(&l, "k", (struct weir_str){word, 16});
            line = finish();
            size_t among_len = 0; /* without the x'es */
            for (size_t i = 0; i < line.len; i++)
                if (line.ptr[i] != 'x')
                    among[among_len++] = line.ptr[i];
            ck_assert_uint_eq(among_len, alone_len);
            ck_assert_mem_eq(among, alone, alone_len);
        }
}
END_TEST

/* Any bytes at all, of any length, in several fields: the line always parses and keeps its other fields. */
START_TEST(test_any_bytes_parse)
{
    uint32_t seed = 12345;
    for (int round = 0; round < 3000; round++) {
        char bytes[1500];
        seed = seed * 1664525 + 1013904223;
        size_t n = (seed >> 8) % sizeof bytes;
        uint32_t kind = seed >> 30;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (char)(kind == 0 ? seed >> 24 : kind == 1 ? 'a' + (seed >> 29) : (seed >> 24) & 0x7f);
        }
        begin(WEIR_LOG_JSON);
        weir_line_str(&l, "first", (struct weir_str){bytes, n});
        weir_line_str_cut(&l, "second", (struct weir_str){bytes, n}, 32);
        weir_line_u64(&l, "last", 1);
        json_t *o = parsed();
        ck_assert_uint_le(json_string_length(json_object_get(o, "first")), WEIR_LOG_VALUE_MAX);
        ck_assert_uint_le(json_string_length(json_object_get(o, "second")), 32);
        ck_assert_int_eq(json_integer_value(json_object_get(o, "last")), 1);
        json_decref(o);
    }
}
END_TEST

START_TEST(test_long_values_are_cut)
{
    char text[WEIR_LOG_VALUE_MAX + 1];
    memset(text, 'x', sizeof text);
    begin(WEIR_LOG_JSON);
    weir_line_str(&l, "fits", (struct weir_str){text, WEIR_LOG_VALUE_MAX - 3});
    weir_line_str(&l, "cut", (struct weir_str){text, sizeof text});
    weir_line_str_cut(&l, "short", WEIR_STR("abcdefghijkl"), 8);
    weir_line_str_cut(&l, "escapes", WEIR_STR("ab\x01\x01"), 12);
    json_t *o = parsed();
    ck_assert_uint_eq(json_string_length(json_object_get(o, "fits")), WEIR_LOG_VALUE_MAX - 3);
    ck_assert_uint_eq(json_string_length(json_object_get(o, "cut")), WEIR_LOG_VALUE_MAX);
    ck_assert_str_eq(text_of(o, "cut") + WEIR_LOG_VALUE_MAX - 4, "x...");
    ck_assert_str_eq(text_of(o, "short"), "abcde...");
    ck_assert_str_eq(text_of(o, "escapes"), "ab\x01...");
    json_decref(o);
}
END_TEST

START_TEST(test_full_line)
{
    static const enum weir_log_format formats[] = {WEIR_LOG_JSON, WEIR_LOG_LOGFMT};
    char text[400];
    memset(text, 'y', sizeof text);
    for (size_t f = 0; f < 2; f++)
        for (size_t len = 0; len < sizeof text; len++) {
            begin(formats[f]);
            for (int i = 0; i < 20; i++) {
                char key[8];
                snprintf(key, sizeof key, "k%d", i);
                weir_line_str(&l, key, (struct weir_str){text, len});
                weir_line_u64(&l, "n", UINT64_MAX);
            }
            struct weir_str line = finish();
            const char *mark = f == 0 ? ",\"truncated\":true}\n" : " truncated=true\n";
            bool marked =
                line.len > strlen(mark) && memcmp(line.ptr + line.len - strlen(mark), mark, strlen(mark)) == 0;
            ck_assert_int_eq(marked, l.truncated);
            if (len > 120)
                ck_assert(marked);
        }
}
END_TEST

static struct weir_access_record record(void)
{
    return (struct weir_access_record){
        .unix_ms = 1795000000123,
        .request_id = WEIR_STR("0af7651916cd43dd8448eb211c80319c"),
        .client = WEIR_STR("203.0.113.77"),
        .method = WEIR_STR("POST"),
        .target = WEIR_STR("/v1/chat/completions?api_key=sk-SECRET"),
        .status = 200,
        .bytes_in = 123,
        .bytes_out = 4567,
        .total_us = 1234567,
        .limit_us = 2500,
        .queue_us = 1000,
        .connect_us = WEIR_ACCESS_NONE,
        .first_byte_us = 345678,
        .provider = "openai",
        .endpoint = "http://127.0.0.1:9001",
        .reused = true,
        .attempts = 1,
        .node = "n1",
    };
}

START_TEST(test_access_line)
{
    struct weir_access_record r = record();
    size_t len = weir_access_format(buf, WEIR_LOG_JSON, &r);
    const char *want =
        "{\"ts\":\"2026-11-18T11:06:40.123Z\",\"level\":\"info\",\"event\":\"access\",\"node\":\"n1\",\"client\":\"203."
        "0."
        "113.77\",\"method\":\"POST\",\"status\":200,\"total_ms\":1234.567,\"limit_ms\":2.500,\"queue_ms\":1.000,"
        "\"first_byte_ms\":345."
        "678,"
        "\"bytes_in\":123,\"bytes_out\":4567,\"provider\":\"openai\",\"endpoint\":\"http://127.0.0.1:9001\","
        "\"connection\":\"reused\",\"attempts\":1,\"request_id\":\"0af7651916cd43dd8448eb211c80319c\",\"target\":\"/v1/"
        "chat/completions\"}\n";
    ck_assert_uint_eq(len, strlen(want));
    ck_assert_mem_eq(buf, want, len);

    r = (struct weir_access_record){.unix_ms = 1795000000123,
                                    .limit_us = WEIR_ACCESS_NONE,
                                    .queue_us = WEIR_ACCESS_NONE,
                                    .connect_us = WEIR_ACCESS_NONE,
                                    .first_byte_us = WEIR_ACCESS_NONE,
                                    .close_reason = "head timeout",
                                    .error = "request_timeout"};
    len = weir_access_format(buf, WEIR_LOG_LOGFMT, &r);
    want =
        "ts=2026-11-18T11:06:40.123Z level=info event=access status=0 total_ms=0.000 bytes_in=0 bytes_out=0 attempts=0 "
        "close=\"head timeout\" error=request_timeout\n";
    ck_assert_uint_eq(len, strlen(want));
    ck_assert_mem_eq(buf, want, len);
}
END_TEST

/* What carries keys by custom stays out: the query of the target, the userinfo of an absolute one. */
START_TEST(test_access_line_keeps_secrets)
{
    static const char *const targets[] = {"/v1/models?key=sk-SECRET", "http://user:sk-SECRET@host/v1/models",
                                          "/v1?a=1&sig=sk-SECRET#x", "?sk-SECRET", "http://u:sk-SECRET@h?sk-SECRET"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct weir_access_record r = record();
        r.target = weir_str_of(targets[i]);
        size_t len = weir_access_format(buf, WEIR_LOG_JSON, &r);
        ck_assert_ptr_null(memmem(buf, len, "SECRET", 6));
        ck_assert_ptr_nonnull(memmem(buf, len, "\"status\":200", 12));
    }
}
END_TEST

/* The longest of everything, in its longest form: all fields are still there. */
START_TEST(test_access_line_at_its_longest)
{
    char huge[4096];
    memset(huge, '\x01', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    struct weir_str all = {huge, sizeof huge - 1};
    struct weir_access_record r = {.unix_ms = UINT64_MAX,
                                   .request_id = all,
                                   .client = all,
                                   .method = all,
                                   .target = all,
                                   .status = UINT32_MAX,
                                   .bytes_in = UINT64_MAX,
                                   .bytes_out = UINT64_MAX,
                                   .total_us = UINT64_MAX,
                                   .limit_us = UINT64_MAX - 1,
                                   .queue_us = UINT64_MAX - 1,
                                   .connect_us = UINT64_MAX - 1,
                                   .first_byte_us = UINT64_MAX - 1,
                                   .provider = huge,
                                   .endpoint = huge,
                                   .attempts = UINT32_MAX,
                                   .close_reason = huge,
                                   .error = huge,
                                   .node = huge};
    size_t len = weir_access_format(buf, WEIR_LOG_JSON, &r);
    ck_assert_uint_le(len, sizeof buf);
    ck_assert_int_eq(buf[len - 1], '\n');
    json_t *o = json_loadb(buf, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_uint_eq(json_object_size(o), 22);
    ck_assert_ptr_nonnull(json_object_get(o, "target"));
    json_decref(o);
}
END_TEST

CHECK_MAIN("logline", NULL, NULL, test_json_line, test_logfmt_line, test_numbers, test_time_of_day, test_hostile_values,
           test_bytes_alone_and_in_words, test_any_bytes_parse, test_long_values_are_cut, test_full_line,
           test_access_line, test_access_line_keeps_secrets, test_access_line_at_its_longest)
