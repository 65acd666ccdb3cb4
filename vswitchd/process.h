/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VSWITCHD_PROCESS_H
#define VSWITCHD_PROCESS_H

/*
 * Which process a PID means
 * =========================
 *
 * A container can be given as the PID of a process in it. PIDs are used again, and after a reboot
 * each means somebody else; a stored PID alone would one day give a stranger an interface. So the
 * store keeps beside it when that process began: boot and clock tick, which no other process with
 * this PID shares.
 *
 * Thread-safety: any thread, no state.
 */

#include <stdbool.h>
#include <stddef.h>

#define PROCESS_IDENTITY_SIZE 64 /* bytes, with the NUL */

/*
 * Writes the identity of the process that `pid` (decimal digits) means now: "BOOT/TICK". Returns
 * false, with "" written, if `pid` is no number or there is no such process.
 */
bool process_get_identity(const char *pid, char identity[PROCESS_IDENTITY_SIZE]);

#endif
