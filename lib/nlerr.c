/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/nlerr.h"

#include <errno.h>
#include <netlink/errno.h>

static const struct {
	int nle;
	int err;
} codes[] = {
	{NLE_INTR, EINTR},
	{NLE_BAD_SOCK, EBADF},
	{NLE_AGAIN, EAGAIN},
	{NLE_NOMEM, ENOMEM},
	{NLE_EXIST, EEXIST},
	{NLE_INVAL, EINVAL},
	{NLE_RANGE, ERANGE},
	{NLE_MSGSIZE, EMSGSIZE},
	{NLE_OPNOTSUPP, EOPNOTSUPP},
	{NLE_AF_NOSUPPORT, EAFNOSUPPORT},
	{NLE_OBJ_NOTFOUND, ENOENT},
	{NLE_NOATTR, ENOENT},
	{NLE_MSG_OVERFLOW, ENOBUFS},
	{NLE_NOADDR, EADDRNOTAVAIL},
	{NLE_PERM, EPERM},
	{NLE_NOACCESS, EACCES},
	{NLE_BUSY, EBUSY},
	{NLE_NODEV, ENODEV},
	{NLE_DUMP_INTR, EAGAIN},
};

int nlerr_errno(int nle)
{
	if (nle >= 0)
		return nle;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		if (codes[i].nle == -nle)
			return -codes[i].err;
	}
	return -EIO;
}
