#include "app/places.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "app/settings.h"
#include "proto/shm.h"

static bool put_path(char ret[PLACE_BYTES], const char *directory, const char *rest)
{
    int size = snprintf(ret, PLACE_BYTES, "%s%s", directory, rest);
    return size > 0 && size < PLACE_BYTES;
}

/* The first of a colon-separated list: systemd gives several when the unit asks for several. */
static const char *first_directory(char *const *environment, const char *name, char room[PLACE_BYTES])
{
    const char *list = environment_get(environment, name);
    if (!list)
        return NULL;
    snprintf(room, PLACE_BYTES, "%.*s", (int)strcspn(list, ":"), list);
    return room;
}

bool place_socket(char *const *environment, bool root, char ret[PLACE_BYTES])
{
    char room[PLACE_BYTES];
    const char *directory = first_directory(environment, "RUNTIME_DIRECTORY", room);
    if (directory)
        return put_path(ret, directory, "/larder.sock");
    if (root)
        return put_path(ret, "/run/larder", "/larder.sock");
    directory = environment_get(environment, "XDG_RUNTIME_DIR");
    return directory && put_path(ret, directory, "/larder/larder.sock");
}

bool place_state(char *const *environment, bool root, char ret[PLACE_BYTES])
{
    char room[PLACE_BYTES];
    const char *directory = first_directory(environment, "STATE_DIRECTORY", room);
    if (directory)
        return put_path(ret, directory, "");
    if (root)
        return put_path(ret, "/var/lib/larder", "");
    if ((directory = environment_get(environment, "XDG_STATE_HOME")))
        return put_path(ret, directory, "/larder");
    directory = environment_get(environment, "HOME");
    return directory && put_path(ret, directory, "/.local/state/larder");
}

int place_make(const char *directory, unsigned mode)
{
    char path[PLACE_BYTES];
    struct stat st;
    if (!put_path(path, directory, "")) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST && stat(path, &st) < 0)
            return -1;
        *slash = '/';
    }
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return -1;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    errno = ENOTDIR;
    return -1;
}

bool place_is_tmpfs(const char *directory)
{
    struct statfs fs;
    return statfs(directory, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* Anybody may write to /dev/shm: what is found there under our name must be ours alone. */
static bool ours_alone(const char *directory)
{
    struct stat st;
    return lstat(directory, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 077) == 0;
}

bool place_runtime(const char *socket, const char *state, char ret[PLACE_BYTES])
{
    const char *slash = strrchr(socket, '/');
    char whole[PLACE_BYTES];
    if (slash && slash > socket && put_path(ret, socket, "")) {
        ret[slash - socket] = '\0';
        if (place_make(ret, 0750) == 0 && place_is_tmpfs(ret) && access(ret, W_OK) == 0)
            return true;
    }
    uint64_t hash = shm_hash_key(0, slice_text(realpath(state, whole) ? whole : state));
    snprintf(ret, PLACE_BYTES, "/dev/shm/larder-%u-%016llx", (unsigned)geteuid(), (unsigned long long)hash);
    return place_make(ret, 0700) == 0 && place_is_tmpfs(ret) && ours_alone(ret);
}
