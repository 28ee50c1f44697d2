/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/memory.h"

#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of code and constants in one object: two or three. */
#define SEGMENTS_MAX 8

void memory_share_heap(void)
{
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 1);
#endif
}

/* Then its code was changed when it was loaded, and does not come back as it is now. */
static bool has_text_relocations(const struct dl_phdr_info *object)
{
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		const ElfW(Dyn) * d;

		if (segment->p_type != PT_DYNAMIC)
			continue;
		d = (const void *)(object->dlpi_addr + segment->p_vaddr);
		for (; d->d_tag != DT_NULL; d++)
			if (d->d_tag == DT_TEXTREL ||
			    (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
				return true;
	}
	return false;
}

static int forget(struct dl_phdr_info *object, size_t size, void *ctx)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	struct iovec parts[SEGMENTS_MAX];
	int n = 0;

	(void)size;
	(void)ctx;
	if (has_text_relocations(object))
		return 0;
	/* The headers lie in the first of them, and would come back: so they are read before. */
	for (size_t i = 0; i < object->dlpi_phnum && n < SEGMENTS_MAX; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		uintptr_t begin = object->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W))
			parts[n++] = (struct iovec){(void *)(begin & ~page),
						    (begin & page) + segment->p_filesz};
	}
	while (n-- > 0)
		madvise(parts[n].iov_base, parts[n].iov_len, MADV_DONTNEED);
	return 0;
}

void memory_trim(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
	dl_iterate_phdr(forget, NULL);
}
