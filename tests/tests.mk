# What `make test` needs beside the unit tests: bare guests, the test variant.
include tests/guests/guests.mk

.PHONY: test-files test-variant lint
test-files: $(B)/BOOTX64.EFI $(GUEST_ELFS) guests unit-build test-variant
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
