# Fuzzers: clang's libFuzzer over tests/fuzz/fuzz_*.c, one target each.
#   make fuzz T=devices TIME=1200     one, for so many seconds
#   make fuzz                         all, TIME=60 each
# What a run finds goes to build/fuzz/corpus/<target>, crashes beside them. Head
# lines of a source: "// SOURCES:", "// SOURCES-OF: file" (as that file says),
# "// LIBS:", "// FLAGS:" as for unit tests; "// RUNS:" and "// MAX_LEN:" for
# tests/fuzz/run, which `make test` uses.
TIME ?= 60
FUZZ_ALL := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ := $(if $(T),$(addprefix build/fuzz/fuzz_,$(T)),$(FUZZ_ALL))
FUZZ_FLAGS := -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-Itests/fuzz -Itests/unit/fake -I. -DUNIT_TEST=1 -DBULKHEAD_VERSION='"fuzz"'
build/fuzz/%: tests/fuzz/%.c Makefile tests/fuzz/fuzz.mk | deps-test
	$(call say,FUZZ,$<)
	$(call build_program,$(CCACHE) clang,$(FUZZ_FLAGS))

.PHONY: fuzz fuzz-build
fuzz-build: $(FUZZ)
fuzz: $(FUZZ)
	@tests/fuzz/run --time $(TIME) $(notdir $(FUZZ))

-include $(addsuffix .d,$(FUZZ_ALL))
