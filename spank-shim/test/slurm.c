/*
 * What the plugin calls of the program that loads it, and no test looks at: a test that plays the
 * program has the rest.
 */
#include <slurm/slurm.h>
#include <slurm/spank.h>

spank_err_t spank_setenv(spank_t spank, const char *name, const char *value, int overwrite)
{
	(void)spank;
	(void)name;
	(void)value;
	(void)overwrite;
	return ESPANK_SUCCESS;
}

spank_err_t spank_unsetenv(spank_t spank, const char *name)
{
	(void)spank;
	(void)name;
	return ESPANK_SUCCESS;
}

spank_err_t spank_job_control_setenv(spank_t spank, const char *name, const char *value,
				     int overwrite)
{
	return spank_setenv(spank, name, value, overwrite);
}

const char *spank_strerror(spank_err_t error)
{
	(void)error;
	return "an error";
}

void slurm_error(const char *format, ...)
{
	(void)format;
}

void slurm_verbose(const char *format, ...)
{
	(void)format;
}
