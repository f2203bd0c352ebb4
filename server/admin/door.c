#include "admin/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/check.h"
#include "base/log.h"

enum { BACKLOG = 64 };

/* ======= addresses ======= */

static bool is_loopback4(struct in_addr a)
{
    return ntohl(a.s_addr) >> 24 == 127;
}

static const char *parse_host(const char *host, uint16_t port, struct door_address *ret)
{
    struct sockaddr_in *v4 = &ret->tcp.v4;
    struct sockaddr_in6 *v6 = &ret->tcp.v6;
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return is_loopback4(v4->sin_addr)
                   ? NULL
                   : "only addresses of this host, such as 127.0.0.1:8370, are listened on";
    }
    *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        return "an address is written as unix:PATH, 127.0.0.1:PORT or [::1]:PORT";
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)
               ? NULL
               : "only addresses of this host, such as [::1]:8370, are listened on";
}

static const char *parse_tcp(const char *text, struct door_address *ret)
{
    char host[64], *end;
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : 0;
    if (size == 0 || size >= sizeof(host))
        return "an address is written as unix:PATH, 127.0.0.1:PORT or [::1]:PORT";
    bool bracketed = text[0] == '[' && text[size - 1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)(size - 2 * bracketed), text + bracketed);
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end || port > UINT16_MAX)
        return "a port is a number from 0 to 65535; 0: any that is free";
    return parse_host(host, (uint16_t)port, ret);
}

static const char *parse_one(const char *text, struct door_address *ret)
{
    *ret = (struct door_address){0};
    if (strncmp(text, "unix:", 5) != 0)
        return parse_tcp(text, ret);
    size_t size = strlen(text + 5);
    if (size == 0 || size >= sizeof(ret->path))
        return "the path of a Unix socket has 1 to 107 bytes";
    memcpy(ret->path, text + 5, size + 1);
    return NULL;
}

int door_addresses(const char *text, struct door_address ret[DOORS_MAX], const char **ret_why)
{
    int count = 0;
    for (const char *at = text + strspn(text, " ,\t"); *at; at += strspn(at, " ,\t")) {
        char one[DOOR_TEXT];
        size_t size = strcspn(at, " ,\t");
        if (count == DOORS_MAX) {
            *ret_why = "more than 4 addresses";
            return -1;
        }
        snprintf(one, sizeof(one), "%.*s", (int)size, at);
        *ret_why = size < sizeof(one) ? parse_one(one, &ret[count++]) : "an address has at most 119 bytes";
        if (*ret_why)
            return -1;
        at += size;
    }
    return count;
}

/* ======= opening ======= */

static int fail(int fd, const char *what)
{
    log_error("the admin's TCP address cannot be used", L_TEXT("step", what),
              L_TEXT("system", strerror(errno)));
    if (fd >= 0)
        close(fd);
    return LISTENER_E_BIND;
}

static int listen_tcp(const union door_tcp *address)
{
    const int on = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(fd, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
               sizeof(on)); /* a restart finds the port of its predecessor */
    socklen_t size =
        address->any.sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (bind(fd, &address->any, size) != 0)
        return fail(fd, "bind");
    return listen(fd, BACKLOG) == 0 ? fd : fail(fd, "listen");
}

static void show_tcp(int fd, char shown[DOOR_TEXT])
{
    union door_tcp address;
    socklen_t size = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "?";
    getsockname(fd, &address.any, &size);
    bool six = address.any.sa_family == AF_INET6;
    inet_ntop(address.any.sa_family, six ? (const void *)&address.v6.sin6_addr : &address.v4.sin_addr, host,
              sizeof(host));
    snprintf(shown, DOOR_TEXT, six ? "http://[%s]:%u/" : "http://%s:%u/", host,
             ntohs(six ? address.v6.sin6_port : address.v4.sin_port));
}

int door_open(struct loop *loop, const struct door_address *address, mode_t mode,
              void (*accepted)(void *user, int fd, const struct peer *peer), void *user,
              struct listener **ret, char shown[DOOR_TEXT])
{
    struct listener_setup setup = {
        .loop = loop, .path = address->path, .mode = mode, .fd = -1, .accepted = accepted, .user = user};
    if (*address->path) {
        snprintf(shown, DOOR_TEXT, "unix:%s", address->path);
        return listener_open(&setup, ret);
    }
    setup.tcp = true;
    setup.fd = listen_tcp(&address->tcp);
    if (setup.fd < 0)
        return setup.fd;
    show_tcp(setup.fd, shown);
    return listener_open(&setup, ret);
}
