/* SPDX-License-Identifier: MIT
 *
 * cease/cease.h: contexts and the runtime (tasks, groups, channels, net) in one include. TLS, HTTP and the adapters are
 * included by name.
 */
#ifndef CEASE_CEASE_H
#define CEASE_CEASE_H

#include <cease/block.h>
#include <cease/chan.h>
#include <cease/context.h>
#include <cease/error.h>
#include <cease/fd.h>
#include <cease/file.h>
#include <cease/flight.h>
#include <cease/group.h>
#include <cease/net.h>
#include <cease/nopark.h>
#include <cease/packet.h>
#include <cease/process.h>
#include <cease/rate.h>
#include <cease/runtime.h>
#include <cease/select.h>
#include <cease/signal.h>
#include <cease/snapshot.h>
#include <cease/sync.h>
#include <cease/task.h>
#include <cease/time.h>
#include <cease/trace.h>

#endif
