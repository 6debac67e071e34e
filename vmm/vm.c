/*
 * This VM as its monitor sees it: pages, guest RAM and time. Guest time comes
 * from the host's TSC by the scale that the kernel wrote into the VM page.
 */
#include "vmm/vm.h"

#include "vmm/sys.h"

const struct abi_vm *vm = (const struct abi_vm *)ABI_VM_PAGE;
struct abi_vcpu *vcpu = (struct abi_vcpu *)ABI_VCPU_PAGE(0);
u8 *guest_base = (u8 *)ABI_GUEST_BASE;

static ns_t ns_at(u64 tsc)
{
	s64 ticks = (s64)(tsc - vm->tsc_base);

	if (ticks < 0) /* another CPU's TSC may be a little behind */
		return 0;
	return (ns_t)(((unsigned __int128)ticks * vm->ns_mul) >> vm->ns_shift);
}

ns_t vm_now(void)
{
	return ns_at(sys_tsc());
}

u64 guest_tsc(void)
{
	return sys_tsc() + vm->tsc_offset;
}
