#include "client/cli/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "client/cli/text.h"

void out_init(struct out *out)
{
    const char *no_colour = getenv("NO_COLOR");
    bool terminal = isatty(STDOUT_FILENO);
    *out = (struct out){
        .shape = terminal ? OUT_ALIGNED : OUT_TABS,
        .colour = terminal && !(no_colour && *no_colour),
        .rows = json_array(),
    };
}

void out_use_json(struct out *out)
{
    out->shape = OUT_JSON;
    out->colour = false;
}

void out_finish(struct out *out)
{
    json_decref(out->rows);
    out->rows = NULL;
}

void out_columns(struct out *out, const char *const *names)
{
    out->columns_count = 0;
    while (*names && out->columns_count < OUT_COLUMNS_MAX)
        out->columns[out->columns_count++] = *names++;
}

/* ======= rows ======= */

json_t *row_new(void)
{
    return json_object();
}

static void *room_for(size_t size)
{
    void *p = malloc(size);
    if (!p) {
        fputs("larder: no memory\n", stderr);
        exit(4);
    }
    return p;
}

static void row_base64(json_t *row, const char *name, larder_slice bytes)
{
    char field[64], *text = room_for(4 * (bytes.size / 3 + 1) + 1);
    snprintf(field, sizeof(field), "%s_base64", name);
    base64_format(bytes, text);
    json_object_set_new(row, field, json_string(text));
    free(text);
}

/* Not UTF-8 even when escaped: the bytes themselves are of use to a program only, so they go as they are. */
static void row_escaped(json_t *row, const char *name, larder_slice bytes)
{
    char *text = room_for(4 * bytes.size + 1);
    escape_format(bytes, text);
    json_object_set_new(row, name, json_string_nocheck(text));
    free(text);
}

void row_bytes(const struct out *out, json_t *row, const char *name, larder_slice bytes)
{
    if (out->shape != OUT_JSON) {
        row_escaped(row, name, bytes);
        return;
    }
    json_t *text = json_stringn(bytes.size ? bytes.data : "", bytes.size);
    if (text)
        json_object_set_new(row, name, text);
    else
        row_base64(row, name, bytes);
}

void row_text(json_t *row, const char *name, const char *text)
{
    json_object_set_new(row, name, json_string(text));
}

