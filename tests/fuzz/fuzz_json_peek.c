/* A body in pieces, cut where the first bytes say, gives what the whole gives; and what jansson takes for JSON is not
 * bad here, with the same strings found. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_peek.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WANTS 3
static const struct weir_str names[WANTS] = {{"user", 4}, {"prompt_cache_key", 16}, {"a", 1}};

static enum weir_json_status feed(struct weir_json_want *wants, const uint8_t *cuts, const uint8_t *text, size_t size)
{
    struct weir_json_peek p;
    for (int i = 0; i < WANTS; i++)
        wants[i].name = names[i];
    weir_json_peek_init(&p, wants, WANTS, SIZE_MAX);
    for (size_t at = 0, turn = 0; at < size; turn++) {
        size_t n = cuts == NULL ? size : 1 + cuts[turn % 4] % 16;
        n = n < size - at ? n : size - at;
        char *piece = malloc(n); /* of exactly this size, so that the sanitizer sees a byte too far */
        assert(piece != NULL);
        memcpy(piece, text + at, n);
        weir_json_peek_feed(&p, (struct weir_str){piece, n});
        free(piece);
        at += n;
    }
    return p.status;
}

/* jansson refuses repeated names here, and takes UTF-8 only; a zero byte behind a number ends its text. */
static void compare(const struct weir_json_want *wants, enum weir_json_status status, const char *text, size_t size)
{
    json_error_t error;
    if (memchr(text, '\0', size) != NULL)
        return;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &error);
    if (json_is_object(root)) {
        assert(status == WEIR_JSON_FOUND || status == WEIR_JSON_ABSENT || status == WEIR_JSON_BAD);
        for (int i = 0; i < WANTS && status != WEIR_JSON_BAD; i++) {
            const json_t *value = json_object_get(root, names[i].ptr);
            assert((value != NULL) == (wants[i].state != WEIR_JSON_UNSEEN));
            if (json_is_string(value) && json_string_length(value) <= WEIR_JSON_VALUE_MAX) {
                assert(wants[i].state == WEIR_JSON_TAKEN && wants[i].len == json_string_length(value));
                assert(memcmp(wants[i].value, json_string_value(value), wants[i].len) == 0);
            }
            assert(!json_is_object(value) || wants[i].state == WEIR_JSON_OTHER);
        }
        size_t depth = 0;
        for (size_t i = 0; i < size; i++)
            depth += text[i] == '{' || text[i] == '[';
        assert(status != WEIR_JSON_BAD || depth > WEIR_JSON_DEPTH_MAX);
    }
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= 4)
        return 0;
    struct weir_json_want whole[WANTS] = {0}, pieces[WANTS] = {0};
    enum weir_json_status status = feed(whole, NULL, data + 4, size - 4);
    assert(feed(pieces, data, data + 4, size - 4) == status);
    for (int i = 0; i < WANTS; i++) {
        assert(whole[i].state == pieces[i].state && whole[i].len == pieces[i].len);
        assert(whole[i].len <= WEIR_JSON_VALUE_MAX && (whole[i].len == 0 || whole[i].state != WEIR_JSON_OTHER));
        assert(memcmp(whole[i].value, pieces[i].value, whole[i].len) == 0);
    }
    compare(whole, status, (const char *)data + 4, size - 4);
    return 0;
}
