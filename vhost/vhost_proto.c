/* SPDX-License-Identifier: BSD-2-Clause */
#include "vhost/vhost_proto.h"

#include "vhost/vhost_fault.h"

static const char *const request_names[VHOST_N_REQUESTS] = {
	[VHOST_GET_FEATURES] = "GET_FEATURES",
	[VHOST_SET_FEATURES] = "SET_FEATURES",
	[VHOST_SET_OWNER] = "SET_OWNER",
	[VHOST_RESET_OWNER] = "RESET_OWNER",
	[VHOST_SET_MEM_TABLE] = "SET_MEM_TABLE",
	[VHOST_SET_LOG_BASE] = "SET_LOG_BASE",
	[VHOST_SET_LOG_FD] = "SET_LOG_FD",
	[VHOST_SET_VRING_NUM] = "SET_VRING_NUM",
	[VHOST_SET_VRING_ADDR] = "SET_VRING_ADDR",
	[VHOST_SET_VRING_BASE] = "SET_VRING_BASE",
	[VHOST_GET_VRING_BASE] = "GET_VRING_BASE",
	[VHOST_SET_VRING_KICK] = "SET_VRING_KICK",
	[VHOST_SET_VRING_CALL] = "SET_VRING_CALL",
	[VHOST_SET_VRING_ERR] = "SET_VRING_ERR",
	[VHOST_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[VHOST_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[VHOST_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
	[VHOST_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	[VHOST_SEND_RARP] = "SEND_RARP",
	[VHOST_NET_SET_MTU] = "NET_SET_MTU",
	[VHOST_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
	[VHOST_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
	[VHOST_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
	[VHOST_RESET_DEVICE] = "RESET_DEVICE",
	[VHOST_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
	[VHOST_ADD_MEM_REG] = "ADD_MEM_REG",
	[VHOST_REM_MEM_REG] = "REM_MEM_REG",
	[VHOST_SET_STATUS] = "SET_STATUS",
	[VHOST_GET_STATUS] = "GET_STATUS",
};

const char *vhost_proto_name(uint32_t request)
{
	return request < VHOST_N_REQUESTS && request_names[request] ? request_names[request] : "?";
}

static const struct {
	const char *name;
	const char *help;
} faults[] = {
#define X(SYMBOL, NAME, HELP) {NAME, HELP},
	VHOST_FAULTS(X)
#undef X
};
ASSERT_ENTRIES(faults, VHOST_N_FAULTS);

const char *vhost_fault_name(enum vhost_fault fault)
{
	return (unsigned int)fault < VHOST_N_FAULTS ? faults[fault].name : "?";
}

const char *vhost_fault_help(enum vhost_fault fault)
{
	return (unsigned int)fault < VHOST_N_FAULTS ? faults[fault].help : "?";
}
