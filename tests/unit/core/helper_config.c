#include "helper_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_output.h"

const char *config_case_env;

static const char *env_get(void *arg, const char *name)
{
    (void)arg;
    static char longest[4097];
    memset(longest, 'x', sizeof longest - 1);
    if (strcmp(name, "LONG") == 0)
        return longest;
    if (strcmp(name, "WEIR_ENV") == 0)
        return config_case_env;
    if (strcmp(name, "KEY") == 0)
        return "secret-from-env";
    if (strcmp(name, "PORT") == 0)
        return "9123";
    return strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static int file_read(void *arg, const char *path, char *buf, size_t cap, size_t *len, struct weir_err *err)
{
    (void)arg;
    const char *text = strcmp(path, "/key") == 0     ? "secret-from-file\n"
                       : strcmp(path, "/empty") == 0 ? ""
                       : strcmp(path, "/nul") == 0   ? "a\0b"
                                                     : NULL;
    if (text == NULL)
        return weir_err_set(err, WEIR_EIO, "%s is not there", path);
    *len = strcmp(path, "/nul") == 0 ? 3 : strlen(text);
    ck_assert_uint_le(*len, cap);
    memcpy(buf, text, *len);
    return WEIR_OK;
}

struct config_case config_parse_bytes(const char *bytes, size_t len)
{
    struct config_case k = {0};
    const struct weir_config_input in = {
        .file = "f.yaml", .bytes = bytes, .len = len, .getenv = env_get, .read_file = file_read};
    k.code = weir_config_parse(&k.c, &in, &k.problems);
    return k;
}

struct config_case config_parse(const char *text)
{
    return config_parse_bytes(text, strlen(text));
}

void config_case_end(struct config_case *k)
{
    weir_config_free(&k->c);
    weir_config_problems_reset(&k->problems);
}

static void problems_show(const struct config_case *k)
{
    char line[1024];
    for (size_t i = 0; i < k->problems.count; i++) {
        weir_config_problem_text(&k->problems.at[i], line, sizeof line);
        fprintf(stderr, "  %s\n", line);
    }
}

void config_expect(const struct config_case *k, const char *text)
{
    char line[1024];
    for (size_t i = 0; i < k->problems.count; i++) {
        weir_config_problem_text(&k->problems.at[i], line, sizeof line);
        if (strcmp(line, text) == 0)
            return;
    }
    problems_show(k);
    ck_abort_msg("no such problem: %s", text);
}

void config_expect_valid(const struct config_case *k, size_t warnings)
{
    if (k->c == NULL || k->problems.count != warnings)
        problems_show(k);
    ck_assert_ptr_nonnull(k->c);
    ck_assert_int_eq(k->code, 0);
    ck_assert_uint_eq(k->problems.count, warnings);
}

char *config_text(const struct weir_config *c)
{
    struct weir_textbuf text;
    weir_textbuf_init(&text, (size_t)1 << 20);
    weir_config_print(c, &text);
    weir_textbuf_char(&text, '\0');
    ck_assert(!text.failed);
    return text.ptr;
}
