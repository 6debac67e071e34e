# Bulkhead's build. `make help` lists the targets.
#
# One UEFI application, BOOTX64.EFI, holds the loader (boot/efi_*.c), the
# kernel (linked by linker.ld) and the monitor (linked by vmm/monitor.ld).
# Everything made goes to $(B). VARIANT=test builds into build/test with
# tests/variant first on the include path, and with tests/variant/<path>.c in
# place of <path>.c or beside the others: a test-only feature is another file,
# never an #ifdef.

MAKEFLAGS += --no-builtin-rules
SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:

VARIANT ?=
B := build$(if $(VARIANT),/$(VARIANT))
V ?= 0
Q := $(if $(filter 0,$(V)),@)
say = @$(if $(filter 0,$(V)),printf '  %-7s %s\n' $(1) $(2),:)

# Unit tests compile the same files again and again, each into its own program: where there is
# ccache (tools/deps test), most of that is once.
CCACHE := $(shell command -v ccache)
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
CC := $(CCACHE) gcc
LD := ld
PYTHON := /usr/bin/python3

# A release has a tag; else the number of the next one and the commit.
VERSION ?= $(shell git describe --tags --match 'v*' 2>/dev/null | sed 's/^v//')
ifeq ($(VERSION),)
VERSION := 0.1$(shell git rev-parse --short HEAD 2>/dev/null | sed '/[^0-9a-f]/d;s/^/-/')
endif

.PHONY: all
all: $(B)/BOOTX64.EFI

# ------------------------------------------------------------------ sources

variant = $(foreach f,$(1),$(if $(VARIANT),$(or $(wildcard tests/variant/$(f)),$(f)),$(f)))

