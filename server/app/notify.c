#include "app/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"

enum { LISTEN_FIRST_FD = 3 }; /* fixed by the protocol */

void notify_send(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = path ? strlen(path) : 0;
    if (size == 0 || size >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* abstract */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    close(fd);
}

void notify_reloading(void)
{
    char text[64];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)(clock_mono_ns() / NS_PER_US));
    notify_send(text);
}

/* The variables are meant for one process only: PID says which. */
static unsigned long long number_for_us(const char *variable, const char *pid_variable)
{
    const char *text = getenv(variable), *pid = getenv(pid_variable);
    if (!text || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    return strtoull(text, NULL, 10);
}

uint64_t notify_watchdog_ns(void)
{
    return number_for_us("WATCHDOG_USEC", "WATCHDOG_PID") * NS_PER_US;
}

int notify_listen_fd(void)
{
    unsigned long long count = getenv("LISTEN_PID") ? number_for_us("LISTEN_FDS", "LISTEN_PID") : 0;
    if (count == 0)
        return -1;
    if (count > 1)
        return -2;
    fcntl(LISTEN_FIRST_FD, F_SETFD, FD_CLOEXEC);
    return LISTEN_FIRST_FD;
}
