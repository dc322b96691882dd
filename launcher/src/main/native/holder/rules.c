#define _GNU_SOURCE
#include "rules.h"
#include "common/die.h"
#include "shared/spec.h"
#include "tree.h"

#include <stdlib.h>
#include <string.h>

static bool is_in(const char *path, const char *directory)
{
	return strcmp(directory, "/") == 0 || is_at_or_below(path, directory);
}

static bool is_about(const struct mount_rule *rule, const char *source)
{
	bool found = false;

	for (size_t i = 0; i < rule->path_count; i++) {
		bool is_above = is_in(rule->paths[i], source);
		found |= is_in(source, rule->paths[i]);
		/* "deny": it would be seen; "allow-others": it is not only others that would be. */
		found |= is_above && rule->allows == rule->others;
	}
	return found != rule->others;
}

const char *rules_refuse(const struct plan *plan, const char *source)
{
	for (size_t i = 0; i < plan->rule_count; i++)
		if (is_about(&plan->rules[i], source))
			return plan->rules[i].allows ? NULL : plan->rules[i].refusal;
	return NULL;
}

_Noreturn static void refuse_rule(const char *text)
{
	die(EXIT_REQUEST, "cannot read the rule about mounts \"%s\"", text);
}

static char *next_value(const char **rest, const char *text)
{
	size_t length = strcspn(*rest, ":");
	char *value = lc_spec_parse_value(*rest, length);

	if (value == NULL)
		refuse_rule(text);
	*rest += length;
	if (**rest == ':')
		++*rest;
	return value;
}

static void parse_action(const char *action, struct mount_rule *rule, const char *text)
{
	rule->allows = strncmp(action, "allow", 5) == 0;
	const char *rest = action + (rule->allows ? 5 : strncmp(action, "deny", 4) == 0 ? 4 : 0);
	rule->others = strcmp(rest, "-others") == 0;
	if (rest == action || (*rest != '\0' && !rule->others))
		refuse_rule(text);
}

void add_mount_rule(struct plan *plan, const char *text)
{
	struct mount_rule rule = {0};
	const char *rest = text;
	char *action = next_value(&rest, text);

	parse_action(action, &rule, text);
	free(action);
	rule.refusal = next_value(&rest, text);
	while (*rest != '\0') {
		rule.paths = reallocarray(rule.paths, rule.path_count + 1, sizeof(*rule.paths));
		if (rule.paths == NULL)
			die(EXIT_INTERNAL, "out of memory");
		rule.paths[rule.path_count] = next_value(&rest, text);
		if (rule.paths[rule.path_count++][0] != '/')
			refuse_rule(text);
	}
	if (rule.path_count == 0)
		refuse_rule(text);
	plan->rules = reallocarray(plan->rules, plan->rule_count + 1, sizeof(*plan->rules));
	if (plan->rules == NULL)
		die(EXIT_INTERNAL, "out of memory");
	plan->rules[plan->rule_count++] = rule;
}
