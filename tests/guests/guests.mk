# The bare test guests: one Multiboot ELF each from one .c file, start.S and
# lib.c, as build/guests/<name>.elf. Linked as 64-bit code, then put into a
# 32-bit ELF, which every Multiboot loader takes (QEMU -kernel included).
GUEST_NAMES := $(filter-out lib,$(basename $(notdir $(wildcard tests/guests/*.c))))
GUEST_ELFS := $(GUEST_NAMES:%=build/guests/%.elf)
GUEST_CFLAGS := -std=gnu17 -O2 -g -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Werror \
	-ffreestanding -fno-pic -fno-pie -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fcf-protection=none -I.

.PHONY: guests-bare
.SECONDARY: $(GUEST_NAMES:%=build/tests/guests/%.o) build/tests/guests/lib.o build/tests/guests/start.o
guests-bare: $(GUEST_ELFS)

build/tests/guests/%.o: tests/guests/%.c tests/guests/lib.h tests/guests/guests.mk
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -c -o $@ $<

build/tests/guests/fuzz.o: tests/guests/fuzz_run.h tests/guests/fuzz_ops.h

build/tests/guests/start.o: tests/guests/start.S
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -c -o $@ $<

$(GUEST_ELFS): build/guests/%.elf: build/tests/guests/%.o build/tests/guests/lib.o build/tests/guests/start.o \
		tests/guests/guest.ld
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(LD) -nostdlib -static -z noexecstack --no-warn-rwx-segments -T tests/guests/guest.ld \
		-o build/tests/guests/$*.elf64 $(filter %.o,$^)
	$(Q)objcopy --strip-debug -O elf32-i386 build/tests/guests/$*.elf64 $@
