/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What a process that has started needs no more. */
#pragma once

/*
 * Before there are threads: one heap serves them all, for no thread allocates in its daily work. By
 * itself libc makes one for each.
 */
void memory_share_heap(void);

/*
 * Gives back free memory of the heap, and what is resident of the code and constants of program and
 * libraries: most of it was needed by the start alone. What is needed again comes back from the
 * page cache with its first use. Any thread.
 */
void memory_trim(void);
