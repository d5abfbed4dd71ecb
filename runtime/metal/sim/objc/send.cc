// objc_msgSend: look the method up, then jump to it with all argument registers as they came (x86-64 System V). The
// form for big results has the result's address first, so receiver and selector stand one register further.
#define DSIM_SEND(name, receiver, selector)        \
  ".globl " name                                   \
  "\n"                                             \
  ".type " name                                    \
  ",@function\n" name                              \
  ":\n"                                            \
  "  pushq %rbp\n"                                 \
  "  movq %rsp, %rbp\n"                            \
  "  subq $192, %rsp\n"                            \
  "  movq %rdi, -8(%rbp)\n"                        \
  "  movq %rsi, -16(%rbp)\n"                       \
  "  movq %rdx, -24(%rbp)\n"                       \
  "  movq %rcx, -32(%rbp)\n"                       \
  "  movq %r8, -40(%rbp)\n"                        \
  "  movq %r9, -48(%rbp)\n"                        \
  "  movups %xmm0, -64(%rbp)\n"                    \
  "  movups %xmm1, -80(%rbp)\n"                    \
  "  movups %xmm2, -96(%rbp)\n"                    \
  "  movups %xmm3, -112(%rbp)\n"                   \
  "  movups %xmm4, -128(%rbp)\n"                   \
  "  movups %xmm5, -144(%rbp)\n"                   \
  "  movups %xmm6, -160(%rbp)\n"                   \
  "  movups %xmm7, -176(%rbp)\n"                   \
  "  movq " receiver                               \
  ", %rdi\n"                                       \
  "  movq " selector                               \
  ", %rsi\n"                                       \
  "  call dsim_find_method\n"                      \
  "  movq %rax, %r11\n"                            \
  "  movq -8(%rbp), %rdi\n"                        \
  "  movq -16(%rbp), %rsi\n"                       \
  "  movq -24(%rbp), %rdx\n"                       \
  "  movq -32(%rbp), %rcx\n"                       \
  "  movq -40(%rbp), %r8\n"                        \
  "  movq -48(%rbp), %r9\n"                        \
  "  movups -64(%rbp), %xmm0\n"                    \
  "  movups -80(%rbp), %xmm1\n"                    \
  "  movups -96(%rbp), %xmm2\n"                    \
  "  movups -112(%rbp), %xmm3\n"                   \
  "  movups -128(%rbp), %xmm4\n"                   \
  "  movups -144(%rbp), %xmm5\n"                   \
  "  movups -160(%rbp), %xmm6\n"                   \
  "  movups -176(%rbp), %xmm7\n"                   \
  "  leave\n"                                      \
  "  jmp *%r11\n"                                  \
  ".size " name ", .-" name "\n"

asm(".text\n.hidden dsim_find_method\n"  //
    DSIM_SEND("objc_msgSend", "-8(%rbp)", "-16(%rbp)")          //
    DSIM_SEND("objc_msgSend_fpret", "-8(%rbp)", "-16(%rbp)")    //
    DSIM_SEND("objc_msgSend_stret", "-16(%rbp)", "-24(%rbp)"));