void row_number(json_t *row, const char *name, uint64_t n)
{
    json_object_set_new(row, name, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

void row_flag(json_t *row, const char *name, bool value)
{
    json_object_set_new(row, name, json_boolean(value));
}

/* ======= cells ======= */

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static void number_cell(const struct out *out, const char *name, json_int_t n, char *ret, size_t bytes)
{
    if (out->shape == OUT_ALIGNED && ends_with(name, "_ms"))
        duration_format((uint64_t)n, ret, bytes);
    else if (out->shape == OUT_ALIGNED && ends_with(name, "bytes"))
        size_format((uint64_t)n, ret, bytes);
    else
        snprintf(ret, bytes, "%" JSON_INTEGER_FORMAT, n);
}

/* The text of one field; `room` serves those that are no strings. */
static const char *cell(const struct out *out, const char *name, const json_t *value, char *room,
                        size_t bytes)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        number_cell(out, name, json_integer_value(value), room, bytes);
    else if (json_is_real(value))
        snprintf(room, bytes, "%.4g", json_real_value(value));
    else if (json_is_boolean(value))
        return json_is_true(value) ? "yes" : "no";
    else
        return out->shape == OUT_ALIGNED ? "-" : "";
    return room;
}

enum { CELL_BYTES = 64 };

/* ======= lines ======= */

static void print_aligned(const struct out *out, const json_t *row, const int *widths)
{
    char room[CELL_BYTES];
    for (int i = 0; i < out->columns_count; i++) {
        const char *name = out->columns[i],
                   *text = cell(out, name, json_object_get(row, name), room, sizeof(room));
        bool last = i == out->columns_count - 1;
        printf("%s%*s", text, last ? 0 : widths[i] - text_width(text) + 2, "");
    }
    putchar('\n');
}

static void print_tabs(const struct out *out, const json_t *row)
{
    char room[CELL_BYTES];
    for (int i = 0; i < out->columns_count; i++) {
        const char *name = out->columns[i];
        printf("%s%s", i ? "\t" : "", cell(out, name, json_object_get(row, name), room, sizeof(room)));
    }
    putchar('\n');
}

static void measure(const struct out *out, int *widths)
{
    char room[CELL_BYTES];
    size_t n;
    json_t *row;
    for (int i = 0; i < out->columns_count; i++) {
        const char *name = out->columns[i];
        widths[i] = text_width(name);
        json_array_foreach(out->rows, n, row)
        {
            int width = text_width(cell(out, name, json_object_get(row, name), room, sizeof(room)));
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
}

/* A heading belongs to a list, not to a lone answer. */
static void print_head(struct out *out, const int *widths)
{
    if (out->head_printed || json_array_size(out->rows) < 2)
        return;
    out->head_printed = true;
    fputs(out->colour ? "\033[1m" : "", stdout);
    for (int i = 0; i < out->columns_count; i++)
        printf("%-*s", i == out->columns_count - 1 ? 0 : widths[i] + 2, out->columns[i]);
    fputs(out->colour ? "\033[0m\n" : "\n", stdout);
}

void out_flush(struct out *out)
{
    int widths[OUT_COLUMNS_MAX];
    size_t n;
    json_t *row;
    measure(out, widths);
    print_head(out, widths);
    json_array_foreach(out->rows, n, row) print_aligned(out, row, widths);
    json_array_clear(out->rows);
}

void out_row(struct out *out, json_t *row)
{
    if (out->shape == OUT_ALIGNED) {
        json_array_append_new(out->rows, row);
        return;
    }
    if (out->shape == OUT_TABS)
        print_tabs(out, row);
    else {
        json_dumpf(row, stdout, JSON_COMPACT | JSON_REAL_PRECISION(10)); /* 15.7, not 15.699999999999999 */
        putchar('\n');
    }
    json_decref(row);
}

/* ======= documents ======= */

enum { PATH_BYTES = 512, DOCUMENT_DEPTH = 8 }; /* our documents nest three deep */

static void flatten(struct out *out, const char *path, const json_t *value, int depth);

/* A list of plain values goes into one line, a list of objects into one line a field. */
static void flatten_array(struct out *out, const char *path, const json_t *array, int depth)
{
    size_t i;
    json_t *element;
    json_array_foreach(array, i, element)
    {
        char deeper[PATH_BYTES];
        const json_t *name = json_object_get(element, "name");
        if (json_is_string(name))
            snprintf(deeper, sizeof(deeper), "%s.%s", path, json_string_value(name));
        else
            snprintf(deeper, sizeof(deeper), "%s.%zu", path, i);
        flatten(out, deeper, element, depth + 1);
    }
}

static void flatten_leaf(struct out *out, const char *path, const json_t *value)
{
    char room[CELL_BYTES];
    json_t *row = row_new();
    const char *last_dot = strrchr(path, '.');
    const char *text = cell(out, last_dot ? last_dot + 1 : path, value, room, sizeof(room));
    row_text(row, "name", path);
    row_bytes(out, row, "value", larder_text(text));
    out_row(out, row);
}

static void flatten_object(struct out *out, const char *path, json_t *object, int depth)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        char deeper[PATH_BYTES];
        snprintf(deeper, sizeof(deeper), "%s%s%s", path, *path ? "." : "", name);
        flatten(out, deeper, value, depth + 1);
    }
}

static void flatten(struct out *out, const char *path, const json_t *value, int depth)
{
    if (depth > DOCUMENT_DEPTH)
        return;
    if (json_is_object(value))
        flatten_object(out, path, (json_t *)(uintptr_t)value, depth);
    else if (json_is_array(value))
        flatten_array(out, path, value, depth);
    else
        flatten_leaf(out, path, value);
}

bool out_document(struct out *out, const char *json)
{
    json_t *document = json_loads(json, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    if (!document)
        return false;
    if (out->shape == OUT_JSON) {
        json_dumpf(document, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        putchar('\n');
    } else {
        static const char *const columns[] = {"name", "value", NULL};
        out_columns(out, columns);
        out->head_printed = true; /* "name value" tells nobody anything */
        flatten(out, "", document, 0);
    }
    json_decref(document);
    return true;
}
