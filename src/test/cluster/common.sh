# shellcheck shell=bash disable=SC2034 # the names are used by the files that source this one
# Facts and helpers that both sides need: `cluster` on the machine, `node` inside the namespaces.

NAME=${LAYERCAKE_CLUSTER_NAME-}    # of the cluster that is meant, for a machine with several; most have one, without a name
CGROUP=layercake-cluster${NAME:+-$NAME}
STATE=/var/lib/$CGROUP             # everything the cluster writes
LOCK=/run/$CGROUP.lock
INSIDE=/layercake-cluster          # where a node sees these scripts, the settings and the machine's /usr
SETTINGS=$STATE/settings

HEAD_ADDRESS=10.77.0.1
NETWORK_PREFIX=24
SLURMCTLD_PORT=7817                # the default, 6817, is in Ceph's range of 6800 to 7300
SLURMD_PORT=7818
POOL=layercake
OSDS=3
OSD_BYTES=$((4 << 30))
LAUNCHER_SOCKET=/run/layercake/launcher.sock

# user:uid:supplementary groups
USERS=('alice:10001:project,astro' 'bob:10002:project' 'dana:10003:admins')
# group:gid
GROUPS_ADDED=(project:10010 astro:10011 admins:10012)

say() { printf 'cluster: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# await SECONDS WHAT COMMAND…: polls until COMMAND succeeds; false, with a message, when the deadline passes first.
await() {
  local seconds=$1 what=$2
  local deadline=$((${EPOCHREALTIME/./} + seconds * 1000000))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((${EPOCHREALTIME/./} > deadline)); then
      say "gave up after $seconds s waiting until $what"
      return 1
    fi
    sleep 0.1
  done
}

node_address() {
  if [[ $1 == head ]]; then echo "$HEAD_ADDRESS"; else echo "10.77.0.$((10 + ${1#n}))"; fi
}

osd_address() { echo "10.77.0.$((100 + $1))"; }

# The compute nodes of a cluster of COUNT, one a line.
compute_nodes() {
  local i
  for ((i = 1; i <= $1; i++)); do echo "n$i"; done
}
