/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_NLERR_H
#define LIB_NLERR_H

/*
 * libnl's errors as errno
 * =======================
 *
 * libnl folds the kernel's errno into codes of its own, several errno to one code. The house speaks
 * negative errno, so each return value of libnl goes through nlerr_errno() where it leaves the
 * function that called libnl. Where libnl forgot which errno it was, the usual one of the family is
 * given.
 *
 * Thread-safety: pure function.
 */

#include "lib/util.h"

/* The negative errno for a negative return value of libnl; 0 or more is returned as it is. */
int nlerr_errno(int nle) WARN_UNUSED;

#endif
