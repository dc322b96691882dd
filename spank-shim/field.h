/* The paths in an option, as users write them. */
#ifndef LAYERCAKE_FIELD_H
#define LAYERCAKE_FIELD_H

/* Of names of variables; the first is no digit. */
#define LC_NAME_CHARACTERS                                                                         \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                               \
	"abcdefghijklmnopqrstuvwxyz_0123456789"

/* What stands for something else, since no shell replaces it in a script's #SBATCH lines. */
struct lc_words {
	const char *home;	      /* ~ and $HOME */
	const char *directory;	      /* $PWD, and where relative paths begin */
	const char *submit_directory; /* $SLURM_SUBMIT_DIR */
	const char *user;	      /* $USER */
};

/*
 * Takes from *text what is before the first one of `ends`, or all. A backslash takes the meaning
 * from a comma, colon, backslash, dollar or tilde. Returns the field, to be freed, with its words
 * replaced; NULL without memory, or when it cannot be replaced: then *problem says why.
 */
char *lc_take_field(const char **text, const char *ends, const struct lc_words *words,
		    const char **problem);

/*
 * Makes a relative path absolute: "." is left out, ".." counts where the path begins so. Returns
 * a path, to be freed, or NULL without memory.
 */
char *lc_make_absolute(const char *path, const struct lc_words *words);

#endif
