# Embeds Lua scripts as C: cmake -DOUT=weir_lua -DSCRIPTS="a.lua;b.lua" -P embed_lua.cmake writes OUT.c and OUT.h, in which
# NAME.lua is `const struct weir_redis_script weir_lua_NAME` (common/store/redis_script.h), its SHA-1 included.
get_filename_component(stem "${OUT}" NAME)
set(header "/* Made from common/store/lua by cmake/embed_lua.cmake. */\n#ifndef WEIR_LUA_H\n#define WEIR_LUA_H\n\n")
string(APPEND header "#include \"store/redis_script.h\"\n\n")
set(source "/* Made from common/store/lua by cmake/embed_lua.cmake. */\n#include \"${stem}.h\"\n")
foreach(script ${SCRIPTS})
  get_filename_component(name "${script}" NAME_WE)
  file(READ "${script}" hex HEX)
  file(SHA1 "${script}" sha1)
  file(SIZE "${script}" size)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND header "extern const struct weir_redis_script weir_lua_${name};\n")
  string(APPEND source "\nstatic const char body_${name}[] = {${bytes}'\\0'};\n"
         "const struct weir_redis_script weir_lua_${name} = {\"${name}\", body_${name}, ${size}, \"${sha1}\"};\n")
endforeach()
string(APPEND header "\n#endif\n")
file(WRITE "${OUT}.h" "${header}")
file(WRITE "${OUT}.c" "${source}")
