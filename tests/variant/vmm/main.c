/* vmm/main.c, but misbehave.c sees each upcall first. */
#define upcall plain_upcall
#include "../../../vmm/main.c"
#undef upcall
#include "tests/variant/vmm/misbehave.h"

void upcall(struct abi_vcpu *page);
void upcall(struct abi_vcpu *page)
{
	vcpu = page;
	misbehave_at(page);
	plain_upcall(page);
}
