// Faults of a kernel (a wild access that was not instrumented, a division by zero, a stack that is full) end the
// dispatch with a report. Faults of anything else go where they went before.
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "exec/machine.h"
#include "memory/memory.h"

namespace dsim {

static struct sigaction previous[65];
static thread_local bool executing;

static void resume_failing() { fail_at(m.fault_pc, "%s", m.fault_text); }

static void pass_on(int sig, siginfo_t* info, void* context) {
  const struct sigaction& old = previous[sig];
  if (old.sa_flags & SA_SIGINFO)
    old.sa_sigaction(sig, info, context);
  else if (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN)
    signal(sig, SIG_DFL);  // it happens again at once, and ends the process
  else
    old.sa_handler(sig);
}

static void on_fault(int sig, siginfo_t* info, void* context) {
  if (!executing || !m.current) return pass_on(sig, info, context);
  auto* uc = static_cast<ucontext_t*>(context);
  uintptr_t at = reinterpret_cast<uintptr_t>(info->si_addr);
  static char text[600];
  bool full = sig == SIGSEGV && in_stacks(at);
  if (sig == SIGFPE)
    snprintf(text, sizeof text, "integer division by zero (undefined on the GPU)");
  else if (sig == SIGILL)
    snprintf(text, sizeof text, "undefined behaviour reached");
  else if (full)
    snprintf(text, sizeof text, "a thread's stack is full");
  else
    snprintf(text, sizeof text, "%s", describe_address(at).c_str());
  m.fault_text = text;
  m.fault_pc = reinterpret_cast<char*>(uc->uc_mcontext.gregs[REG_RIP]) + 1;
  // Go on in the lane as if it had called this function: switching stacks in a handler would lose the signal mask.
  uc->uc_mcontext.gregs[REG_RIP] = reinterpret_cast<greg_t>(&resume_failing);
  uintptr_t sp = full ? reinterpret_cast<uintptr_t>(spare_stack())
                      : static_cast<uintptr_t>(uc->uc_mcontext.gregs[REG_RSP]) - 256;
  uc->uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>((sp & ~uintptr_t{15}) - 8);
}

void install_fault_handler() {
  executing = true;
  static char alternate[64 << 10];
  stack_t ss = {};
  ss.ss_sp = alternate;
  ss.ss_size = sizeof alternate;
  sigaltstack(&ss, nullptr);
  struct sigaction sa = {};
  sa.sa_sigaction = on_fault;
  sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int sig : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(sig, &sa, &previous[sig]);
}

}  // namespace dsim
