/* Whatever a Location says: it is refused, or it becomes an origin and a target that can stand in a request line and
 * that lead to the same place when they are resolved again. And whatever Accept-Encoding says, a coding that was
 * offered comes out, the same one when the list is said in two lines. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/accept_encoding.h"
#include "core/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_target(struct weir_str t)
{
    assert(t.len > 0 && t.len <= WEIR_URL_BYTES_MAX && t.ptr[0] == '/');
    for (size_t i = 0; i < t.len; i++)
        assert(t.ptr[i] > ' ' && t.ptr[i] < 0x7f && t.ptr[i] != '#' && t.ptr[i] != '\\');
}

static void resolve(struct weir_str reference)
{
    static const struct weir_url_base bases[] = {
        {false, {"a.example:8080", 14}, {"/b/c/d?q", 8}},
        {true, {"[::1]", 5}, {"*", 1}},
        {false, {"a", 1}, {"/", 1}},
    };
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        struct weir_arena arena = {0};
        struct weir_url once, twice;
        if (weir_url_resolve(&once, &arena, &bases[i], reference) == WEIR_URL_FINE) {
            check_target(once.target);
            assert(once.origin.port != 0 && once.origin.host[0] != '\0' && strpbrk(once.origin.id, " @\\%#?") == NULL);
            const struct weir_url_base there = {once.origin.tls, weir_str_of(once.origin.authority), once.target};
            enum weir_url_wrong wrong = weir_url_resolve(&twice, &arena, &there, WEIR_STR(""));
            assert(wrong == WEIR_URL_FINE && strcmp(twice.origin.id, once.origin.id) == 0);
            assert(weir_str_eq(twice.target, once.target));
        }
        weir_arena_reset(&arena);
    }
}

static enum weir_coding choose(const struct weir_str *lines, size_t count, unsigned offered)
{
    struct weir_field at[2];
    for (size_t i = 0; i < count; i++)
        at[i] = (struct weir_field){WEIR_STR("accept-encoding"), lines[i], WEIR_FIELD_ACCEPT_ENCODING};
    const struct weir_fields f = {at, count, count};
    return weir_accept_encoding_choose(&f, offered);
}

static void accept_encoding(struct weir_str list)
{
    for (unsigned offered = 0; offered < 1u << WEIR_CODING_COUNT; offered += 2) {
        enum weir_coding c = choose(&list, 1, offered);
        assert(c == WEIR_CODING_IDENTITY || (offered & 1u << c) != 0);
        const char *comma = list.len > 0 ? memchr(list.ptr, ',', list.len) : NULL;
        size_t n = comma != NULL ? (size_t)(comma - list.ptr) : list.len;
        const struct weir_str lines[] = {{list.ptr, n}, {list.ptr + n, list.len - n}};
        assert(choose(lines, 2, offered) == c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1); /* of exactly this size, so that the sanitizer sees a byte too far */
    assert(copy != NULL);
    memcpy(copy, data, size);
    struct weir_str s = {copy, size};
    resolve(s);
    accept_encoding(s);
    struct weir_event_scan scan = {0};
    size_t end = weir_event_scan(&scan, data, size);
    assert(end <= size);
    free(copy);
    return 0;
}
