# bundle/operators.txt as the source file ${operators_source}: sorted tables, found by bisection.
set(operators_list ${CMAKE_CURRENT_LIST_DIR}/../bundle/operators.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${operators_list})

# The lines that begin with a mark, without it, as the elements of an array.
function(edge_operator_table mark name)
  file(STRINGS ${operators_list} lines REGEX "^${mark} ")
  list(LENGTH lines count)
  list(TRANSFORM lines REPLACE "^${mark} (.*)$" "    \"\\1\",\n")
  list(JOIN lines "" table)
  set(${name} "${table}" PARENT_SCOPE)
  set(${name}_count ${count} PARENT_SCOPE)
endfunction()

edge_operator_table("allow" allowed)
edge_operator_table("refuse" refused)
edge_operator_table("class" classes)
edge_operator_table("keyword" keywords)
set(operators_source ${CMAKE_CURRENT_BINARY_DIR}/generated/bundle/operators.cpp)
configure_file(${CMAKE_CURRENT_LIST_DIR}/../bundle/operators.cpp.in ${operators_source} @ONLY)
