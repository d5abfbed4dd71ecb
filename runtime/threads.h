// The thread pool behind `parallel` and `worker_count` of kernel.h: its life cycle and how many cores it may use.
// Kernels include kernel.h only; the session code includes this to shut the pool down before the library is closed.
#pragma once
#include "kernel.h"

namespace denim {

/// Cores that this process may keep busy: the affinity mask, cut to the cgroup's CPU quota (v2 and v1), at least 1.
int usable_cores();

/// Ends and joins the workers. The next `parallel` starts them again. Call it while no kernel runs; a process that just
/// exits need not call it.
void threads_shutdown();

}  // namespace denim
