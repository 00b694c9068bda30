/* Whatever bytes a configuration is, reading ends, and ends in a configuration or in at least one error; a
 * configuration that was read is printed, and what was printed is read again, to the same effect. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *env_get(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "V") == 0 ? "127.0.0.1" : NULL;
}

static int file_read(void *arg, const char *path, char *buf, size_t cap, size_t *len, struct weir_err *err)
{
    (void)arg;
    if (strlen(path) >= cap)
        return weir_err_set(err, WEIR_ELIMIT, "too long");
    *len = strlen(path);
    memcpy(buf, path, *len);
    return WEIR_OK;
}

static struct weir_config *parse(const char *bytes, size_t len)
{
    struct weir_config *c = NULL;
    struct weir_config_problems problems = {0};
    const struct weir_config_input in = {
        .file = "fuzz", .bytes = bytes, .len = len, .getenv = env_get, .read_file = file_read};
    int code = weir_config_parse(&c, &in, &problems);
    assert((c != NULL) == (code == WEIR_OK));
    assert((problems.error_count > 0) == (code == WEIR_EINVAL));
    assert(problems.count <= WEIR_CONFIG_PROBLEMS_MAX);
    for (size_t i = 0; i < problems.count; i++) {
        char line[1024];
        assert(weir_config_problem_text(&problems.at[i], line, sizeof line) > 0);
    }
    weir_config_problems_reset(&problems);
    return c;
}

/* Without the comments, which tell where a value came from. */
static size_t strip(char *text, size_t len)
{
    size_t out = 0;
    for (size_t at = 0; at < len;) {
        char *end = memchr(text + at, '\n', len - at);
        size_t line = end != NULL ? (size_t)(end - text) - at : len - at;
        char *mark = memmem(text + at, line, " # ", 3);
        size_t kept = text[at] == '#' ? 0 : mark != NULL ? (size_t)(mark - text) - at : line;
        memmove(text + out, text + at, kept);
        out += kept;
        at += line + 1;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1); /* of exactly this size, so that the sanitizer sees a byte too far */
    assert(copy != NULL);
    memcpy(copy, data, size);
    struct weir_config *c = parse(copy, size);
    free(copy);
    if (c == NULL)
        return 0;
    struct weir_textbuf first, second;
    weir_textbuf_init(&first, (size_t)64 << 20);
    weir_textbuf_init(&second, (size_t)64 << 20);
    weir_config_print(c, &first);
    weir_config_free(&c);
    assert(!first.failed);
    if (first.len <= WEIR_CONFIG_FILE_BYTES_MAX) {
        c = parse(first.ptr, first.len);
        assert(c != NULL);
        weir_config_print(c, &second);
        weir_config_free(&c);
        size_t a = strip(first.ptr, first.len), b = strip(second.ptr, second.len);
        assert(a == b && memcmp(first.ptr, second.ptr, a) == 0);
    }
    weir_textbuf_close(&first);
    weir_textbuf_close(&second);
    return 0;
}
