# shellcheck shell=bash disable=SC2034 # the name is used by the files that source this one
# All that build, cluster, tests and benchmarks use beside Debian's minimal system (mmdebstrap's variant "minbase"), by
# names that are the same in each release.
PACKAGES=(
  slurmctld slurmd slurm-client slurm-wlm-basic-plugins libslurm-dev slurm-wlm-basic-plugins-dev libpam-slurm-adopt munge
  libpmix-dev # srun --mpi=pmix loads libpmix.so, the link that only the -dev package has
  ceph-mon ceph-osd ceph-mgr ceph-common librados-dev librados2
  e2fsprogs # mkfs.ext4, for what jobs keep on a disk
  charliecloud-runtime squashfs-tools squashfs-tools-ng libsquashfuse-dev libfuse3-dev
  libsquashfs-dev # and libsquashfs1: what pack writes images with
  openssh-server openssh-client openssh-sftp-server rsync xauth libpam0g-dev
  default-jdk-headless maven gcc libc6-dev make pkg-config clang-format shellcheck
  clang libclang-rt-dev # fuzzers of the C code: libFuzzer and its sanitizers
  asciidoctor # the manual pages
  build-essential debhelper lintian rpm rpmlint # our packages
  umoci skopeo # other tools for images, which ours are compared with; skopeo also fetches them from registries
  docker-registry # a real one, to push from
  buildah netavark # build an image that is pushed then, as does ch-image, which wants the next two
  python3-lark python3-requests
  rbd-fuse squashfuse # other ways to an image, which ours is compared with
  attr acl # extended attributes and ACLs, for tests
  util-linux-extra # pivot_root, since Debian testing
  python3 procps tini iproute2 psmisc uuid-runtime mmdebstrap busybox-static xz-utils zstd
)
# Of these a root directory for tests has the files alone: Debian 12's want docker's daemon, which nobody starts here.
UNPACKED=(charliecloud-builders)
