/*
 * The new root directory, below a tmpfs that only this mount namespace has:
 *
 *   STAGE/image   the image, as the image server serves it
 *   STAGE/skel    what the image lacks: mount points and files ch-run insists on. In a writable
 *                 image they are made
 *   STAGE/root    what ch-run gets: an overlay of both, or the image itself if it lacks nothing.
 *                 (On the overlay the kernel enforces file modes; the bare image is all readable.)
 *   STAGE/binds/N mount sources, opened as the user, read-only where asked; images, always so
 *   STAGE/scratch/N  empty directories of a tmpfs, mount sources for what is writable in any image
 *   STAGE/dev     the node's /dev with names that it lacks, if any are asked for
 *   STAGE/empty   ch-run's storage directory. Without one of ours it would look into a directory
 *                 below /var/tmp that any user can make, and start the image found there.
 */
#define _GNU_SOURCE
#include "stage.h"
#include "accounts.h"
#include "adjust.h"
#include "common/die.h"
#include "destinations.h"
#include "devices.h"
#include "mounts.h"
#include "replace.h"
#include "skeleton.h"
#include "sources.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* Nothing in an image may send the overlay elsewhere. A kernel may know less, overlayfs(5). */
static int mount_overlay(void)
{
	static const char *const options[] = {
	    "lowerdir=skel:image,redirect_dir=nofollow,metacopy=off,index=off",
	    "lowerdir=skel:image,redirect_dir=nofollow",
	    "lowerdir=skel:image,redirect_dir=off",
	    "lowerdir=skel:image",
	};
	int result = -1;

	for (size_t i = 0; result < 0 && i < sizeof(options) / sizeof(options[0]); i++) {
		result = mount("overlay", "root", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV,
			       options[i]);
		if (result < 0 && errno != EINVAL)
			break;
	}
	return result;
}

static void mount_root(bool with_skeleton)
{
	int result = with_skeleton ? mount_overlay() : mount("image", "root", NULL, MS_BIND, NULL);

	if (result < 0)
		die(errno == ENOTCONN || errno == EIO ? EXIT_INPUT : EXIT_INTERNAL,
		    "cannot mount the new root directory: %s", strerror(errno));
}

void stage_container(struct plan *plan, int image_mount)
{
	/* The images of other users' jobs, and what those have changed. */
	for (size_t i = 0; i < plan->hide.count; i++)
		detach_mounts_below(plan->hide.list[i]);
	if (mount("layercake", plan->stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711,size=4m") <
		0 ||
	    mount(NULL, plan->stage, NULL, MS_PRIVATE, NULL) < 0 || chdir(plan->stage) < 0)
		die(EXIT_INTERNAL, "cannot mount a tmpfs on \"%s\": %s", plan->stage,
		    strerror(errno));
	make_dir("image", 0755);
	make_dir("skel", 0755);
	give_to(&plan->user, "skel");
	make_dir("root", 0755);
	make_dir("empty", 0755);
	attach_mount(image_mount, "image");
	close(image_mount);

	int image = open("image", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (image < 0)
		die(EXIT_INPUT, "cannot read the image: %s", strerror(errno));
	make_scratch(plan);
	find_replaced(plan, image);
	open_sources(plan);
	struct skeleton skeleton = {image, plan->writable, &plan->user};
	add_accounts(plan, &skeleton);
	bool beside = add_skeleton(&skeleton);
	beside |= plan->time_zone && adjust_time_zone(&skeleton);
	beside |= plan->root_inside && adjust_apt(&skeleton);
	beside |= prepare_destinations(plan, &skeleton);
	close(image);
	bind_sources(plan);
	make_own_devices(plan);
	mount_root(beside);
	if (chdir("/") < 0)
		die(EXIT_INTERNAL, "cannot leave \"%s\": %s", plan->stage, strerror(errno));
}
