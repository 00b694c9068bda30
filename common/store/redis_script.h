/* A Lua script that runs inside Redis. Each common/store/lua/NAME.lua becomes `weir_lua_NAME` at build time, with
 * prelude.lua in front; the header "weir_lua.h", made by the build, declares them all. */
#ifndef WEIR_STORE_REDIS_SCRIPT_H
#define WEIR_STORE_REDIS_SCRIPT_H

#include <stddef.h>

struct weir_redis_script {
    const char *name; /* NAME, for logs and metrics */
    const char *body; /* both files, byte for byte; NUL-terminated beyond len */
    size_t len;
    const char *sha1; /* of the body, 40 lower-case hexadecimal digits: what EVALSHA calls it by */
};

#endif
