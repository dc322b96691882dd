# All C at once: make -f spank-shim/shared/all.mk TARGET..., those of build.mk.
# Says nothing but a line for each test, and all about what fails.

DIRECTORIES := spank-shim ssh-hook launcher/src/main/native
TOP := $(dir $(lastword $(MAKEFILE_LIST)))../..
MAKEFLAGS += --silent --no-print-directory --output-sync=target --jobs=$(shell nproc)

$(or $(MAKECMDGOALS),all): $(DIRECTORIES)

$(DIRECTORIES):
	+$(MAKE) --directory=$(TOP)/$@ $(MAKECMDGOALS)

.PHONY: $(MAKECMDGOALS) $(DIRECTORIES) all
