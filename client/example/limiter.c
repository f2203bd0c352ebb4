/* An API that lets nobody ask too often, counted once for all processes and hosts.  How often is the configuration's to say:
 *
 *     [limit api]
 *     max = 3
 *     window = 1h
 *     scope = {user} | {ip}
 *     plan.pro = 5
 *
 * While Redis is away each host counts by itself.  While not even larderd is there, everybody is let in: an API that answers
 * too often is better than one that answers nobody (`alone` of the options says otherwise, where it is not).
 *
 *     cc limiter.c -o limiter $(pkg-config --cflags --libs larder)
 *
 * Requests, a line each: "ask IP [USER [PLAN]]". */
#include <stdio.h>
#include <string.h>
#include "client/larder.h" /* <larder.h> when installed */

static size_t add(larder_argument *to, size_t count, const char *name, const char *value)
{
    if (*value)
        to[count++] = (larder_argument){larder_text(name), larder_text(value)};
    return count;
}

/* What an HTTP server would put into its status and into RateLimit-Limit, RateLimit-Remaining and Retry-After. */
static void ask(larder_client *cache, const char *ip, const char *user, const char *plan)
{
    larder_argument who[3];
    larder_allowance a;
    size_t count = add(who, add(who, add(who, 0, "ip", ip), "user", user), "plan", plan);
    int r = larder_limit_named(cache, larder_text("api"), larder_text(""), who, count, NULL, &a);
    if (r < 0)
        printf("%s, not counted\n", a.allowed ? "200" : "503");
    else if (a.allowed)
        printf("200, %llu of %llu left\n", (unsigned long long)a.remaining, (unsigned long long)a.max);
    else
        printf("429, again %s\n", a.retry_ms <= 3600000 ? "within the hour" : "later");
    fflush(stdout);
}

int main(void)
{
    larder_client *cache;
    char line[128];
    if (larder_open(&cache, NULL) < 0)
        return 1;
    while (fgets(line, sizeof(line), stdin)) {
        char ip[48] = "", user[32] = "", plan[32] = "";
        if (sscanf(line, "ask %47s %31s %31s", ip, user, plan) >= 1)
            ask(cache, ip, user, plan);
    }
    larder_close(cache);
    return 0;
}
