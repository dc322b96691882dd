# What the Makefiles of the C programs share: flags, rules, and the targets all, check, asan, fuzzers,
# format, format-check and clean. A Makefile says what there is, then includes this file:
#
#   PROGRAMS        what `all` makes, as build/NAME
#   PLAIN_PROGRAMS  those of them that no sanitizer can be in
#   TEST_PROGRAMS   what tests need beside them, as build/NAME
#   UNITS           test programs, as build/test/NAME, of which each has a test/NAME.c
#   SCRIPTS         tests of programs: NAME_COMMAND, which gets the directory of the programs as $(1)
#   ASAN_UNITS      units that make sense with the sanitizers only
#   ASAN_SCRIPTS    scripts that can look at sanitized programs
#   FUZZERS         libFuzzer programs, as build/fuzz/NAME, of which each has a test/fuzz_NAME.c
#
# Of programs, units and, as fuzz_NAME, fuzzers: NAME_PARTS, their sources without .c, of which
# shared/… are in this folder; NAME_LDFLAGS, NAME_LDLIBS. Of units: NAME_ARGUMENTS. Of units and scripts: NAME_NEEDS, files below
# the directory of the programs; NAME_ASAN, variables of the environment with the sanitizers.
# EXTRA_CFLAGS are for all. SLURM_PREFIX is where Slurm is installed, when the compiler does not know.
#
# `make asan` makes the same anew with the address and undefined behaviour sanitizers, in build/asan,
# and runs it there. `make fuzzers` makes the fuzzers, which takes clang; what they find they write to
# the current directory. src/test/fuzz/run runs all.

SHARED := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
MAKEFILES_READ := $(MAKEFILE_LIST)

