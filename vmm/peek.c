/*
 * Copies guest memory for the administrator (vmm/peek.h), page by page through
 * the guest's own tables. Bounded by the size of the shared page's buffer.
 */
#include "vmm/peek.h"

#include "vmm/fetch.h"
#include "vmm/sys.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

#define PAGE 4096u

static bool canonical(const struct abi_vcpu *v, gva_t lin)
{
	if (!(v->state.efer & EFER_LMA))
		return lin >> 32 == 0;
	return (gva_t)((s64)(lin << 16) >> 16) == lin;
}

/* As many bytes as there are on lin's page; 0: it is not in RAM. */
static u32 part_of_page(struct abi_vcpu *v, gva_t lin, u8 *to, u32 max)
{
	u32 n = (u32)min_u64(max, PAGE - lin % PAGE);
	const u8 *from;
	struct walk w;

	if (!canonical(v, lin) || walk(v, lin, 0, &w) != WALK_OK)
		return 0;
	from = guest_ptr(w.gpa, n);
	if (!from)
		return 0;
	for (u32 i = 0; i < n; i++)
		to[i] = ((const volatile u8 *)from)[i];
	return n;
}

void peek(struct abi_vcpu *v)
{
	u32 len = (u32)min_u64(v->value, sizeof(v->log)), n = 0, part;

	while (n < len && (part = part_of_page(v, v->gpa + n, (u8 *)v->log + n, len - n)) != 0)
		n += part;
	sys_finish(ABI_FIN_PEEK, n, 0, 0);
}
