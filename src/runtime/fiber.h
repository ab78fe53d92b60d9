/* SPDX-License-Identifier: MIT
 *
 * fiber.h: telling AddressSanitizer, ThreadSanitizer and Valgrind about our stacks.
 *
 * Without sanitizers all of it is nothing. AddressSanitizer wants to know the new stack's bounds
 * before a switch and to be told after it, and its search for leaks in which memory to look for pointers
 * besides what threads have (a task that waits keeps blocks alive); ThreadSanitizer has a fiber for each stack, which it
 * must be switched to as the last thing before ours; a fiber is destroyed from another one.
 * Valgrind is told once for each piece of memory that is a stack.
 */
#ifndef CEASE_RUNTIME_FIBER_H
#define CEASE_RUNTIME_FIBER_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define CEASEI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CEASEI_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CEASEI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CEASEI_TSAN 1
#endif
#endif

#if defined(CEASEI_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#define ceasei_fiber_leave(fake, bottom, size) \
    __sanitizer_start_switch_fiber((fake), (bottom), (size))
#define ceasei_fiber_arrive(fake, bottom, size) \
    __sanitizer_finish_switch_fiber((fake), (bottom), (size))
#define ceasei_fiber_unpoison(bottom, size) __asan_unpoison_memory_region((bottom), (size))
#define ceasei_fiber_root(bottom, size)     __lsan_register_root_region((bottom), (size))
#define ceasei_fiber_unroot(bottom, size)   __lsan_unregister_root_region((bottom), (size))
#else
#define ceasei_fiber_leave(fake, bottom, size)  ((void)(fake), (void)(bottom), (void)(size))
#define ceasei_fiber_arrive(fake, bottom, size) ((void)(fake), (void)(bottom), (void)(size))
#define ceasei_fiber_unpoison(bottom, size)     ((void)(bottom), (void)(size))
#define ceasei_fiber_root(bottom, size) \
    ((void)sizeof(bottom), (void)sizeof(size)) /* not evaluated */
#define ceasei_fiber_unroot(bottom, size) ((void)sizeof(bottom), (void)sizeof(size))
#endif

#if defined(CEASEI_TSAN)
#include <sanitizer/tsan_interface.h>
#define ceasei_fiber_current()      __tsan_get_current_fiber()
#define ceasei_fiber_create()       __tsan_create_fiber(0)
#define ceasei_fiber_destroy(fiber) __tsan_destroy_fiber(fiber)
#define ceasei_fiber_switch(fiber)  __tsan_switch_to_fiber((fiber), 0)
#else
#define ceasei_fiber_current()      ((void *)NULL)
#define ceasei_fiber_create()       ((void *)NULL)
#define ceasei_fiber_destroy(fiber) ((void)(fiber))
#define ceasei_fiber_switch(fiber)  ((void)(fiber))
#endif

#if defined(CEASEI_HAVE_VALGRIND)
#include <valgrind/valgrind.h>
#define ceasei_fiber_register(bottom, top) VALGRIND_STACK_REGISTER((bottom), (top))
#define ceasei_fiber_unregister(id)        VALGRIND_STACK_DEREGISTER(id)
#define ceasei_fiber_in_valgrind()         (RUNNING_ON_VALGRIND != 0)
#else
#define ceasei_fiber_register(bottom, top) ((void)(bottom), (void)(top), 0U)
#define ceasei_fiber_unregister(id)        ((void)(id))
#define ceasei_fiber_in_valgrind()         false
#endif

#endif
