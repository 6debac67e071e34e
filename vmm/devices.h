/*
 * All devices of the virtual PC (vmm/board.c).
 */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

/* Creates every device in its reset state; called once, at START. */
void board_init(void);

#endif
