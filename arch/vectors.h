/*
 * The host's interrupt vectors. 0..31 are exceptions; 0x20..0x2f catch what a
 * masked 8259 may still send; devices and the kernel's own use the rest.
 * Plain numbers only: assembly includes this too.
 */
#ifndef ARCH_VECTORS_H
#define ARCH_VECTORS_H

#define VEC_EXCEPTIONS 0x20
#define VEC_PIC_FIRST 0x20
#define VEC_PIC_LAST 0x2f
#define VEC_DEVICE_FIRST 0x30
#define VEC_DEVICE_LAST 0xef
#define VEC_TIMER 0xf0 /* the local APIC's timer */
#define VEC_KICK 0xf1  /* look at your requests */
#define VEC_HALT 0xf3  /* panic elsewhere: stop */
#define VEC_ERROR 0xfe /* the local APIC's error interrupt */
#define VEC_SPURIOUS 0xff

#endif
