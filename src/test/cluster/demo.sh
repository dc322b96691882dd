# shellcheck shell=bash
# Sourced by quickstart: the steps of its demo, each with its time and its log, and the tour.

LOGS=$CHECKOUT/target/quickstart

# What to do when a step has failed.
declare -A NEXT_MOVE=(
  [packages]="check the machine's package sources (apt-get update), then run ./quickstart again"
  [build]='correct what the log names, then run ./quickstart again; the first build needs a network, for Maven'
  [cluster]='read the logs of the daemons, then run src/test/cluster/cluster down and ./quickstart again'
  [image]='read the logs of the daemons, then run ./quickstart again'
  [srun]='read the logs of the daemons, then run ./quickstart again'
)

# What a newcomer may type as alice, each with what it shows. SOURCE is the file that was pushed.
TOUR=(
  'store an image: nothing in it is new, so nothing is sent' 'layercake push /scratch/quickstart/SOURCE deb:12'
  'run a command in it, on two nodes' 'srun -N2 --ch-image=deb:12 grep PRETTY_NAME /etc/os-release'
  'log in to a node: you are in the same container' 'salloc -Q -N2 --ch-image=deb:12 ssh n2 grep PRETTY_NAME /etc/os-release'
  "be root inside, change the image's files, save them as an image"
  "salloc -Q --ch-image=deb:12 --ch-root --ch-writable sh -c 'srun sh -c \"echo hello >/etc/motd\" && srun --ch-image=none layercake save deb:mine'"
  'run the new image' 'srun --ch-image=deb:mine cat /etc/motd'
  'list your images' 'layercake ls'
  'remove one' 'layercake rm deb:mine'
)

# step NAME TEXT COMMAND…: a line with the time it took; what the command prints goes to a log.
step() {
  local name=$1 text=$2 log=$LOGS/$1.log begun=$SECONDS status
  shift 2
  mkdir -p "$LOGS"
  printf '%-9s %-62s ' "$name" "$text"
  set +e # in a condition, the subshell would go on after a command that fails
  (
    set -e
    "$@"
  ) </dev/null >"$log" 2>&1
  status=$?
  set -e
  if ((status != 0)); then
    fail_step "$name" "$log" "$status"
  fi
  printf '%4d s\n' $((SECONDS - begun))
}

fail_step() {
  local name=$1 log=${2#"$CHECKOUT"/} status=$3
  printf 'failed\n\n'
  tail -n 25 "$log" | sed 's/^/  /'
  if [[ $name == @(cluster|image|srun) ]]; then
    rm -rf "$LOGS/nodes"
    "$CLUSTER" logs "$LOGS/nodes" >/dev/null 2>&1 || true
    printf '\nThe logs of the daemons are in %s.\n' "${LOGS#"$CHECKOUT"/}/nodes"
  fi
  die "$name ended with status $status, see above and $log (${NEXT_MOVE[$name]})"
}

store_name() {
  if [[ $1 == rados ]]; then echo Ceph; else echo 'a directory'; fi
}

run_demo() {
  # shellcheck disable=SC2016 # for the shell in the container
  local script='. /etc/os-release; echo "task $SLURM_PROCID on $SLURMD_NODENAME: $PRETTY_NAME, user $(id -un)"'
  printf "alice\$ srun -N2 -n4 --ch-image=deb:12 sh -c '%s'\n" "$script"
  "$CLUSTER" as alice srun -N2 -n4 --ch-image=deb:12 sh -c "$script"
}

# Calls a command with each text and command of the tour.
each_stop() {
  local i source
  eval "$("$CLUSTER" env)"
  source=$(ls "${LAYERCAKE_CLUSTER_SCRATCH-}/quickstart") || die 'there is no cluster with an image (run ./quickstart first)'
  for ((i = 0; i < ${#TOUR[@]}; i += 2)); do
    "$@" "${TOUR[i]}" "${TOUR[i + 1]/SOURCE/$source}"
  done
}

tour() { each_stop run_stop; }

run_stop() {
  printf '\n# %s\nalice$ %s\n' "$1" "$2"
  "$CLUSTER" as alice bash -c "$2" || die "\"$2\" ended with status $? (logs of the nodes: ${CLUSTER#"$CHECKOUT"/} logs DIRECTORY)"
}

print_stop() { printf '    # %s\n    %s\n' "$1" "$2"; }

what_next() {
  local cluster=${CLUSTER#"$CHECKOUT"/}
  printf '\nA short tour: run "./quickstart tour", or be alice (%s as alice bash) and type:\n\n' "$cluster"
  each_stop print_stop
  cat <<NEXT

More: docs/user-guide.md for users, docs/operations.md for administrators.
State of the cluster: $cluster status. Remove all of this: ./quickstart down.
NEXT
}
