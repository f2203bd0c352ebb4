/* Time.  Running time is CLOCK_BOOTTIME in nanoseconds everywhere: it goes on during suspend and never jumps.
 * Wall clock only where something must outlive a boot. */
#ifndef LARDER_BASE_CLOCK_H
#define LARDER_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

uint64_t clock_boot_ns(void);
uint64_t clock_mono_ns(void);
uint64_t clock_wall_ns(void);
uint64_t clock_thread_ns(void); /* of a processor, that this thread has used; a system call */

/* 36 characters and a NUL: which boot of this machine we live in. */
void clock_boot_id(char ret_id[37]);

/* Deadline `delta` after `now`, saturating. */
static inline uint64_t clock_after(uint64_t now_ns, uint64_t delta_ns)
{
    return delta_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delta_ns;
}

#endif
