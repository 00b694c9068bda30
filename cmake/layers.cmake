# One function per kind of target. Sources are globbed: a new file in a layer's folder belongs to that layer.

# weir_layer(NAME SOURCES dir [DEPS target...] [EXCLUDE file...]): a static library weir_NAME.
function(weir_layer name)
  cmake_parse_arguments(ARG "" "SOURCES" "DEPS;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${ARG_SOURCES}/*.c")
  foreach(file ${ARG_EXCLUDE})
    list(REMOVE_ITEM sources "${CMAKE_SOURCE_DIR}/${file}")
  endforeach()
  if(NOT sources) # a layer not begun yet
    add_library(weir_${name} INTERFACE)
    target_link_libraries(weir_${name} INTERFACE weir_flags ${ARG_DEPS} Threads::Threads m)
    return()
  endif()
  add_library(weir_${name} STATIC ${sources})
  target_link_libraries(weir_${name} PUBLIC weir_flags ${ARG_DEPS} Threads::Threads m)
  if(name STREQUAL "core")
    # Core decides and computes: whatever does I/O or waits is out of its reach.
    target_include_directories(weir_core BEFORE PRIVATE "${CMAKE_SOURCE_DIR}/cmake/out-of-reach")
  endif()
endfunction()

# weir_embed_lua(LAYER dir): each dir/NAME.lua, behind dir/prelude.lua, becomes weir_lua_NAME in that layer; "weir_lua.h"
# declares them to whoever links it.
function(weir_embed_lua layer dir)
  file(GLOB scripts CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${dir}/*.lua")
  set(prelude "${CMAKE_SOURCE_DIR}/${dir}/prelude.lua")
  list(REMOVE_ITEM scripts "${prelude}")
  set(folder ${CMAKE_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${folder}/weir_lua.c ${folder}/weir_lua.h
    COMMAND ${CMAKE_COMMAND} "-DSCRIPTS=${scripts}" "-DPRELUDE=${prelude}" -DOUT=${folder}/weir_lua
      -P ${CMAKE_SOURCE_DIR}/cmake/embed_lua.cmake
    DEPENDS ${scripts} ${prelude} ${CMAKE_SOURCE_DIR}/cmake/embed_lua.cmake VERBATIM)
  target_sources(weir_${layer} PRIVATE ${folder}/weir_lua.c ${folder}/weir_lua.h)
  target_include_directories(weir_${layer} PUBLIC ${folder})
endfunction()

# weir_program(NAME main.c layer...)
function(weir_program name main)
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${main})
    return()
  endif()
  add_executable(${name} ${CMAKE_SOURCE_DIR}/${main})
  target_link_libraries(${name} PRIVATE weir_flags ${ARGN})
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# weir_unit_tests(LAYER dir): each test_*.c is a Check program of its own. Helpers of its folder and those in
# tests/unit/helper that its layer can build (core_*.c everywhere, net_*.c from net up) are compiled once and linked into
# each.
function(weir_unit_tests layer dir)
  file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${dir}/test_*.c")
  file(GLOB helpers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${dir}/helper_*.c"
       "${CMAKE_SOURCE_DIR}/tests/unit/helper/core_*.c")
  if(NOT layer STREQUAL "core")
    file(GLOB net_helpers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/unit/helper/net_*.c")
    list(APPEND helpers ${net_helpers})
  endif()
  set(helped ${layer}_test_helpers)
  add_library(${helped} OBJECT ${helpers})
  target_include_directories(${helped} PUBLIC "${CMAKE_SOURCE_DIR}/tests/unit")
  target_compile_definitions(${helped} PUBLIC WEIR_TESTS_DIR="${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(${helped} PUBLIC weir_${layer} weir_dep_check)
  foreach(test ${tests})
    get_filename_component(stem ${test} NAME_WE)
    set(target ${layer}_${stem})
    add_executable(${target} ${test})
    target_link_libraries(${target} PRIVATE ${helped})
    target_link_options(${target} PRIVATE LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=free)
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    add_test(NAME ${layer}/${stem} COMMAND ${target})
    set_tests_properties(${layer}/${stem} PROPERTIES TIMEOUT 240)
  endforeach()
endfunction()

# weir_simulator(dir): the whole cluster in one program, over core alone. Few seeds here, fewer still in slow builds; many
# by hand.
function(weir_simulator dir)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${dir}/*.c")
  add_executable(weir-sim ${sources})
  target_link_libraries(weir-sim PRIVATE weir_core)
  add_custom_target(sim-commit COMMAND ${CMAKE_COMMAND} -DOUT=${CMAKE_BINARY_DIR}/generated/sim_commit.h
    -P ${CMAKE_SOURCE_DIR}/cmake/sim_commit.cmake WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/sim_commit.h VERBATIM)
  add_dependencies(weir-sim sim-commit)
  target_include_directories(weir-sim PRIVATE ${CMAKE_BINARY_DIR}/generated)
  set_target_properties(weir-sim PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/sim)
  set(seeds 60)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    set(seeds 300)
  endif()
  add_test(NAME sim/seeds COMMAND weir-sim --seeds ${seeds})
  add_test(NAME sim/plants COMMAND weir-sim --plants)
  set_tests_properties(sim/seeds sim/plants PROPERTIES TIMEOUT 600)
endfunction()

# weir_fuzzers(dir): each fuzz_*.c is a libFuzzer program.
function(weir_fuzzers dir)
  file(GLOB fuzzers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${dir}/fuzz_*.c")
  foreach(fuzzer ${fuzzers})
    get_filename_component(stem ${fuzzer} NAME_WE)
    add_executable(${stem} ${fuzzer})
    target_link_libraries(${stem} PRIVATE weir_node weir_coordinator)
    target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  endforeach()
endfunction()

# weir_tools(dir): each .c is a small program of the bench (build/bench/NAME) that uses no library of ours.
function(weir_tools dir)
  file(GLOB tools CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${dir}/*.c")
  foreach(tool ${tools})
    get_filename_component(stem ${tool} NAME_WE)
    add_executable(${stem} ${tool})
    target_link_libraries(${stem} PRIVATE weir_flags Threads::Threads)
    set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  endforeach()
endfunction()
