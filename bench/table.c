#include "bench/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char *next_cell(struct table *t)
{
    static char beyond[TABLE_CELL]; /* a table that is too small loses cells, nothing else */
    char(*row)[TABLE_CELL] = t->cells[t->rows - 1];
    for (unsigned i = 0; i < t->columns; i++) {
        if (row[i][0] == '\0')
            return row[i];
    }
    return beyond;
}

void table_init(struct table *t, const char *heads)
{
    memset(t, 0, sizeof(*t));
    t->rows = 1;
    for (const char *at = heads; *at && t->columns < TABLE_COLUMNS;
         at += strcspn(at, "|"), at += *at == '|') {
        t->text[t->columns] = *at == '<';
        at += *at == '<';
        snprintf(t->cells[0][t->columns++], TABLE_CELL, "%.*s", (int)strcspn(at, "|"), at);
    }
}

void table_row(struct table *t)
{
    if (t->rows < TABLE_ROWS)
        t->rows++;
}

void table_cell(struct table *t, const char *format, ...)
{
    char *cell = next_cell(t);
    va_list args;
    va_start(args, format);
    vsnprintf(cell, TABLE_CELL, format, args);
    va_end(args);
    if (cell[0] == '\0')
        strcpy(cell, " ");
}

void table_time(struct table *t, double ns)
{
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    unsigned i = 0;
    while (i < 3 && ns < units[i].unit)
        i++;
    if (ns < 0)
        table_cell(t, "-");
    else
        table_cell(t, "%.*f %s", i == 3 ? 1 : 2, ns / units[i].unit, units[i].name);
}

static int width(const struct table *t, unsigned column)
{
    size_t widest = 0;
    for (unsigned r = 0; r < t->rows; r++) {
        size_t n = strlen(t->cells[r][column]);
        widest = n > widest ? n : widest;
    }
    return (int)widest;
}

void table_print(const struct table *t)
{
    int widths[TABLE_COLUMNS];
    for (unsigned c = 0; c < t->columns; c++)
        widths[c] = width(t, c);
    for (unsigned r = 0; r < t->rows; r++) {
        for (unsigned c = 0; c < t->columns; c++)
            printf("%s%*s", c ? "  " : "", t->text[c] ? -widths[c] : widths[c], t->cells[r][c]);
        putchar('\n');
    }
}
