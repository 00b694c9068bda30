# What `cmake --install` puts where, and the packages that cpack makes of it (scripts/package).
#   WEIR_SYSTEM on, prefix /usr: into the system: units, a user, /etc/weir. This is the Debian package.
#   off: below the prefix alone, units and configuration as samples in share/weir. This is the tarball.
include(GNUInstallDirs)

file(GLOB manual_pages "${CMAKE_SOURCE_DIR}/docs/man/*.1")
install(FILES ${manual_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES README.md LICENSE docs/configuration.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)

install(DIRECTORY deploy/completion/bash/ DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(DIRECTORY deploy/completion/fish/ DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
if(WEIR_SYSTEM) # Debian's zsh looks for packages' completions elsewhere
  install(DIRECTORY deploy/completion/zsh/ DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
else()
  install(DIRECTORY deploy/completion/zsh/ DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
endif()

foreach(unit weir-node weir-coordinator)
  configure_file(deploy/systemd/${unit}.service.in ${CMAKE_BINARY_DIR}/generated/${unit}.service @ONLY)
  list(APPEND units ${CMAKE_BINARY_DIR}/generated/${unit}.service)
endforeach()
if(WEIR_SYSTEM)
  install(FILES ${units} DESTINATION lib/systemd/system)
  install(FILES deploy/systemd/sysusers.conf DESTINATION lib/sysusers.d RENAME weir.conf)
  install(FILES deploy/package/weir.yaml DESTINATION /etc/weir)
else()
  install(FILES ${units} DESTINATION ${CMAKE_INSTALL_DATADIR}/weir/systemd)
  install(FILES deploy/systemd/sysusers.conf DESTINATION ${CMAKE_INSTALL_DATADIR}/weir/sysusers RENAME weir.conf)
  install(FILES deploy/package/weir.yaml DESTINATION ${CMAKE_INSTALL_DATADIR}/weir)
endif()

set(CPACK_PACKAGE_NAME weir)
set(CPACK_PACKAGE_VENDOR weir)
set(CPACK_PACKAGE_CONTACT "weir maintainers <weir@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "clustered HTTP proxy for LLM APIs")
set(CPACK_PACKAGE_DESCRIPTION "Proxy nodes that pool connections to LLM providers and share what they know through Redis:
who lives, who serves which clients, which endpoints are sick, how much of a rate limit is left. With a coordinator that
balances and forecasts, a command line for operators, and a mock provider to try it with.")
set(CPACK_RESOURCE_FILE_LICENSE "${CMAKE_SOURCE_DIR}/LICENSE")
set(CPACK_PACKAGE_DIRECTORY "${CMAKE_BINARY_DIR}/packages")
set(CPACK_STRIP_FILES ON)
if(WEIR_SYSTEM)
  set(CPACK_GENERATOR DEB)
  set(CPACK_SET_DESTDIR ON) # /etc is outside the prefix
  set(CPACK_INSTALL_PREFIX /usr)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION net)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "passwd, procps, ca-certificates")
  set(CPACK_DEBIAN_PACKAGE_SUGGESTS "redis-server | valkey-server")
  foreach(file conffiles postinst prerm postrm)
    list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${CMAKE_SOURCE_DIR}/deploy/package/${file}")
  endforeach()
  set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
else()
  set(CPACK_GENERATOR TGZ)
  set(CPACK_PACKAGE_FILE_NAME "weir-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR}")
endif()
include(CPack)
