# bundle/operators.txt and bundle/onnx.txt as the source files ${operators_sources}: sorted tables,
# found by bisection.
set(lists ${CMAKE_CURRENT_LIST_DIR}/../bundle)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${lists}/operators.txt ${lists}/onnx.txt)

# The lines of a list that begin with a mark, each written as `form` says, and how many they are.
function(edge_table list mark form name)
  file(STRINGS ${lists}/${list} lines REGEX "^${mark} ")
  list(LENGTH lines count)
  list(TRANSFORM lines REPLACE "^${mark} (.*)$" "${form}")
  list(JOIN lines "" table)
  set(${name} "${table}" PARENT_SCOPE)
  set(${name}_count ${count} PARENT_SCOPE)
endfunction()

set(text "    \"\\1\",\n")
edge_table(operators.txt allow "${text}" allowed)
edge_table(operators.txt refuse "${text}" refused)
edge_table(operators.txt class "${text}" classes)
edge_table(operators.txt keyword "${text}" keywords)
edge_table(onnx.txt domain "${text}" domains)
edge_table(onnx.txt microsoft "${text}" microsoft)

file(STRINGS ${lists}/onnx.txt names REGEX "^message ")
list(TRANSFORM names REPLACE "^message ([a-z_]+) (.*)$" "    \"\\2\",\n")
list(JOIN names "" names)
file(STRINGS ${lists}/onnx.txt fields REGEX "^field ")
set(owners ${fields})
list(TRANSFORM owners REPLACE "^field ([a-z_]+) .*$" "    Message::\\1,\n")
list(JOIN owners "" owners)
set(field "^field [a-z_]+ ([0-9]+) ([a-z0-9_]+) ([a-z]+)")
list(TRANSFORM fields REPLACE "${field} message ([a-z_]+)$"
  "    Rule{\\1, \"\\2\", Kind::message, \\3, Message::\\4},\n")
list(TRANSFORM fields REPLACE "${field} ([a-z0-9]+)$"
  "    Rule{\\1, \"\\2\", Kind::\\4, \\3, Message::none},\n")
list(JOIN fields "" rules)

set(operators_sources)
foreach(source operators onnx_schema)
  set(made ${CMAKE_CURRENT_BINARY_DIR}/generated/bundle/${source}.cpp)
  configure_file(${lists}/${source}.cpp.in ${made} @ONLY)
  list(APPEND operators_sources ${made})
endforeach()
