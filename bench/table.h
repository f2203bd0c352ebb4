/* A table for people: columns as wide as what is in them, text left, numbers right. */
#ifndef LARDER_BENCH_TABLE_H
#define LARDER_BENCH_TABLE_H

#include <stdbool.h>

enum { TABLE_COLUMNS = 12, TABLE_ROWS = 64, TABLE_CELL = 100 };

struct table {
    unsigned columns, rows;
    bool text[TABLE_COLUMNS];
    char cells[TABLE_ROWS][TABLE_COLUMNS][TABLE_CELL];
};

/* `heads` is one a column, separated by '|'; one that begins with '<' heads a column of text. */
void table_init(struct table *t, const char *heads);
void table_row(struct table *t);
/* The next cell of the newest row. */
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 12.3 ns, 9.60 us, 1.20 ms; "-" when negative. */
void table_time(struct table *t, double ns);
void table_print(const struct table *t);

#endif
