# Writes the commit that is built, with -dirty if it is not quite that, for the simulator's failures. The file only
# changes when the commit does.
execute_process(COMMAND git describe --always --dirty OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
  ERROR_QUIET)
if(commit STREQUAL "")
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define WEIR_SIM_COMMIT \"${commit}\"\n")
