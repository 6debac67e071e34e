# What `make test` needs beside the unit tests: bare guests, the test variant.
include tests/guests/guests.mk

.PHONY: test-files test-variant lint
test-files: $(B)/BOOTX64.EFI $(GUEST_ELFS) guests unit-build test-variant build/tests/lockvmx.efi
# A UEFI application that comes before Bulkhead.
build/tests/%.so: tests/efi/%.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LOADER_CFLAGS) -c -o $(@:.so=.o) $<
	$(Q)$(LD) -nostdlib -znocombreloc -shared -Bsymbolic --build-id=none --no-undefined \
		-z noexecstack -z max-page-size=4096 -T $(EFI_LIB)/elf_x86_64_efi.lds \
		-o $@ $(EFI_LIB)/crt0-efi-x86_64.o $(@:.so=.o) $(EFI_LIB)/libefi.a \
		$(EFI_LIB)/libgnuefi.a
build/tests/%.efi: build/tests/%.so
	$(Q)objcopy -j .text -j .sdata -j .data -j .dynamic -j .rela -j .reloc \
		--target efi-app-x86_64 --subsystem=10 $< $@
# The image whose monitor and shell break things on purpose.
test-variant:
	@+$(MAKE) --no-print-directory VARIANT=test build/test/BOOTX64.EFI
lint:
	@tests/lint/run
# The kernel broken on purpose, a little each time: a unit test must see it.
.PHONY: mutants
mutants: deps-test
	@tests/mutants/run

# `make -s show-KERNEL_CFLAGS`: for the lint scripts.
show-%:
	@echo '$($*)'
