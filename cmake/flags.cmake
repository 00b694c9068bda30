# Warnings, sanitizers and optimisation for every target of ours.
add_library(weir_flags INTERFACE)
target_compile_options(weir_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Werror
  -fno-strict-aliasing -fvisibility=hidden)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
target_include_directories(weir_flags INTERFACE ${CMAKE_SOURCE_DIR}/common ${CMAKE_SOURCE_DIR})
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -fno-plt")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g3")
if(WEIR_SANITIZE)
  target_compile_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(weir_flags INTERFACE -fsanitize=${WEIR_SANITIZE})
  # Every arena block becomes an allocation of its own, so that the sanitizer sees its bounds.
  target_compile_definitions(weir_flags INTERFACE WEIR_ARENA_MALLOC=1)
else()
  target_compile_definitions(weir_flags INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
  target_compile_options(weir_flags INTERFACE -fstack-protector-strong)
endif()
if(WEIR_COVERAGE)
  target_compile_options(weir_flags INTERFACE --coverage)
  target_link_options(weir_flags INTERFACE --coverage)
endif()
if(WEIR_STATIC)
  # Still at an address of chance. weir resolves names by c-ares, so nothing here needs the C library's own plug-ins.
  target_compile_options(weir_flags INTERFACE -fPIE)
  target_link_options(weir_flags INTERFACE -static-pie)
endif()
