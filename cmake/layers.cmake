# SPDX-License-Identifier: Apache-2.0
#
# sp_layer(NAME FOLDER [LAYER...]): the static library sp_NAME of FOLDER/*.c that may include the named layers. A
# layer without sources is an interface library, so that the project can be configured at every moment.
set_property(GLOBAL PROPERTY sp_layers "")

function(sp_layer name folder)
    file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/inc/${name}")
    file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${folder}" "${CMAKE_BINARY_DIR}/inc/${name}/${name}" SYMBOLIC)
    file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${folder}/*.c")
    list(TRANSFORM ARGN PREPEND "sp_")
    if(sources)
        add_library(sp_${name} STATIC ${sources})
        target_include_directories(sp_${name} PUBLIC "${CMAKE_BINARY_DIR}/inc/${name}")
        target_link_libraries(sp_${name} PUBLIC ${ARGN})
        set_property(GLOBAL APPEND PROPERTY sp_layers sp_${name})
    else()
        add_library(sp_${name} INTERFACE)
        target_include_directories(sp_${name} INTERFACE "${CMAKE_BINARY_DIR}/inc/${name}")
        target_link_libraries(sp_${name} INTERFACE ${ARGN})
    endif()
endfunction()

# Third-party libraries of a layer; who includes the layer does not see their headers.
function(sp_layer_uses name)
    get_target_property(kind sp_${name} TYPE)
    if(kind STREQUAL "STATIC_LIBRARY")
        target_link_libraries(sp_${name} PRIVATE ${ARGN})
    endif()
endfunction()

# Links every layer: for the program and the tests. A group, because the policy table of the upper layers is
# handed down by name.
function(sp_link_all target)
    get_property(layers GLOBAL PROPERTY sp_layers)
    target_link_libraries(${target} PRIVATE sp_base sp_model sp_engine sp_policies sp_wire sp_conf sp_daemon sp_sim)
    list(JOIN layers "," group)
    target_link_libraries(${target} PRIVATE "$<LINK_GROUP:RESCAN,${group}>")
endfunction()
