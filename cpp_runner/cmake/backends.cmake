# The backends that are modules, which the library loads when they are first used. Further arguments
# are source files beside the backend's own.
function(edge_backend name dependency)
  add_library(edge_backend_${name} MODULE runner/${name}.cpp ${ARGN})
  target_include_directories(edge_backend_${name} PRIVATE
    ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/include)
  target_link_libraries(edge_backend_${name} PRIVATE edge_options ${dependency} ${CMAKE_DL_LIBS})
  edge_export_only(edge_backend_${name} runner/module.map)
  install(TARGETS edge_backend_${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

if(EDGE_HAS_ONNXRUNTIME)
  edge_backend(onnxruntime edge_onnxruntime)
endif()
if(EDGE_HAS_LIBTORCH)
  edge_backend(libtorch edge_libtorch runner/libtorch_guards.cpp)
  # The library is in the process by then; the path is for tools such as ldd.
  set_target_properties(edge_backend_libtorch PROPERTIES INSTALL_RPATH ${LIBTORCH_LIBRARY_DIR})
endif()
message(STATUS "Backends: ONNX Runtime ${EDGE_HAS_ONNXRUNTIME}, LibTorch ${EDGE_HAS_LIBTORCH}")
