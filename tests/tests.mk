# What `make test` needs beside the unit tests: bare guests, the test variant.
include tests/guests/guests.mk

.PHONY: test-files lint
test-files: $(B)/BOOTX64.EFI $(GUEST_ELFS) guests unit-build
lint:
	@tests/lint/run

# `make -s show-KERNEL_CFLAGS`: for the lint scripts.
show-%:
	@echo '$($*)'
