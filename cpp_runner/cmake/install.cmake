# cmake --install, and find_package(edge_runner).
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/edge_runner)

install(TARGETS edge_runner EXPORT edge_runner LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/edge_runner DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT edge_runner NAMESPACE edge_runner:: FILE edge_runnerTargets.cmake
  DESTINATION ${package_folder})
configure_package_config_file(cmake/edge_runnerConfig.cmake.in edge_runnerConfig.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(edge_runnerConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/edge_runnerConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/edge_runnerConfigVersion.cmake DESTINATION ${package_folder})
