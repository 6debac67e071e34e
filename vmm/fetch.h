/*
 * The instruction at a vCPU's RIP: fetched from guest memory and decoded. And
 * what to do when it turns out not to be the one that exited.
 */
#ifndef VMM_FETCH_H
#define VMM_FETCH_H

#include "vmm/decode.h"

#define VEC_UD 6u /* exceptions */
#define VEC_SS 12u
#define VEC_GP 13u
#define VEC_PF 14u

#define CR0_PE BIT(0)
#define EFER_LMA BIT(10)
#define RFLAGS_DF BIT(10)
#define RFLAGS_VM BIT(17)

/* How v executes: by EFER.LMA, CS.L and CS.D. */
static inline enum insn_mode fetch_mode(const struct abi_vcpu *v)
{
	if (v->state.efer & EFER_LMA && v->state.seg[ABI_CS].attr & ABI_ATTR_L)
		return INSN_64;
	return v->state.seg[ABI_CS].attr & ABI_ATTR_DB ? INSN_32 : INSN_16;
}

/*
 * Valid until the next fetch. Ends the upcall if the fetch faults (#PF, #GP),
 * or if the bytes cannot be had or decoded (fetch_fail).
 */
const struct insn *fetch_insn(struct abi_vcpu *v);

/*
 * The guest's state does not fit this exit (another vCPU changed code or page
 * tables): lets it try again, and stops a VM that does nothing else.
 */
NORETURN void fetch_stale(const struct abi_vcpu *v);

/*
 * #UD for the guest, and a line in the log: what could not be done, and the
 * instruction's bytes. A process of the guest that may touch a device must not
 * be able to end the whole VM.
 */
NORETURN void fetch_fail(struct abi_vcpu *v, const char *what);

#endif
