/* Which mount sources open, with openat2(2) and without. */
#define _GNU_SOURCE
#include "holder/source.h"
#include "shared/test/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int opener(const char *path, int flags);

static char work[] = "/tmp/layercake-test.XXXXXX";

/* Opens the same as open(2) does. */
static void opens(opener *open_path, const char *path, int flags)
{
	struct stat wanted, got;
	int plain = open(path, O_PATH | flags), fd = open_path(path, O_PATH | O_CLOEXEC | flags);

	bool same = plain >= 0 && fd >= 0 && fstat(plain, &wanted) == 0 && fstat(fd, &got) == 0 &&
		    wanted.st_ino == got.st_ino && wanted.st_dev == got.st_dev;
	if (!EXPECT(same, path))
		printf("  %s\n", strerror(errno));
	close(plain);
	close(fd);
}

static void refuses(opener *open_path, const char *path, int flags, int error)
{
	int fd = open_path(path, O_PATH | O_CLOEXEC | flags);

	if (!EXPECT(fd < 0 && errno == error, path))
		printf("  %s\n", strerror(errno));
	close(fd);
}

static void try_all(opener *open_path)
{
	char path[64];

	opens(open_path, "dir", O_DIRECTORY);
	opens(open_path, "dir/file", 0);
	opens(open_path, "/", O_DIRECTORY);
	opens(open_path, "to-dir", O_DIRECTORY);
	opens(open_path, "to-dir/up/dir//file", 0);
	opens(open_path, "to-etc", O_DIRECTORY);
	opens(open_path, "dir/../dir/./", O_DIRECTORY);
	opens(open_path, "/dev/null", 0);
	opens(open_path, "/proc/self/../self/status", 0);
	opens(open_path, "/proc/mounts", 0);
	refuses(open_path, "none", 0, ENOENT);
	refuses(open_path, "dir/none/file", 0, ENOENT);
	refuses(open_path, "dir/file", O_DIRECTORY, ENOTDIR);
	refuses(open_path, "dir/file/", 0, ENOTDIR);
	refuses(open_path, "dir/file/more", 0, ENOTDIR);
	refuses(open_path, "loop", 0, ELOOP);
	refuses(open_path, "/proc/self/cwd", O_DIRECTORY, ELOOP);
	refuses(open_path, "/proc/self/cwd/dir", O_DIRECTORY, ELOOP);
	refuses(open_path, "/proc/thread-self/root/etc", O_DIRECTORY, ELOOP);
	refuses(open_path, "/proc/self/exe", 0, ELOOP);
	refuses(open_path, "to-cwd", O_DIRECTORY, ELOOP);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", open("dir", O_PATH | O_DIRECTORY));
	refuses(open_path, path, O_DIRECTORY, ELOOP);
}

static void make_files(void)
{
	EXPECT(mkdir("dir", 0755) == 0 && close(open("dir/file", O_CREAT | O_WRONLY, 0600)) == 0 &&
		   symlink("dir", "to-dir") == 0 && symlink("..", "dir/up") == 0 &&
		   symlink("/etc", "to-etc") == 0 && symlink("loop", "loop") == 0 &&
		   symlink("/proc/self/cwd", "to-cwd") == 0,
	       "make files");
}

static void remove_files(void)
{
	static const char *const files[] = {"dir/file", "dir/up", "to-dir",
					    "to-etc",	"loop",	  "to-cwd"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	rmdir("dir");
	rmdir(work);
}

int main(void)
{
	if (mkdtemp(work) == NULL || chdir(work) < 0)
		return 1;
	make_files();
	try_all(open_source_path);
	try_all(open_step_by_step);
	remove_files();
	return summary();
}
