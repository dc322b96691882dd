/* What the plugin and ssh-entry have to know of the site's rules, which the launcher alone reads.
 */
#ifndef LAYERCAKE_RULES_H
#define LAYERCAKE_RULES_H

#include <stdbool.h>

/* Where they are, unless somebody says otherwise. */
#define LC_RULES "/etc/layercake/policy"

/*
 * Whether they may say where a task belongs that asks for no image: then the launcher has to be
 * asked. True as well when that cannot be told. Without the file this is one system call.
 */
bool lc_rules_place_tasks(const char *path);

#endif
