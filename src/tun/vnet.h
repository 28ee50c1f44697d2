/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* struct virtio_net_hdr and those of its values that older kernel headers lack. */
#pragma once

#include <linux/virtio_net.h>

/* UDP segmentation (USO): Linux 6.2, virtio 1.3. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
