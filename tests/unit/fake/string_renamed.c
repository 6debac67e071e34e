/*
 * kernel/string.c under other names, so that a test can compare it with the C
 * library's functions (and so that these are not replaced in the test itself).
 */
#include "string_renamed.h"

#define memcpy bh_memcpy
#define memmove bh_memmove
#define memset bh_memset
#define memcmp bh_memcmp
#define strlen bh_strlen
#define strnlen bh_strnlen
#define strcmp bh_strcmp
#define strncmp bh_strncmp

#include "kernel/string.c"
