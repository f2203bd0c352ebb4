#include "app/redis.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/check.h"

enum { PREFIX_BYTES_MAX = 256, PASSWORD_ROOM = 4096, URL_ROOM = L2_URL_MAX + 1 };

/* The first line of the file. */
static const char *read_password(const char *path, char room[PASSWORD_ROOM])
{
    FILE *file = fopen(path, "re");
    if (!file)
        return "the password file of Redis cannot be read";
    bool read = fgets(room, PASSWORD_ROOM, file);
    fclose(file);
    if (!read)
        return "the password file of Redis is empty";
    room[strcspn(room, "\r\n")] = 0;
    return NULL;
}

/* What an address may not hold as it is, in hexadecimal. */
static void append_encoded(char *url, const char *text)
{
    size_t at = strlen(url);
    for (; *text && at + 4 < URL_ROOM; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c))
            url[at++] = (char)c;
        else
            at += (size_t)snprintf(url + at, 4, "%%%02X", c);
    }
    url[at] = 0;
}

static void compose(const struct l2_options *o, const char *password, char url[URL_ROOM])
{
    bool numeric6 = strchr(o->host, ':');
    snprintf(url, URL_ROOM, "redis://");
    append_encoded(url, o->user);
    if (*password) {
        strcat(url, ":");
        append_encoded(url, password);
        strcat(url, "@");
    }
    size_t at = strlen(url);
    snprintf(url + at, URL_ROOM - at, numeric6 ? "[%s]:%u/%u" : "%s:%u/%u", o->host, (unsigned)o->port,
             (unsigned)o->database);
}

static const char *find_url(const struct l2_options *o, char url[URL_ROOM])
{
    char password[PASSWORD_ROOM];
    const char *wrong = NULL;
    if (*o->url) {
        snprintf(url, URL_ROOM, "%s", o->url);
        return NULL;
    }
    snprintf(password, sizeof(password), "%s", o->password);
    if (!*password && *o->password_file)
        wrong = read_password(o->password_file, password);
    if (!wrong)
        compose(o, password, url);
    explicit_bzero(password, sizeof(password));
    return wrong;
}

static const char *open_url(struct redis *r, const char *url)
{
    int error = l2_url_parse(url, &r->url);
    if (error < 0)
        return l2_url_error_text(error);
    if (!r->url.tls)
        return NULL;
    struct tls_files files = {r->url.cacert, r->url.cert, r->url.key};
    error = tls_context_create(&files, &r->tls);
    if (error >= 0)
        return NULL;
    l2_url_finish(&r->url);
    return tls_error_text(error);
}

const char *redis_open(struct redis *r, const struct l2_options *options)
{
    char url[URL_ROOM];
    *r = (struct redis){0};
    if (strlen(options->key_prefix) > PREFIX_BYTES_MAX)
        return "key_prefix is longer than 256 bytes";
    if (!options->enabled || (!*options->url && !*options->host))
        return NULL;
    const char *wrong = find_url(options, url);
    if (!wrong)
        wrong = open_url(r, url);
    explicit_bzero(url, sizeof(url));
    r->configured = !wrong;
    return wrong;
}

void redis_close(struct redis *r)
{
    l2_url_finish(&r->url);
    r->tls = tls_context_destroy(r->tls);
}
