# Embeds Lua scripts as C: cmake -DOUT=weir_lua -DPRELUDE=prelude.lua -DSCRIPTS="a.lua;b.lua" -P embed_lua.cmake writes OUT.c
# and OUT.h, in which NAME.lua, behind the prelude, is `const struct weir_redis_script weir_lua_NAME`
# (common/store/redis_script.h), its SHA-1 included.
get_filename_component(stem "${OUT}" NAME)
set(header "/* Made from common/store/lua by cmake/embed_lua.cmake. */\n#ifndef WEIR_LUA_H\n#define WEIR_LUA_H\n\n")
string(APPEND header "#include \"store/redis_script.h\"\n\n")
set(source "/* Made from common/store/lua by cmake/embed_lua.cmake. */\n#include \"${stem}.h\"\n")
set(whole "${OUT}.lua") # of one script after another
foreach(script ${SCRIPTS})
  get_filename_component(name "${script}" NAME_WE)
  execute_process(COMMAND ${CMAKE_COMMAND} -E cat "${PRELUDE}" "${script}" OUTPUT_FILE "${whole}" COMMAND_ERROR_IS_FATAL ANY)
  file(READ "${whole}" hex HEX)
  file(SHA1 "${whole}" sha1)
  file(SIZE "${whole}" size)
  string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND header "extern const struct weir_redis_script weir_lua_${name};\n")
  string(APPEND source "\nstatic const char body_${name}[] = {${bytes}'\\0'};\n"
         "const struct weir_redis_script weir_lua_${name} = {\"${name}\", body_${name}, ${size}, \"${sha1}\"};\n")
endforeach()
file(REMOVE "${whole}")
string(APPEND header "\n#endif\n")
file(WRITE "${OUT}.h" "${header}")
file(WRITE "${OUT}.c" "${source}")