# CFLAGS, CPPFLAGS and LDFLAGS are the packager's, from the environment or the command line.
CFLAGS ?= -O2 -g
OUR_CFLAGS := -std=gnu11 -Wall -Wextra -Wshadow -Wformat=2 -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Werror -fstack-protector-strong $(EXTRA_CFLAGS)
# As a system's headers, since Slurm's own have warnings.
OUR_CPPFLAGS = -I. -I$(SHARED)/.. $(SLURM_PREFIX:%=-isystem %/include)
OUR_LDFLAGS := -Wl,-z,relro,-z,now
# Unless the packager has chosen a level.
FORTIFY := $(if $(findstring _FORTIFY_SOURCE,$(CFLAGS) $(CPPFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANITIZE := -U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
# libFuzzer comes with clang alone.
FUZZ_CC ?= clang
FUZZ := $(SANITIZE) -fsanitize=fuzzer

# No program and no test ends with this code by itself.
ASAN_FOUND := 99
RUN := $(SHARED)/test/run
SOURCES := $(wildcard *.[ch] */*.[ch] */test/*.[ch])

all: $(PROGRAMS:%=build/%)

# --- what is made, in directory $(1) with flags $(2) and the compiler in the variable $(5) ---

define compile
$(1)/obj/%.o: %.c $(MAKEFILES_READ)
	@mkdir -p $$(@D)
	$$($(5)) $$(OUR_CPPFLAGS) $$(CPPFLAGS) $$(OUR_CFLAGS) $$(CFLAGS) $(2) -MMD -MP -c -o $$@ $$<

$(1)/obj/shared/%.o: $(SHARED)/%.c $(MAKEFILES_READ)
	@mkdir -p $$(@D)
	$$($(5)) $$(OUR_CPPFLAGS) $$(CPPFLAGS) $$(OUR_CFLAGS) $$(CFLAGS) $(2) -MMD -MP -c -o $$@ $$<

endef

# The file $(3) of the program or unit $(4).
define link
$(1)/$(3): $($(4)_PARTS:%=$(1)/obj/%.o) $(MAKEFILES_READ)
	@mkdir -p $$(@D)
	$$($(5)) $$(OUR_LDFLAGS) $$(LDFLAGS) $(2) $($(4)_LDFLAGS) -o $$@ $$(filter %.o,$$^) $($(4)_LDLIBS)

endef

# And all of the programs $(3).
define make_in
$(call compile,$(1),$(2),,,CC)
$(foreach program,$(3),$(call link,$(1),$(2),$(program),$(program),CC))
$(foreach unit,$(UNITS) $(ASAN_UNITS),$(call link,$(1),$(2),test/$(unit),$(unit),CC))
endef

define make_fuzzers
$(call compile,$(1),$(2),,,FUZZ_CC)
$(foreach fuzzer,$(FUZZERS),$(call link,$(1),$(2),$(fuzzer),fuzz_$(fuzzer),FUZZ_CC))
endef

define plain
build/asan/$(1): build/$(1)
	@mkdir -p $$(@D)
	ln -f $$< $$@

endef

$(foreach unit,$(UNITS) $(ASAN_UNITS) $(FUZZERS:%=fuzz_%),$(eval $(unit)_PARTS += test/$(unit)))
$(eval $(call make_in,build,$(FORTIFY),$(PROGRAMS) $(TEST_PROGRAMS)))
$(eval $(call make_in,build/asan,$(SANITIZE),$(filter-out $(PLAIN_PROGRAMS),$(PROGRAMS)) \
	$(TEST_PROGRAMS)))
$(eval $(foreach program,$(PLAIN_PROGRAMS),$(call plain,$(program))))
$(eval $(call make_fuzzers,build/fuzz,$(FUZZ)))

-include $(wildcard $(foreach directory,build build/asan build/fuzz,\
	$(directory)/obj/*.d $(directory)/obj/*/*.d))

# --- tests: of the programs in directory $(1), as target $(2)-NAME, in environment $(3) ---

define run_unit
.PHONY: $(2)-$(4)
$(2)-$(4): $(1)/test/$(4) $($(4)_NEEDS:%=$(1)/%)
	@$(RUN) '$(2) $(4)' env $(3) $(1)/test/$(4) $(call $(4)_ARGUMENTS,$(1))

endef

define run_script
.PHONY: $(2)-$(4)
$(2)-$(4): $($(4)_NEEDS:%=$(1)/%)
	@$(RUN) '$(2) $(4)' env $(3) $(call $(4)_COMMAND,$(1))

endef

ASAN := UBSAN_OPTIONS=exitcode=$(ASAN_FOUND) ASAN_OPTIONS=exitcode=$(ASAN_FOUND)
# Programs do not give back what they have when they end.
ASAN_WITHOUT_LEAKS := $(ASAN):detect_leaks=0

$(eval $(foreach unit,$(UNITS),$(call run_unit,build,check,,$(unit))))
$(eval $(foreach script,$(SCRIPTS),$(call run_script,build,check,,$(script))))
$(eval $(foreach unit,$(UNITS) $(ASAN_UNITS),\
	$(call run_unit,build/asan,asan,$(ASAN) $($(unit)_ASAN),$(unit))))
$(eval $(foreach script,$(ASAN_SCRIPTS),\
	$(call run_script,build/asan,asan,$(ASAN_WITHOUT_LEAKS) $($(script)_ASAN),$(script))))

# The long ones first.
check: all $(SCRIPTS:%=check-%) $(UNITS:%=check-%)

asan: $(ASAN_SCRIPTS:%=asan-%) $(ASAN_UNITS:%=asan-%) $(UNITS:%=asan-%)

fuzzers: $(FUZZERS:%=build/fuzz/%)

# --- the rest ---

format:
	clang-format -i $(SOURCES)

# Of the release whose ways the sources follow; others differ in details.
FORMATTER := 14
format-check:
	@case $$(clang-format --version) in \
	*' version $(FORMATTER).'*) clang-format --dry-run -Werror $(SOURCES) ;; \
	*) echo 'format-check: not done, it takes clang-format $(FORMATTER)' ;; \
	esac

clean:
	rm -rf build

ifneq ($(filter clean,$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif

.PHONY: all check asan fuzzers format format-check clean
.SECONDARY:
.DELETE_ON_ERROR:
