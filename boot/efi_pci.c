/*
 * Devices go on with DMA after firmware has gone unless they are told not to:
 * drivers are disconnected while there is firmware to do it, and bus mastering
 * is switched off afterwards on every device and bridge (PCI 3.0, 6.2.2; the
 * whole bus range by configuration mechanism 1, so that hosts with several
 * root buses are covered; other segments by their drivers alone).
 */
#include "boot/efi_loader.h"

#include <efipciio.h>

#include "arch/x86.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
#define PCI_ENABLE BIT(31)
#define PCI_COMMAND 0x04
#define PCI_CLASS 0x08
#define PCI_HEADER 0x0c
#define PCI_MULTIFUNCTION BIT(23)
#define COMMAND_BUS_MASTER BIT(2)
#define SETTLE_US 2000

#define CLASS_STORAGE 0x01
#define CLASS_NETWORK 0x02
#define CLASS_BRIDGE 0x06
#define CLASS_SERIAL_BUS 0x0c /* USB, FireWire */
#define CLASS_WIRELESS 0x0d
#define SUBCLASS_PCI_BRIDGE 0x04

static EFI_GUID pci_io_guid = EFI_PCI_IO_PROTOCOL_GUID;

/* Screens and serial ports stay: they carry the messages, and do no DMA. */
static bool class_does_dma(u8 class)
{
	return class == CLASS_STORAGE || class == CLASS_NETWORK || class == CLASS_SERIAL_BUS ||
	       class == CLASS_WIRELESS;
}

void pci_disconnect(void)
{
	EFI_HANDLE *handles = NULL;
	UINTN count = 0;

	if (EFI_ERROR(loader.bs->LocateHandleBuffer(ByProtocol, &pci_io_guid, NULL, &count,
						    &handles)))
		return;
	for (UINTN i = 0; i < count; i++) {
		EFI_PCI_IO_PROTOCOL *pci;
		UINT32 class;

		if (EFI_ERROR(loader.bs->HandleProtocol(handles[i], &pci_io_guid, (void **)&pci)) ||
		    EFI_ERROR(pci->Pci.Read(pci, EfiPciIoWidthUint32, PCI_CLASS, 1, &class)) ||
		    !class_does_dma((u8)(class >> 24)))
			continue;
		loader.bs->DisconnectController(handles[i], NULL, NULL);
		pci->Attributes(pci, EfiPciIoAttributeOperationDisable,
				EFI_PCI_IO_ATTRIBUTE_BUS_MASTER, NULL);
	}
	loader.bs->FreePool(handles);
	loader.bs->Stall(SETTLE_US);
}

static u32 config_read(u32 bdf, u32 offset)
{
	outl(PCI_ADDRESS, (u32)PCI_ENABLE | bdf << 8 | offset);
	return inl(PCI_DATA);
}

static void stop(u32 bdf)
{
	u32 command = config_read(bdf, PCI_COMMAND);

	if (!(command & COMMAND_BUS_MASTER))
		return;
	/* 16 bits: the status half clears what is written to it */
	outl(PCI_ADDRESS, (u32)PCI_ENABLE | bdf << 8 | PCI_COMMAND);
	outw(PCI_DATA, (u16)(command & ~COMMAND_BUS_MASTER));
}

static bool is_pci_bridge(u32 bdf)
{
	return config_read(bdf, PCI_CLASS) >> 16 == (CLASS_BRIDGE << 8 | SUBCLASS_PCI_BRIDGE);
}

/* Host and ISA bridges keep the bit: on some it is what lets the CPU work. */
static bool is_other_bridge(u32 bdf)
{
	return config_read(bdf, PCI_CLASS) >> 24 == CLASS_BRIDGE && !is_pci_bridge(bdf);
}

/* Devices first, then the bridges above them. */
void pci_stop_bus_masters(void)
{
	for (u32 bridges = 0; bridges < 2; bridges++) {
		for (u32 slot = 0; slot < 256 * 32; slot++) {
			u32 functions = 1;

			for (u32 f = 0; f < functions; f++) {
				u32 bdf = slot << 3 | f;

				if ((config_read(bdf, 0) & 0xffff) == 0xffff)
					continue;
				if (f == 0 && (config_read(bdf, PCI_HEADER) & PCI_MULTIFUNCTION))
					functions = 8;
				if (!is_other_bridge(bdf) && is_pci_bridge(bdf) == (bridges == 1))
					stop(bdf);
			}
		}
	}
}