KERNEL_SRC := $(call variant,$(sort $(wildcard arch/*.c arch/*.S arch/svm/*.c arch/svm/*.S \
	arch/vmx/*.c arch/vmx/*.S \
	kernel/*.c drivers/*.c)) boot/main.c boot/entry.S)
VMM_SRC := $(call variant,$(sort $(wildcard vmm/*.c vmm/*.S)))
ifneq ($(VARIANT),) # what replaces nothing; sort drops what is named twice
KERNEL_SRC := $(sort $(KERNEL_SRC) $(wildcard tests/variant/arch/*.c tests/variant/kernel/*.c))
VMM_SRC := $(sort $(VMM_SRC) $(wildcard tests/variant/vmm/*.c))
endif
LOADER_SRC := $(sort $(wildcard boot/efi_*.c)) boot/ranges.c boot/paging.c kernel/wall_time.c \
	arch/vmx/caps.c boot/efi_switch.S kernel/config.c kernel/string.c kernel/print.c \
	kernel/crashlog.c

# The rest of the configuration's parser.
LOADER_EXTRA := $(sort $(wildcard kernel/config_*.c kernel/toml*.c kernel/utf8*.c))

objects = $(patsubst %,$(B)/$(1)/%.o,$(basename $(2)))
KERNEL_OBJ := $(call objects,kernel,$(KERNEL_SRC))
VMM_OBJ := $(call objects,monitor,$(VMM_SRC))
LOADER_OBJ := $(call objects,loader,$(LOADER_SRC) $(LOADER_EXTRA)) $(B)/loader/boot/payload.o

# -------------------------------------------------------------------- flags

INCLUDES := $(if $(VARIANT),-Itests/variant) -I.
WARN := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Werror
COMMON := -std=gnu17 $(WARN) -O2 -g -ffreestanding -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	-fno-common -ffile-prefix-map=$(CURDIR)/= \
	$(INCLUDES)
SECTIONS := -ffunction-sections -fdata-sections
KERNEL_CFLAGS := $(COMMON) $(SECTIONS) -fno-pic -mcmodel=kernel
VMM_CFLAGS := $(COMMON) $(SECTIONS) -fno-pic
# no sections of their own here: gnu-efi's linker script knows .data and .bss alone
LOADER_CFLAGS := $(COMMON) -fpic -fshort-wchar -DGNU_EFI_USE_MS_ABI \
	-isystem /usr/include/efi -isystem /usr/include/efi/x86_64
LINK := -nostdlib -static --gc-sections -z noexecstack -z max-page-size=4096 --build-id=none \
	--fatal-warnings
EFI_LIB := /usr/lib

# The compiler must not turn memcpy's own loop into a call of memcpy.
%/kernel/string.o: KERNEL_CFLAGS += -fno-tree-loop-distribute-patterns
%/kernel/string.o: LOADER_CFLAGS += -fno-tree-loop-distribute-patterns
%/vmm/lib.o %/vmm/string.o: VMM_CFLAGS += -fno-tree-loop-distribute-patterns

# ------------------------------------------------------------- compile, link

# A file whose text mentions BULKHEAD_VERSION is compiled again when that changes.
VERSION_FILE := $(B)/version
$(shell mkdir -p $(B); [ "$$(cat $(VERSION_FILE) 2>/dev/null)" = "$(VERSION)" ] || \
	echo "$(VERSION)" > $(VERSION_FILE))
KERNEL_CFLAGS += -DBULKHEAD_VERSION='"$(VERSION)"'
LOADER_CFLAGS += -DBULKHEAD_VERSION='"$(VERSION)"'
VERSIONED := $(shell grep -lE 'BULKHEAD_VERSION|version\.h' $(KERNEL_SRC) $(LOADER_SRC) 2>/dev/null)
$(call objects,kernel,$(filter $(KERNEL_SRC),$(VERSIONED))): $(VERSION_FILE)
$(call objects,loader,$(filter $(LOADER_SRC),$(VERSIONED))): $(VERSION_FILE)

define compile # room, FLAGS variable, extension
$(B)/$(1)/%.o: %.$(3) Makefile | deps-build
	$$(call say,CC,$$<)
	@mkdir -p $$(@D)
	$(Q)$(CC) $$($(2)) $(if $(filter S,$(3)),-D__ASSEMBLY__) -MMD -MP -c $$< -o $$@
endef
$(foreach e,c S,$(eval $(call compile,kernel,KERNEL_CFLAGS,$(e))))
$(foreach e,c S,$(eval $(call compile,monitor,VMM_CFLAGS,$(e))))
$(foreach e,c S,$(eval $(call compile,loader,LOADER_CFLAGS,$(e))))

$(B)/kernel.elf: linker.ld $(KERNEL_OBJ)
	$(call say,LD,$@)
	$(Q)$(LD) $(LINK) -Map $@.map -T linker.ld -o $@ $(KERNEL_OBJ)

$(B)/monitor.elf: vmm/monitor.ld $(VMM_OBJ)
	$(call say,LD,$@)
	$(Q)$(LD) $(LINK) -Map $@.map -T vmm/monitor.ld -o $@ $(VMM_OBJ)

$(B)/%.stripped: $(B)/%.elf
	$(Q)strip -s -o $@ $<

$(B)/kernel.sym: $(B)/kernel.elf tools/symtab.py
	$(call say,SYMTAB,$@)
	$(Q)$(PYTHON) tools/symtab.py $< $@

# The payload is included by .incbin, found through -I$(B).
$(B)/loader/boot/payload.o: boot/payload.S $(B)/kernel.stripped $(B)/monitor.stripped \
		$(B)/kernel.sym Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -Wa,-I$(B) -c $< -o $@

$(B)/loader.so: $(LOADER_OBJ)
	$(call say,LD,$@)
	$(Q)$(LD) -nostdlib -znocombreloc -shared -Bsymbolic --build-id=none --no-undefined \
		-z noexecstack -z max-page-size=4096 \
		-T $(EFI_LIB)/elf_x86_64_efi.lds -o $@ $(EFI_LIB)/crt0-efi-x86_64.o $(LOADER_OBJ) \
		$(EFI_LIB)/libgnuefi.a

$(B)/BOOTX64.EFI: $(B)/loader.so
	$(call say,EFI,$@)
	$(Q)objcopy -j .text -j .sdata -j .data -j .dynamic -j .rela -j .reloc \
		--target efi-app-x86_64 --subsystem=10 $< $@

# --------------------------------------------------------------- what it needs

# `tools/deps` says what is missing and installs it; it costs 30 ms otherwise.
.PHONY: deps deps-build deps-run deps-bochs deps-test
deps: deps-build deps-run deps-test
deps-build:
	@tools/deps build
deps-run: deps-build
	@tools/deps build run
deps-bochs: deps-run
	@tools/deps build run bochs
deps-test: deps-run
	@tools/deps build run bochs test

# -------------------------------------------------------------- guests and ESP

GUESTS := build/guests
CONFIG ?= boot/bulkhead.toml
EXTRA ?=

.PHONY: guests esp image
guests: $(GUESTS)/.done
$(GUESTS)/.done: tools/guest-files tools/mkinitrd.py tools/guest-init | deps-run
	@tools/guest-files build/cache $(GUESTS)
	@touch $@
# 70 MB more to fetch: for make test-long only
$(GUESTS)/.generic: tools/guest-files tools/mkinitrd.py tools/guest-init | deps-run
	@tools/guest-files build/cache $(GUESTS) generic
	@touch $@

$(B)/esp/.done: FORCE $(B)/BOOTX64.EFI $(GUESTS)/.done
	@EFI=$(B)/BOOTX64.EFI CONFIG='$(CONFIG)' GUESTS=$(GUESTS) EXTRA='$(EXTRA)' tools/mkesp $(B)/esp
esp: $(B)/esp/.done

IMAGE ?= $(B)/bulkhead.img
image: esp
	@tools/mkimage $(B)/esp $(IMAGE)

# ------------------------------------------------------------------------- run

# CPU=intel runs in Bochs, as QEMU's TCG has no VT-x; so does any MODEL= of Bochs:
# skylake_x, or ryzen for a second AMD-V.
CPU ?= amd
MODEL ?= $(if $(filter intel,$(CPU)),corei7_haswell_4770)

MEM ?= $(if $(MODEL),1024,2048)
CPUS ?= 4
QEMU ?= qemu-system-x86_64
OVMF ?= /usr/share/ovmf/OVMF.fd
QEMU_FLAGS ?=

# EPYC without what TCG lacks anyway, so that QEMU has nothing to warn about.
QEMU_CPU ?= EPYC,+svm,+npt,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,\
-nrip-save,-xsavec

# Raw bytes both ways, so that Ctrl-C and Ctrl-] reach Bulkhead.
QEMU_CMD = $(QEMU) -name bulkhead -machine q35 -accel tcg,thread=multi -cpu '$(subst $() ,,$(QEMU_CPU))' \
	-smp $(CPUS) -m $(MEM) -bios $(OVMF) -nodefaults -display none \
	-drive if=none,id=boot,format=raw,snapshot=on,file=$(IMAGE) \
	-device ide-hd,drive=boot,bus=ide.0 \
	-chardev stdio,id=com1,signal=off -serial chardev:com1 \
	-pidfile $(B)/qemu.pid $(QEMU_FLAGS)

BOCHS_CMD = tools/run-bochs $(IMAGE) --model $(MODEL) --cpus $(CPUS) --memory $(MEM) \
	--pid-file $(B)/bochs.pid --log $(B)/bochs.log $(BOCHS_FLAGS)
BOCHS_FLAGS ?=

.PHONY: run run-gdb quit
run: $(if $(MODEL),deps-bochs) image
	$(if $(filter amd intel,$(CPU)),,$(error CPU is amd or intel, not "$(CPU)"))
	@echo "COM1 is this terminal. To leave: type poweroff at the prompt," \
		"or run 'make quit$(if $(VARIANT), VARIANT=$(VARIANT))' elsewhere."
	@$(if $(MODEL),$(BOCHS_CMD),$(QEMU_CMD))

run-gdb: image
	@echo "QEMU waits for a debugger. In another terminal:"
	@echo "  gdb $(B)/kernel.elf -ex 'target remote localhost:1234' \\"
	@echo "      -ex 'hbreak _start' -ex continue"
	@$(QEMU_CMD) -s -S

quit:
	@for f in $(B)/qemu.pid $(B)/bochs.pid; do \
		[ ! -e $$f ] || kill "$$(cat $$f)"; \
	done

# ----------------------------------------------------------------------- tests

# tests/unit/test_x.c names what it is built from: "// SOURCES: kernel/x.c ...",
# and optionally "// LIBS: -lZydis" and "// FLAGS:", which come before all others.
UNIT := $(patsubst tests/unit/%.c,build/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_FLAGS := -std=gnu17 -g -O1 -Wall -Wextra -fsanitize=address,undefined \
	-fno-sanitize-recover=all -fno-omit-frame-pointer -Itests/unit/fake -I. -DUNIT_TEST=1 \
	-DBULKHEAD_VERSION='"unit"'

# The dependency file lists every source as a target too: one that is gone must
# not stop make before the test's own list is read again.
define build_program # compiler, flags, libraries
	@mkdir -p $(@D)
	$(Q)of="$$(sed -n 's|^// SOURCES-OF:||p' $<)"; \
	srcs="$< $$(sed -n 's|^// SOURCES:||p' $< $$of)"; libs="$$(sed -n 's|^// LIBS:||p' $<)"; \
	flags="$$(sed -n 's|^// FLAGS:||p' $< $$of)"; \
	$(1) $$flags $(2) -MM -MP -MT $@ $$srcs > $@.d && printf '%s:\n' $$srcs >> $@.d && \
	printf '$@: %s\n' $$of >> $@.d && \
	rm -rf $@.o; mkdir $@.o; objs=; \
	for s in $$srcs; do \
		o="$@.o/$$(echo $$s | tr / _).o"; objs="$$objs $$o"; \
		$(1) $$flags $(2) -c -o $$o $$s || exit 1; \
	done; \
	$(1) $$flags $(2) -o $@ $$objs $(3) $$libs
endef

build/unit/%: tests/unit/%.c Makefile | deps-test
	$(call say,UNIT,$<)
	$(call build_program,$(CC),$(UNIT_FLAGS),-lcmocka)

.PHONY: unit unit-build
unit-build: $(UNIT)
unit: unit-build
	@tools/run-unit $(UNIT)

# The same programs for gcov, without sanitizers.
COVERAGE := $(UNIT:build/unit/%=build/coverage/%)
COVERAGE_FLAGS := $(filter-out -O1 -fsanitize=% -fno-sanitize%,$(UNIT_FLAGS)) -O0 --coverage
build/coverage/%: tests/unit/%.c Makefile | deps-test
	$(call say,COVER,$<)
	$(call build_program,$(CC),$(COVERAGE_FLAGS),-lcmocka)

.PHONY: coverage
coverage: $(COVERAGE)
	@tests/unit/coverage $(COVERAGE)

.PHONY: test test-long bench
test: deps-test
	@tests/run

# What Bochs needs long for: two Debian guests on VT-x, newer processors; Debian's generic kernel.
test-long: deps-test $(GUESTS)/.generic
	@tests/run long

bench: deps-test
	@tests/bench/run

# ------------------------------------------------------------------------ rest

.PHONY: clean distclean help FORCE
FORCE:
clean:
	@find build -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} + 2>/dev/null || :
distclean:
	@rm -rf build

help:
	@echo "make             build/BOOTX64.EFI"
	@echo "make esp         build/esp/: copy its content to any FAT EFI system partition"
	@echo "make image       build/bulkhead.img: write it to a USB stick"
	@echo "make run         in QEMU, COM1 on this terminal [MEM=2048 CPUS=4 CONFIG=file EXTRA=dir]"
	@echo "make run CPU=intel   in Bochs: VT-x [MODEL=corei7_haswell_4770 MEM=1024 and the above]"
	@echo "make run-gdb     the same, waiting for gdb"
	@echo "make quit        end what make run started"
	@echo "make test        unit, lint and system tests; ends with: N passed, N failed"
	@echo "make test-long   what takes long: two Debians on VT-x, newer processors, many rounds"
	@echo "make unit        the unit tests alone"
	@echo "make coverage    lines that the unit tests run, per file"
	@echo "make bench       instruction counts per exit (QEMU -icount)"
	@echo "make fuzz        fuzzers [T=name for one, TIME=60 seconds each]"
	@echo "make mutants     broken variants of the kernel, each caught by a named unit test"
	@echo "make guests      Debian's kernel, GNU Mach and the busybox initramfs -> build/guests"
	@echo "make deps        install what is missing from Debian's archive"
	@echo "make clean       all of build/ but the downloads; make distclean: those too"

-include tests/tests.mk
-include tests/fuzz/fuzz.mk
-include $(KERNEL_OBJ:.o=.d) $(VMM_OBJ:.o=.d) $(LOADER_OBJ:.o=.d)
-include $(addsuffix .d,$(UNIT) $(COVERAGE))
