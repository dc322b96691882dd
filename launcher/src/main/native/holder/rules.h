/* The site's rules about what users mount: docs/operations.md, "Rules of the site". */
#ifndef LAYERCAKE_RULES_H
#define LAYERCAKE_RULES_H

#include "plan.h"

/*
 * Adds a rule, written ACTION:REFUSAL:PATH[:PATH]..., of which all but the first are values as
 * specs have them. ACTION is allow or deny, for sources in one of the directories, or with
 * "-others" behind it, for those in none of them. Denying counts for what is above a directory,
 * too, since that would show it; what is above one is not "other".
 */
void add_mount_rule(struct plan *plan, const char *text);

/*
 * What the user is told when the rules refuse a source, NULL when they do not. `source` is where it
 * really is, without links.
 */
const char *rules_refuse(const struct plan *plan, const char *source);

#endif
