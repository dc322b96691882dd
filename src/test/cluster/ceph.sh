# shellcheck shell=bash
# Ceph for the cluster: one mon and some OSDs that keep their data in memory. No mgr: pools and I/O need none.
# Each OSD is behind a link of its own, in a network namespace that head's files name and that ends with them.
# The first half runs on the machine and only writes files, the second half runs in the head node.

# write_ceph_keys DIRECTORY: one keyring per entity. ceph-mon --mkfs imports them all at once, caps included,
# which saves a second per `ceph auth` call.
write_ceph_keys() {
  local keys=$1 osd user
  mkdir -m 0700 "$keys"
  ceph_key mon. mon 'allow *'
  ceph_key client.admin mon 'allow *' osd 'allow *'
  ceph_key client.layercake-node mon 'allow r' osd "allow r pool=$POOL, allow rw pool=$POOL namespace=launchers"
  for ((osd = 0; osd < OSDS; osd++)); do
    ceph_key "osd.$osd" mon 'allow profile osd' osd 'allow *'
  done
  for user in "${USERS[@]%%:*}"; do
    ceph_key "client.layercake.$user" mon 'allow r' \
      osd "allow rw pool=$POOL namespace=u.$user, allow r pool=$POOL namespace=site"
  done
}

ceph_key() {
  local entity=$1 caps=()
  shift
  while (($#)); do
    caps+=(--cap "$1" "$2")
    shift 2
  done
  ceph-authtool --create-keyring "$keys/$entity" --gen-key -n "$entity" "${caps[@]}" >/dev/null
}

write_ceph_conf() {
  local osd
  cat <<CONF
[global]
fsid = $(uuidgen)
mon_host = [v2:$HEAD_ADDRESS:3300,v1:$HEAD_ADDRESS:6789]
public_network = $HEAD_ADDRESS/$NETWORK_PREFIX
ms_bind_ipv6 = false
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
mon_allow_pool_size_one = true
osd_pool_default_size = $REPLICAS
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0

[osd]
osd_objectstore = memstore
memstore_device_bytes = $OSD_BYTES
CONF
  for ((osd = 0; osd < OSDS; osd++)); do # each as if on a host of its own
    printf '[osd.%d]\ncrush_location = root=default host=storage%d\n' "$osd" "$osd"
  done
}

start_ceph() {
  local keys=$INSIDE/keys osd map
  map=$(mktemp -d)
  cat "$keys"/* >"$map/keyring"
  monmaptool --create --fsid "$(ceph-conf --lookup fsid)" \
    --addv a "[v2:$HEAD_ADDRESS:3300,v1:$HEAD_ADDRESS:6789]" "$map/monmap"
  mkdir -p /run/ceph /var/log/ceph /var/lib/ceph/{mon/ceph-a,osd}
  ceph-mon -i a --mkfs --monmap "$map/monmap" --keyring "$map/keyring"
  rm -r "$map"
  ceph-mon -i a
  for ((osd = 0; osd < OSDS; osd++)); do
    start_osd "$osd" &
  done
  wait
  create_pool
}

start_osd() {
  local osd=$1 uuid
  local data=/var/lib/ceph/osd/ceph-$osd
  uuid=$(uuidgen)
  mkdir "$data"
  install -m 0600 "$INSIDE/keys/osd.$osd" "$data/keyring"
  ceph-osd -i "$osd" --mkfs --osd-uuid "$uuid" --no-mon-config
  ceph osd new "$uuid" "$osd"
  connect_osd "$osd"
  ip netns exec "osd.$osd" ceph-osd -i "$osd"
}

connect_osd() {
  local osd=$1
  ip netns add "osd.$osd"
  ip link add "osd.$osd" type veth peer name eth0 netns "osd.$osd"
  ip link set "osd.$osd" master br0 up
  ip -netns "osd.$osd" address add "$(osd_address "$osd")/$NETWORK_PREFIX" dev eth0
  ip -netns "osd.$osd" link set lo up
  ip -netns "osd.$osd" link set eth0 up
  ip -netns "osd.$osd" route add default via "$HEAD_ADDRESS"
}

# shape_osds RATE|off: the burst is a small part of an object of 1 MiB, but more than the largest packet before it is cut;
# the queue holds a second, so that nothing is dropped when many clients read at once.
shape_osds() {
  local rate=$1 osd
  for ((osd = 0; osd < OSDS; osd++)); do
    if [[ $rate == off ]]; then
      tc -netns "osd.$osd" qdisc delete dev eth0 root 2>/dev/null || true # there was no limit
    else
      tc -netns "osd.$osd" qdisc replace dev eth0 root tbf rate "$rate" burst 128kb latency 1s
    fi
  done
}

create_pool() {
  ceph osd pool create "$POOL" 64 64
  ceph osd pool application enable "$POOL" layercake
  # A write is acknowledged only when its placement group is active, so this is also the wait for the OSDs.
  timeout 60 rados --pool "$POOL" --namespace probe put probe /etc/hostname
  rados --pool "$POOL" --namespace probe rm probe
}
