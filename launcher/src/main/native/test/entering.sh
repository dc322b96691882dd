#!/bin/bash
# What becomes of a command that an image's entry point is to run. Argument: the build directory.
# shellcheck disable=SC2016,SC2116 # words for other shells, and what is run is no echo
set -u

program=$(realpath "$1")/entrypoint
passed=0
failed=0

# is WHAT EXPECTED FOUND
is() {
	if [ "$2" = "$3" ]; then passed=$((passed + 1)); else
		failed=$((failed + 1))
		echo "FAILED: $1: expected \"$2\", found \"$3\""
	fi
}

# run ENTRYPOINT COMMAND ARGUMENT…: as slurmstepd would, by a descriptor.
run() {
	(
		export LAYERCAKE_ENTRYPOINT=$1 LAYERCAKE_COMMAND=$2
		shift 2
		exec -a /proc/self/fd/9 /proc/self/fd/9 "$@" 9<"$program"
	) 2>&1
}

is 'the command and its arguments come behind the entry point' '[a b][-x][cat][/etc/a b][]' \
	"$(run 'printf [%25s] a%20b -x' cat '/etc/a b' '')"
is 'a command without arguments' 'cat' "$(run echo cat)"
is 'words of any bytes' $'\xc3\xa9;%\n.' "$(run 'printf %25s %C3%A9%3B%25%0A.' '')"
is 'an empty word' '[][x]' "$(run 'printf [%25s] ' x)"
is 'the program may be a path' 'x' "$(run /bin/echo x)"
is 'nothing of it is left' 'closed unset' "$(run 'sh -c eval%20"$0" [%20-e%20/proc/self/fd/9%20]%20||%20echo%20closed%20${LAYERCAKE_COMMAND-unset}' x)"
is 'an exit code is passed on' 7 "$(run 'sh -c exit%207' x >/dev/null; echo $?)"
said=$(run no-such%0Aprogram x)
is 'a program that is not there: code' 127 $?
is 'and line' 'layercake: cannot run the image'\''s entry point "no-such?program": No such file or directory (leave out --ch-entrypoint, or push an image that has it)' "$said"
is 'a program that is none' 126 "$(run /etc x >/dev/null; echo $?)"
is 'one task of a node speaks' '' "$(SLURM_LOCALID=1 run no-such x)"
is 'a malformed word' 70 "$(run 'a%2' x >/dev/null; echo $?)"
is 'without its variables' 70 "$(env -u LAYERCAKE_COMMAND LAYERCAKE_ENTRYPOINT=echo "$program" x 2>/dev/null; echo $?)"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
