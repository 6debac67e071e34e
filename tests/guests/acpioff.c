/* Ends by ACPI power-off: \_S5 from the DSDT, into PM1a control. */
#include "lib.h"

const char guest_name[] = "acpioff";

/* SLP_TYPa: the first element of the package \_S5_ (ACPI 6.5, 7.4.2). */
static int sleep_type(void)
{
	const u8 *p = (u8 *)(u64)acpi_field("FACP", 40, 4);
	u32 n = p ? *(const u32 *)(p + 4) : 0;

	for (u32 i = 36; i + 8 < n; i++)
		if (!memcmp(p + i, "_S5_\x12", 5)) {
			const u8 *e = p + i + 5;

			e += 1 + (*e >> 6) + 1; /* package length, element count */
			return *e == 0x0a ? e[1] : *e;
		}
	return -1;
}

void guest_main(void)
{
	int type = sleep_type();

	if (type < 0 || !pm_control) {
		fail("no \\_S5 (%d) or no PM1a control (%x)", type, pm_control);
		return;
	}
	print("READY %s\n", guest_name);
	outw(pm_control, (u16)(type << 10 | 0x2000));
	spin_us(1000000);
	fail("still running");
}
