# The page at /dashboard: dashboard/ bundled with uPlot from npm into one file, and that into the layer's library as
# `weir_dashboard` (node/dashboard.h). Without npm, or when its packages cannot be had, the layer is built without the
# page: that is said here, and by the node to whoever asks for it.
option(WEIR_DASHBOARD "Build the web page at /dashboard into weir-node (needs npm)" ON)

# _weir_dashboard_packages(FOLDER WHY): installs what package-lock.json names into FOLDER, unless that was done for this
# very lock file; WHY is set to the reason where it cannot be done.
function(_weir_dashboard_packages folder why)
  find_program(WEIR_NPM npm)
  find_program(WEIR_NODEJS NAMES node nodejs)
  mark_as_advanced(WEIR_NPM WEIR_NODEJS)
  if(NOT WEIR_NPM OR NOT WEIR_NODEJS)
    set(${why} "npm was not there when its build was configured" PARENT_SCOPE)
    return()
  endif()
  file(SHA256 "${CMAKE_SOURCE_DIR}/dashboard/package-lock.json" lock)
  set(stamp "${folder}/installed-${lock}")
  if(EXISTS "${stamp}")
    return()
  endif()
  file(REMOVE_RECURSE "${folder}")
  file(COPY "${CMAKE_SOURCE_DIR}/dashboard/package.json" "${CMAKE_SOURCE_DIR}/dashboard/package-lock.json"
       DESTINATION "${folder}")
  execute_process(COMMAND ${WEIR_NPM} ci --no-audit --no-fund --ignore-scripts --prefer-offline
                          --fetch-retries=1 --fetch-timeout=30000
    WORKING_DIRECTORY "${folder}" RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE error TIMEOUT 300)
  if(NOT result EQUAL 0)
    message(STATUS "npm ci in ${folder}: ${result}\n${error}")
    set(${why} "npm could not install its packages when its build was configured" PARENT_SCOPE)
    return()
  endif()
  file(WRITE "${stamp}" "")
endfunction()

# weir_dashboard(LAYER): adds `weir_dashboard` to that layer, with the page or with the reason why there is none.
function(weir_dashboard layer)
  set(source "${CMAKE_BINARY_DIR}/generated/weir_dashboard.c")
  set(folder "${CMAKE_BINARY_DIR}/dashboard")
  set(why "")
  if(WEIR_DASHBOARD)
    _weir_dashboard_packages("${folder}" why)
  else()
    set(why "WEIR_DASHBOARD was off when its build was configured")
  endif()
  if(why)
    message(STATUS "weir-node is built without its page at /dashboard: ${why}")
    file(CONFIGURE OUTPUT "${source}" CONTENT [[/* Made by cmake/dashboard.cmake. */
#include "node/dashboard.h"

const struct weir_dashboard weir_dashboard = {.missing = "@why@"};
]] @ONLY)
  else()
    file(GLOB inputs CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/dashboard/*")
    add_custom_command(OUTPUT "${source}"
      COMMAND ${WEIR_NODEJS} "${CMAKE_SOURCE_DIR}/dashboard/build.mjs" "${folder}" "${source}"
      DEPENDS ${inputs} COMMENT "Bundling the page at /dashboard" VERBATIM)
  endif()
  target_sources(weir_${layer} PRIVATE "${source}")
endfunction()
