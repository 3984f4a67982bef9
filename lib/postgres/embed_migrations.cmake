# posthorn_embed_migrations(TARGET NAMESPACE DIRECTORY): adds to TARGET a source that defines
#   std::vector<posthorn::postgres::Migration> NAMESPACE::Migrations();
# with every NNNN_title.sql of DIRECTORY. Declare it where it is used.
set(POSTHORN_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE} CACHE INTERNAL "")

if(CMAKE_SCRIPT_MODE_FILE)
  file(GLOB files "${DIRECTORY}/*.sql")
  list(SORT files)
  set(code "#include \"lib/postgres/migrate.h\"\n\nnamespace ${NAMESPACE} {\n")
  string(APPEND code "std::vector<posthorn::postgres::Migration> Migrations();\n")
  string(APPEND code "std::vector<posthorn::postgres::Migration> Migrations() {\n  return {\n")
  foreach(file IN LISTS files)
    get_filename_component(name "${file}" NAME_WE)
    string(REGEX MATCH "^[0-9]+" number "${name}")
    string(REGEX REPLACE "^0+" "" number "${number}")
    file(READ "${file}" sql)
    string(APPEND code "      {${number}, \"${name}\", R\"posthorn_sql(${sql})posthorn_sql\"},\n")
  endforeach()
  string(APPEND code "  };\n}\n}  // namespace ${NAMESPACE}\n")
  file(WRITE "${OUTPUT}" "${code}")
  return()
endif()

function(posthorn_embed_migrations target namespace directory)
  file(GLOB files CONFIGURE_DEPENDS "${directory}/*.sql")
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${target}_migrations.cc")
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DNAMESPACE=${namespace} -DDIRECTORY=${directory} -DOUTPUT=${output}
            -P ${POSTHORN_EMBED_SCRIPT}
    DEPENDS ${files} ${POSTHORN_EMBED_SCRIPT} VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
