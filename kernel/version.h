/*
 * The version's name; the Makefile gives it (-DBULKHEAD_VERSION=...).
 */
#ifndef KERNEL_VERSION_H
#define KERNEL_VERSION_H

#ifndef BULKHEAD_VERSION
#define BULKHEAD_VERSION "development"
#endif

#endif
