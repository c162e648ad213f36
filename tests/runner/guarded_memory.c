/* Memory of tensors that ends at a page nobody may touch: a kernel that reads or writes behind its
 * tensor dies there and then. To be preloaded, and in force from guard_memory() on. torch takes a
 * tensor's memory by posix_memalign. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, FILL = 0xA5 };

/* Addresses are taken from here, each once. */
static const size_t REGION = (size_t)1 << 44;
static char* region;
static char* next;

struct Head { /* at the start of the first page */
  size_t mapped, size;
};

static int (*real_memalign)(void**, size_t, size_t);
static void (*real_free)(void*);
static size_t (*real_usable)(void*);

__attribute__((constructor)) static void start(void) {
  real_memalign = (int (*)(void**, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
  real_free = (void (*)(void*))dlsym(RTLD_NEXT, "free");
  real_usable = (size_t (*)(void*))dlsym(RTLD_NEXT, "malloc_usable_size");
}

void guard_memory(void) {
  void* found = mmap(NULL, REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found != MAP_FAILED) region = next = found;
}

static int ours(const void* data) {
  return region != NULL && (const char*)data >= region && (const char*)data < region + REGION;
}

static size_t up(size_t size, size_t step) { return (size + step - 1) / step * step; }

int posix_memalign(void** result, size_t alignment, size_t size) {
  if (region == NULL) return real_memalign(result, alignment, size);
  if (size > REGION / 4) return ENOMEM;
  if (alignment > PAGE) alignment = PAGE;
  const size_t room = up(size + (size == 0), alignment);
  const size_t mapped = PAGE + up(room, PAGE);
  char* first = __atomic_fetch_add(&next, mapped + PAGE, __ATOMIC_RELAXED);
  if (first + mapped + PAGE > region + REGION) return ENOMEM;
  if (mprotect(first, mapped, PROT_READ | PROT_WRITE) != 0) return ENOMEM;
  char* data = first + mapped - room;
  struct Head* head = (struct Head*)first;
  *head = (struct Head){mapped, size};
  memset(first + sizeof *head, FILL, PAGE - sizeof *head);
  memset(data + size, FILL, room - size);
  *result = data;
  return 0;
}

/* Data begin in the second page, the head is the first. */
static struct Head* head_of(const char* data) {
  return (struct Head*)(region + ((size_t)(data - region) / PAGE - 1) * PAGE);
}

static void check(const char* from, const char* to) {
  for (; from < to; ++from) {
    if ((unsigned char)*from != FILL) abort();
  }
}

void free(void* data) {
  if (!ours(data)) {
    if (real_free != NULL) real_free(data);
    return;
  }
  struct Head* head = head_of(data);
  char* first = (char*)head;
  check(first + sizeof *head, first + PAGE);
  check((char*)data + head->size, first + head->mapped);
  madvise(first, head->mapped, MADV_DONTNEED);
  mprotect(first, head->mapped, PROT_NONE);
}

size_t malloc_usable_size(void* data) {
  return ours(data) ? head_of(data)->size : real_usable(data);
}
