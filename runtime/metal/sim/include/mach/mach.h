// What metal-cpp takes from Apple's header of this name, for Linux.
#pragma once

typedef int kern_return_t;
typedef unsigned int task_id_token_t;
