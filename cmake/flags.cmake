# SPDX-License-Identifier: Apache-2.0
#
# Compiler and linker flags for every target of the project.
include(CheckCCompilerFlag)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_compile_options(-fPIE) # not -fPIC, which forbids inlining across functions that could be replaced
add_link_options(-pie)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_FLAGS_DEBUG "-O1 -fno-omit-frame-pointer")
set(CMAKE_C_FLAGS_RELEASE "-O2")
if(SP_COVERAGE)
    set(CMAKE_C_FLAGS_DEBUG "-O0")
endif()

add_compile_options(
    -g -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wformat=2
    -Werror=format-security -Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion
    -ffp-contract=off # the same bits on every machine
    -fno-math-errno   # sqrt is one instruction
    -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing)
if(NOT SP_COVERAGE)
    add_compile_options("-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=") # the same bytes wherever it is built
endif()
if(SP_WERROR)
    add_compile_options(-Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug" OR SP_CHECKS)
    add_compile_definitions(SP_DEBUG)
endif()

# Adds those of the flags that the compiler knows.
function(sp_add_known_flags)
    set(CMAKE_REQUIRED_FLAGS -Werror) # a flag that is ignored is not known
    foreach(flag IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "SP_KNOWS${flag}" known)
        check_c_compiler_flag("${flag}" ${known})
        if(${known})
            add_compile_options("${flag}")
        endif()
    endforeach()
endfunction()

sp_add_known_flags(-Wimplicit-fallthrough -Wtrampolines -Wbidi-chars=any)

if(SP_SANITIZE)
    add_compile_options("-fsanitize=${SP_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options("-fsanitize=${SP_SANITIZE}")
elseif(NOT SP_COVERAGE)
    # OpenSSF's compiler hardening guide; not under sanitizers, which it would blind.
    sp_add_known_flags(-fstack-clash-protection -fstack-protector-strong -fcf-protection=full
        -mbranch-protection=standard -ftrivial-auto-var-init=zero -fexceptions -fstrict-flex-arrays=3)
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
    endif()
    add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack,-z,nodlopen -Wl,--as-needed)
endif()
if(SP_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
if(SP_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "SP_FUZZ needs clang: -DCMAKE_C_COMPILER=clang-14")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
