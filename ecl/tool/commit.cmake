# cmake -DSOURCE=DIR -DOUT=FILE -P commit.cmake: the commit that is built as a function, in FILE, which is written anew
# when it is another one only. It is "unknown" where SOURCE is no checkout, also inside some other checkout.
cmake_minimum_required(VERSION 3.22)
find_program(git git)
set(commit unknown)
if(git)
  set(ENV{GIT_OPTIONAL_LOCKS} 0)
  execute_process(COMMAND ${git} -C ${SOURCE} rev-parse --show-toplevel OUTPUT_VARIABLE top ERROR_QUIET
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(REAL_PATH "${SOURCE}" source)
  if(top STREQUAL source)
    execute_process(COMMAND ${git} -C ${SOURCE} describe --always --exclude=* --abbrev=12 "--dirty=, with changes"
      OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#include \"ecl/tool/about.hpp\"

std::string ecl::commit() { return \"@commit@\"; }
" @ONLY)
