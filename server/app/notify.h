/* Talking to the service manager: sd_notify's protocol and socket activation, without its library.  Everything here
 * does nothing when no manager is there. */
#ifndef LARDER_APP_NOTIFY_H
#define LARDER_APP_NOTIFY_H

#include <stdint.h>

/* One datagram, never waited for: "READY=1", "STATUS=…", several lines joined by newlines. */
void notify_send(const char *text);
void notify_reloading(void); /* RELOADING=1 with the time the manager wants */

/* How often the manager wants a sign of life, in ns; 0: never.  Send twice as often. */
uint64_t notify_watchdog_ns(void);

/* The one listening socket the manager made for us, -1: none, -2: more than one. */
int notify_listen_fd(void);

#endif
