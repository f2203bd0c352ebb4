/* The dashboard's files, written into the program by embed.py when it is built. */
#ifndef LARDER_ADMIN_PAGE_PAGE_H
#define LARDER_ADMIN_PAGE_PAGE_H

#include <stddef.h>

struct page_file {
    const char *path, *type;
    const unsigned char *bytes;
    size_t size;
};

extern const struct page_file page_files[];
extern const unsigned page_files_count;

#endif
