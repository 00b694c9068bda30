/* Whatever redis_url says: it is refused with a sentence that quotes none of it, or what comes out can be connected to,
 * and nothing hides in it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_check.h"
#include "core/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_hosts(const struct weir_redis_url *u)
{
    assert(u->host_count <= WEIR_REDIS_HOSTS_MAX && (u->host_count == 0) == (u->kind == WEIR_REDIS_UNIX));
    for (unsigned i = 0; i < u->host_count; i++) {
        const char *host = u->hosts[i].host;
        assert(host[0] != '\0' && strlen(host) <= 253 && strpbrk(host, " @/\\%#?[],") == NULL && u->hosts[i].port != 0);
    }
}

static void check_parts(const struct weir_redis_url *u)
{
    check_hosts(u);
    assert((u->path != NULL) == (u->kind == WEIR_REDIS_UNIX));
    assert((u->master != NULL) == (u->kind == WEIR_REDIS_SENTINEL));
    assert(u->path == NULL || (u->path[0] == '/' && strlen(u->path) <= WEIR_REDIS_PATH_MAX));
    assert(u->master == NULL || u->master[0] != '\0');
    assert(u->server.user == NULL || (u->server.user[0] != '\0' && u->server.password != NULL));
    assert(u->sentinel.user == NULL || u->sentinel.password != NULL);
    assert(u->kind == WEIR_REDIS_SENTINEL || u->sentinel.password == NULL);
    assert(u->db <= WEIR_REDIS_DB_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_arena arena = {0};
    struct weir_redis_url u;
    char *text = malloc(size + 1);
    assert(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    const char *wrong = weir_redis_url_parse(&u, &arena, text);
    assert((wrong == NULL) == (weir_config_check_redis_url(text) == NULL));
    if (wrong == NULL)
        check_parts(&u);
    free(text);
    weir_arena_reset(&arena);
    return 0;
}
