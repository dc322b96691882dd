# shellcheck shell=bash
# Slurm for the cluster: the config files (written on the machine) and the daemons (started in the nodes).

write_slurm_conf() {
  local nodes=$1 cpus
  cpus=$(nproc)
  cat <<CONF
ClusterName=layercake
SlurmctldHost=head($HEAD_ADDRESS)
SlurmctldPort=$SLURMCTLD_PORT
SlurmdPort=$SLURMD_PORT
SlurmUser=root
AuthType=auth/munge
MpiDefault=none
PlugStackConfig=/etc/slurm/plugstack.conf
MailProg=/bin/true

StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
SlurmctldDebug=verbose
SlurmdDebug=verbose

PrologFlags=Alloc,Contain
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup,task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# Heterogeneous jobs are started by the backfill scheduler only, which else looks every 30 s.
SchedulerParameters=bf_interval=1
# A machine with one core still offers two CPUs per node.
SlurmdParameters=config_overrides

KillWait=5
MinJobAge=30
ReturnToService=2
SlurmdTimeout=30
EpilogMsgTime=1

NodeName=n[1-$nodes] CPUs=$((cpus > 2 ? cpus : 2)) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=FORCE:4 State=UP
PartitionName=bio Nodes=ALL MaxTime=INFINITE OverSubscribe=FORCE:4 State=UP
CONF
}

write_cgroup_conf() {
  cat <<CONF
CgroupPlugin=cgroup/v1
ConstrainCores=yes
ConstrainDevices=no
ConstrainRAMSpace=no
CONF
}

start_munged() {
  install -d -o munge -g munge -m 0755 /run/munge
  install -d -o munge -g munge -m 0700 /var/lib/munge /var/log/munge
  runuser -u munge -- /usr/sbin/munged
}

start_slurmctld() {
  mkdir -p /var/lib/slurm/slurmctld
  slurmctld
}

start_slurmd() {
  mkdir -p /var/spool/slurmd
  slurmd
}

# slurmd asks the plugin only once, at its start, which prolog and epilog hooks it has. Steps outlive the restart.
restart_slurm() {
  local daemon=slurmd pid
  [[ $(hostname) != head ]] || daemon=slurmctld
  if pid=$(cat "/run/$daemon.pid" 2>/dev/null) && kill "$pid" 2>/dev/null; then
    await 30 "$daemon (pid $pid) has ended" process_gone "$pid"
  fi
  "start_$daemon"
}

process_gone() { ! kill -0 "$1" 2>/dev/null; }
