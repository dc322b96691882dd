/* The texts that a request has beside its image and mounts: what they are called, what they may be.
 */
#ifndef LAYERCAKE_TEXT_H
#define LAYERCAKE_TEXT_H

enum { LC_VARIABLE_MAX = 255, LC_DEVICE_MAX = 255, LC_PROFILE_MAX = 64 };

/* Items of a spec that have one value and come once. */
enum lc_text {
	LC_CWD,	    /* a directory to be shown where it is, if nothing else is there */
	LC_HOME,    /* what is shown as the home: a path, or LC_HOME_NONE */
	LC_WORKDIR, /* where a step starts: a path, or LC_WORKDIR_OF_IMAGE */
	LC_ENV,	    /* variables whose values are the user's, not the image's: NAME[,...] */
	LC_DEVICE,  /* devices of the node, VENDOR/CLASS=NAME[,...] */
	LC_PROFILE, /* profiles of the site to have or do without, +NAME or -NAME[,...] */
	LC_TEXTS,
};

#define LC_HOME_NONE "no"

#define LC_WORKDIR_OF_IMAGE "image"

struct lc_text_kind {
	const char *key; /* in a spec */
	const char *use; /* as errors say it */
	/* What is wrong with a value, or NULL. */
	const char *(*check)(const char *value);
};

extern const struct lc_text_kind lc_text_kinds[LC_TEXTS];

/* What is wrong with a path, or NULL. */
const char *lc_check_path(const char *path);

/* Removes double and trailing slashes of an absolute path. */
void lc_tidy_path(char *path);

#endif
