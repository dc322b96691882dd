#!/bin/bash
# Makes real containers with imageserver, holder, pause and ch-run, in a mount and pid namespace of
# its own with its own users; needs root and busybox-static. Argument: the build directory.
set -u

if [ "$(id -u)" -ne 0 ]; then
	echo 'container.sh: must run as root: it mounts and becomes other users' >&2
	exit 1
fi
if [ "${LAYERCAKE_TEST_INSIDE:-}" = "" ]; then
	exec env LAYERCAKE_TEST_INSIDE=1 unshare --mount --pid --fork --kill-child --mount-proc \
		--propagation private "$0" "$@"
fi

build=$(realpath "$1")
work=$(mktemp -d /var/tmp/layercake-check.XXXXXX)
trap 'umount -l "$work"; rmdir "$work"' EXIT
chmod 755 "$work"
mount -t tmpfs -o mode=755 none "$work"
passed=0
changes_in=memory
failed=0

pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAILED: $*"; }

# is WHAT EXPECTED FOUND
is() { if [ "$2" = "$3" ]; then pass; else fail "$1: expected \"$2\", found \"$3\""; fi; }
# has WHAT PART FOUND
has() { case "$3" in *"$2"*) pass ;; *) fail "$1: expected \"…$2…\", found \"$3\"" ;; esac; }

# The PATH that setpriv sets lacks /bin where the machine has all in /usr/bin; images may not.
as() {
	setpriv --reuid="$1" --regid="$1" --init-groups --reset-env \
		env PATH=/usr/local/bin:/usr/bin:/bin "${@:2}"
}

make_users() {
	# What is linked or bound below it is ours alone.
	mkdir "$work/etc" "$work/etc.work"
	mount -t overlay -o "lowerdir=/etc,upperdir=$work/etc,workdir=$work/etc.work" etc /etc
	rm -f /etc/localtime
	cat >"$work/passwd" <<-END
		root:x:0:0:root:/root:/bin/bash
		nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
		alice:x:2001:2001::$work/home/alice:/bin/zsh
		bob:x:2002:2002::$work/home/bob:/bin/bash
		zero:x:2003:0::/:/bin/sh
	END
	cat >"$work/group" <<-END
		root:x:0:
		alice:x:2001:
		bob:x:2002:
		proj:x:2100:alice
		nogroup:x:65534:
	END
	chmod 644 "$work/passwd" "$work/group"
	mount --bind "$work/passwd" /etc/passwd
	mount --bind "$work/group" /etc/group
	printf 'passwd: files\ngroup: files\n' >"$work/nsswitch"
	mount --bind "$work/nsswitch" /etc/nsswitch.conf
	install -d -o alice -g alice -m 700 "$work/home/alice"
	install -d -o bob -g bob -m 700 "$work/home/bob"
	install -d -o root -g proj -m 770 "$work/proj"
	install -d -o bob -g bob -m 755 "$work/bobs"
	echo ours >"$work/proj/file"
	echo his >"$work/bobs/file"
	echo colon >"$work/home/alice/a:b"
}

# make_image NAME: a squashfs from the directory $work/src/NAME, mounted
make_image() {
	mksquashfs "$work/src/$1" "$work/$1.sqfs" -all-root -noappend -quiet -no-progress \
		>/dev/null || fail "mksquashfs $1"
	serve "$1" "$1"
}

# serve FILE NAME OPTION…: sets $server
serve() {
	local file=$1
	shift
	install -d -m 700 "$work/images"
	mkdir -p "$work/images/$1"
	: >"$work/$1.said"
	"$build/imageserver" "${@:2}" "$work/$file.sqfs" "$work/images/$1" >"$work/$1.said" \
		2>"$work/$1.err" &
	server=$!
	for _ in $(seq 100); do
		if grep -qs mounted "$work/$1.said"; then
			return
		fi
		sleep 0.05
	done
	fail "imageserver $1: $(cat "$work/$1.err")"
}

make_images() {
	local root="$work/src/full"
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc,data,real,root}
	cp /bin/busybox "$root/bin/"
	for tool in sh cat unshare mount id ls touch grep readlink sed mkdir stat; do
		ln -s busybox "$root/bin/$tool"
	done
	touch "$root"/etc/{passwd,group,hosts,resolv.conf,file}
	echo secret >"$root/etc/shadow"
	chmod 600 "$root/etc/shadow"
	chmod 4755 "$root/bin/busybox"
	ln -s /real "$root/link"
	ln -s ../../../../../../etc "$root/up"
	make_image full
	full_server=$server

	# No mount points at all, and links that lead out.
	root="$work/src/bare"
	mkdir -p "$root/bin" "$root/etc"
	cp /bin/busybox "$root/bin/"
	ln -s busybox "$root/bin/sh"
	ln -s busybox "$root/bin/cat"
	ln -s busybox "$root/bin/ls"
	ln -s "$work/bobs" "$root/out"
	ln -s /tmp "$root/sys"
	ln -s "$work/bobs/file" "$root/etc/hosts"
	ln -s loop "$root/loop"
	ln -s /proc "$root/processes"
	echo secret >"$root/shadow"
	chmod 600 "$root/shadow"
	mkdir -m 700 "$root/closed"
	make_image bare
	bare_server=$server

	serve bare alices --owner 2001:2001

	# Files of users and groups that are no good.
	root="$work/src/odd"
	mkdir -p "$root"/{bin,etc,usr/lib}
	cp /bin/busybox "$root/bin/"
	ln -s busybox "$root/bin/cat"
	ln -s busybox "$root/bin/sh"
	ln -s ../usr/lib/passwd "$root/etc/passwd"
	{
		seq 3000 65000 | sed 's/.*/u&:x:&:1::\/:/'
		yes '# a comment' | head -n 10000
		echo 'late:x:7:7::/:'
	} >"$root/usr/lib/passwd"
	mkfifo "$root/etc/group"
	make_image odd

	# A distribution's.
	root="$work/src/known"
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,root,etc/apt/apt.conf.d,usr/share/zoneinfo/Test}
	cp /bin/busybox "$root/bin/"
	for tool in sh cat chown date grep id ls mknod readlink stat touch zsh; do
		ln -s busybox "$root/bin/$tool"
	done
	rm "$root/bin/zsh"
	cp /bin/busybox "$root/bin/zsh"
	touch "$root"/etc/{hosts,resolv.conf} "$root/usr/share/zoneinfo/Test/Zone"
	ln -s /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
	echo Etc/UTC >"$root/etc/timezone"
	cat >"$root/etc/passwd" <<-END
		root:*:0:0:root:/root:/bin/ash
		daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin
		_apt:*:42:65534::/nonexistent:/usr/sbin/nologin
		alice:*:7:7::/:/bin/false
		image:*:2001:2001::/:/bin/false
		root:*:9:9::/:/bin/false
		+::::::
		-alice::::::
		:*:1:1::/:
		few:*:1:1
		many:*:1:1::/:/bin/sh:
		word:*:one:1::/:
		huge:*:4294967295:1::/:
		zero:*:00:1::/:
		space:*: 8:1::/:
		sign:*:+8:1::/:
		bell:*:1:1:$(printf '\a'):/:
		long:*:1:1:$(head -c 4096 /dev/zero | tr '\0' x):/:
		operator:*:37:37:Größe:/root:/bin/sh
	END
	printf 'cut:*:8:8::/:' >>"$root/etc/passwd"
	cat >"$root/etc/group" <<-END
		root:*:0:
		www-data:*:33:
		users:*:2001:daemon
		proj:*:50:daemon
		ssl-cert:*:2100:daemon
		nogroup:*:65534:
		few:*
	END
	make_image known
	serve known known-alices --owner 2001:2001

	# Nothing at all.
	mkdir -p "$work/src/empty"
	make_image empty
}

job=0
# hold USER IMAGE ARGUMENT…: sets $holder (pid), $said, $words (its last line on stderr), $code
hold() {
	local user=$1 image=$2
	shift 2
	job=$((job + 1))
	local out="$work/out.$job" err="$work/err.$job"
	mkdir -p "$work/stage"
	chmod 711 "$work/stage"
	mkfifo "$out"
	"$build/test/holder" --job "$job" --uid "$(id -u "$user")" --spool /nonexistent \
		--image "$work/images/$image" --stage "$work/stage" --pause "$build/pause" \
		--hide "$work/images" --ch-run "$(command -v ch-run)" "$@" </dev/null >"$out" 2>"$err" &
	holder=$!
	said=
	read -r said <"$out"
	code=
	if [ "$said" != ready ]; then
		wait "$holder"
		code=$?
	fi
	words=$(tail -n 1 "$err")
}

end() {
	kill -9 "$holder"
	wait "$holder" 2>/dev/null
}

# inside USER COMMAND…: runs a command in the last container, as a task would
inside() {
	local user=$1
	shift
	as "$user" nsenter --user --mount --preserve-credentials --target "$holder" "$@" 2>&1
}

refused() { # WHAT CODE PART
	is "$1: exit code" "$2" "$code"
	has "$1: message" "$3" "$words"
}

test_image_server() {
	local status
	status=$(cat "/proc/$full_server/status")
	has "server is nobody" "Uid:	65534	65534	65534	65534" "$status"
	has "server has no groups" "Groups:	 
" "$status
"
	has "server's bounding set is empty" "CapBnd:	0000000000000000" "$status"
	has "server has no capability" "CapPrm:	0000000000000000" "$status"
	has "server has no_new_privs" "NoNewPrivs:	1" "$status"
	has "mount is read-only" "ro,nosuid,nodev" "$(grep " $work/images/full " /proc/mounts)"
	is "server's network is empty" "1" "$(nsenter --net --target "$full_server" ip -o link | wc -l)"
	as nobody cat "/proc/$full_server/environ" >/dev/null 2>&1
	is "nobody else sees its memory" 1 $?
	has "outsiders do not reach the mount" "Permission denied" "$(as alice ls "$work/images/full" 2>&1)"
	"$build/imageserver" "$work/nothing" "$work/images/full" 2>"$work/err"
	is "server without an image" 74 $?
	has "server without an image" "cannot open the image file" "$(cat "$work/err")"
}

test_plain_container() {
	hold alice full
	is "plain container" ready "$said"
	is "uid" 2001 "$(inside alice id -u)"
	has "name" "uid=2001(alice) gid=2001(alice)" "$(inside alice id)"
	has "passwd" "alice:x:2001:2001::$work/home/alice:/bin/sh" "$(inside alice cat /etc/passwd)"
	has "group" "proj:x:2100:alice" "$(inside alice cat /etc/group)"
	has "holder has no capability" "CapEff:	0000000000000000" "$(cat /proc/$holder/status)"
	has "holder has no_new_privs" "NoNewPrivs:	1" "$(cat /proc/$holder/status)"
	is "holder keeps no descriptor" "0 1 2 " "$(find "/proc/$holder/fd" -type l -printf '%f ')"
	is "holder's stdout is closed to the launcher" /dev/null "$(readlink /proc/$holder/fd/1)"
	is "holder's name" layercake-pause "$(cat /proc/$holder/comm)"
	has "root is read-only" "Read-only file system" "$(inside alice touch /x)"
	is "setuid gives nothing" 2001 "$(inside alice id -u)"
	is "image is the bare mount" secret "$(inside alice cat /etc/shadow)"
	is "no other image is mounted" "" "$(inside alice grep "$work/images" /proc/self/mounts)"
	is "one user namespace" "$(readlink /proc/$holder/ns/user)" "$(inside alice readlink /proc/self/ns/user)"
	is "one mount namespace" "$(readlink /proc/$holder/ns/mnt)" "$(inside alice readlink /proc/self/ns/mnt)"
	inside bob id >/dev/null
	is "another user can not join" 1 $?
	is "nothing is left in our namespace" "" "$(grep "$work/stage" /proc/self/mounts)"
	end
}

test_mounts() {
	hold alice full --site-mount "$work/home/alice:$work/home/alice:rw" \
		--mount "$work/proj:/data:ro" --mount "$work/proj:/new/deep:rw" \
		--mount "$work/bobs:/link:rw" --mount "$work/home/alice/a%3Ab:/with%3A%20%25colon:ro" \
		--mount "$work/proj:/up/sub:rw" --site-mount "$work/nothing:/n:rw" \
		--site-mount "$work/home/bob:/b:rw"
	is "mounts" ready "$said"
	is "read-only mount shows files" ours "$(inside alice cat /data/file)"
	has "read-only mount is" "Read-only file system" "$(inside alice touch /data/x)"
	inside alice touch /new/deep/made
	is "writable mount on a new mount point, by a supplementary group" 0 $?
	is "… wrote to the source" alice "$(stat -c %U "$work/proj/made")"
	is "a link in the image is followed inside" his "$(inside alice cat /real/file)"
	is "a link upwards stays inside" ours "$(inside alice cat /etc/sub/file)"
	is "a colon in both paths, a blank and a percent sign" colon "$(inside alice cat "/with: %colon")"
	inside alice touch "$work/home/alice/new"
	is "home is writable" 0 $?
	has "a site mount without source is left out" "No such file" "$(inside alice ls /n)"
	has "a site mount out of reach is left out" "No such file" "$(inside alice ls /b)"
	has "file modes count on the overlay" "Permission denied" "$(inside alice cat /etc/shadow)"
	has "a user who may mount …" "able" "$(inside alice unshare -r -m sh -c \
		'mount -t tmpfs none /dev && echo able')"
	has "… can not make it writable" "refused" "$(inside alice unshare -r -m sh -c \
		'mount -o remount,bind,rw /data || echo refused')"
	has "… can not uncover what is below" "refused" "$(inside alice unshare -r -m sh -c \
		'umount /data || echo refused')"
	end
}

test_nested_mounts() {
	mkdir -p "$work/proj/sub"
	mount -t tmpfs none "$work/proj/sub"
	chmod 777 "$work/proj/sub"
	hold alice full --mount "$work/bobs:/data/sub:rw" --mount "$work/proj:/data:ro"
	is "a mount inside another, given first" ready "$said"
	is "… is on top" his "$(inside alice cat /data/sub/file)"
	end
	hold alice full --mount "$work/proj:/data:ro"
	has "a mount below the source is read-only too" "Read-only file system" \
		"$(inside alice touch /data/sub/x)"
	end
	umount "$work/proj/sub"
	hold alice full --mount "$work/proj:/data:ro" --mount "$work/bobs:/data/none:rw"
	refused "a mount point missing in another mount" 64 "/data/none"
	for magic in /proc/self/cwd /proc/self/root/etc /proc/self/fd/3 /proc/thread-self/exe; do
		hold alice full --mount "$magic:/data:ro"
		refused "$magic, which is the holder's own" 66 "a link of a process in /proc"
	done
	hold alice full --mount "$work/bobs:/tmp/layercake-none:rw"
	refused "a mount point missing in /tmp" 64 "/tmp/layercake-none"
	hold alice full --mount "/dev/null:/dev/null:rw" --mount "$work/proj:/tmp:rw"
	is "a device, and a directory on /tmp" ready "$said"
	is "… /tmp is the directory" ours "$(inside alice cat /tmp/file)"
	end
}

# The sources are given another place, so that it shows what is mounted.
test_directory() {
	hold alice full --directory "$work/proj:/new/dir:rw"
	is "a directory that the image lacks" ready "$said"
	is "… is mounted" ours "$(inside alice cat /new/dir/file)"
	inside alice touch /new/dir/made
	is "… read-write" 0 $?
	end
	hold alice full --directory "$work/proj:/data:rw"
	is "… over an empty directory" ours "$(inside alice cat /data/file)"
	end
	hold alice full --directory "$work/proj:/etc:rw"
	is "… not over one with something in it" ready "$said"
	is "… which stays" 1 "$(inside alice ls /etc | grep -c '^shadow$')"
	end
	for image in bare full; do
		hold alice "$image" --directory "$work/proj:/dev:rw"
		is "… nor over what containers have of the node" ready "$said"
		has "… which stays" null "$(inside alice ls /dev)"
		end
	done
	hold alice empty --directory "$work/proj:/etc:rw"
	is "… nor over what is made for an image without it" ready "$said"
	end
	hold alice full --directory "$work/proj:/bin/busybox:rw"
	is "… nor over a file" ready "$said"
	is "… which stays" 2001 "$(inside alice id -u)"
	end
	hold alice full --mount "$work/bobs:/data:ro" --directory "$work/proj:/data/sub:rw"
	is "… nor in a mount" ready "$said"
	is "… that shows what it shows" his "$(inside alice cat /data/file)"
	end
	hold alice full --directory "$work/proj:/data:rw" --mount "$work/bobs:/data:ro"
	is "… nor where a mount is" his "$(inside alice cat /data/file)"
	end
	hold alice full --directory "$work/proj:/data:rw" --mount "$work/proj/file:/data/file:ro"
	has "a mount in it goes there" "Read-only file system" "$(inside alice touch /data/file)"
	end
	for source in "$work/nothing" "$work/home/bob"; do
		hold alice full --directory "$source:/new/dir:rw"
		is "a directory that cannot be had is left out" ready "$said"
		has "… without a trace" "No such file" "$(inside alice ls /new)"
		end
	done
}

test_bare_image() {
	hold alice bare --mount "$work/proj:/out/dir:rw" --mount "$work/proj:$work/proj:rw"
	is "image without mount points" ready "$said"
	is "a link that leads out is resolved inside" ours "$(inside alice cat "/out/dir/file")"
	is "… and made nothing outside" "$work/bobs/file" "$(echo "$work"/bobs/*)"
	has "an overlay follows nothing that the image says" redirect_dir=nofollow \
		"$(grep overlay "/proc/$holder/mountinfo")"
	has "passwd is there" alice "$(inside alice cat /etc/passwd)"
	is "/etc/hosts is the node's, not what the link says" "$(cat /etc/hosts)" "$(inside alice cat /etc/hosts)"
	has "/sys is the kernel's, not what the link says" kernel "$(inside alice ls /sys)"
	has "file modes count" "Permission denied" "$(inside alice cat /shadow)"
	end
	hold alice empty
	is "empty image" ready "$said"
	end
	hold alice bare --mount "$work/proj:/etc/passwd/x:rw"
	refused "a mount point below a file of the skeleton" 64 "/etc/passwd/x"
	hold alice bare --mount "$work/proj:/etc/group:rw"
	refused "a directory on a file of the skeleton" 64 "/etc/group"
	hold alice bare --mount "$work/proj:/processes/self/fd:rw"
	refused "a link of the image to /proc" 64 "nothing can be mounted on /proc"
	hold alice bare --mount "$work/proj:/loop/x:rw"
	refused "a link to itself" 64 "/loop/x"
}

test_own_files() {
	hold alice alices --mount "$work/proj:/closed/new:ro"
	is "an image whose files are the user's" ready "$said"
	is "… its root directory" 2001:2001 "$(inside alice /bin/busybox stat -c %u:%g /)"
	is "… what was root's alone" secret "$(inside alice cat /shadow)"
	is "… a mount point below a closed directory" ours "$(inside alice cat /closed/new/file)"
	has "… can not be changed" "Read-only file system" "$(inside alice /bin/busybox touch /shadow)"
	end
	for owner in 2001 2001: :2001 -1:1 4294967295:1 1:1x; do
		"$build/imageserver" --owner "$owner" "$work/bare.sqfs" "$work/images/full" 2>"$work/err"
		is "an owner badly written" 64 $?
		has "an owner badly written" "not UID:GID" "$(cat "$work/err")"
	done
}

# mount_changed IMAGE: as the launcher mounts one of alice's that her job may change, in $changes_in
mount_changed() {
	local layer="$work/layer"
	mkdir -p "$layer" "$work/images/changed"
	if [ "$changes_in" = disk ]; then
		"$build/volume" /var/tmp 4194304 2001 2001 "$layer" || fail "volume"
	else
		mount -t tmpfs -o size=4m none "$layer"
		install -d -o alice -g alice "$layer/upper"
		mkdir "$layer/work"
	fi
	mount -t overlay -o "lowerdir=$work/images/$1,upperdir=$layer/upper,workdir=$layer/work" \
		overlay "$work/images/changed"
}

unmount_changed() {
	umount -l "$work/images/changed" "$work/layer"
	rmdir "$work/images/changed"
}

test_writable() {
	mount_changed alices
	hold alice changed --writable --mount "$work/proj:/closed/new:ro" --mount "$work/proj:/sys:ro"
	is "a writable image" ready "$said"
	is "… has mount points made in it" ours "$(inside alice cat /closed/new/file)"
	is "… which are the user's" 2001 "$(stat -c %u "$work/images/changed/closed/new")"
	inside alice /bin/busybox sh -c 'echo more >>/shadow; mkdir /made; echo new >/made/file'
	end
	hold alice changed --writable
	is "… shows another container what was changed" "new" "$(inside alice cat /made/file)"
	has "… of the image's files, too" "more" "$(inside alice cat /shadow)"
	has "… is no larger than it may be" "No space left" \
		"$(inside alice /bin/busybox dd if=/dev/zero of=/large bs=64k count=128)"
	is "setuid gives nothing" 2001 "$(inside alice /bin/busybox sh -c \
		'rm /large; cp /bin/busybox /busybox && chmod 4755 /busybox && /busybox id -u')"
	end
	has "the image itself stays" "secret" "$(cat "$work/images/alices/shadow")"
	is "… without what was made" "" "$(ls -d "$work/images/alices/made" 2>/dev/null)"
	# Links that lead out, made by a task, in the way to a mount point.
	rm -rf "$work/images/changed/data"
	ln -s "$work/bobs" "$work/images/changed/data"
	hold alice changed --writable --mount "$work/proj:/data/x:ro"
	is "a link that leads out" ready "$said"
	is "… made nothing outside" "$work/bobs/file" "$(echo "$work"/bobs/*)"
	end
	unmount_changed
}

test_volume() {
	mkdir "$work/volume"
	"$build/volume" /var/tmp 1000000000000000 2001 2001 "$work/volume" 2>"$work/err"
	is "a volume without room" 73 $?
	has "… says how much there is" '"/var/tmp" has room for' "$(cat "$work/err")"
	"$build/volume" "$work/none" 4194304 2001 2001 "$work/volume" 2>"$work/err"
	is "a volume in no directory" 78 $?
	"$build/volume" /var/tmp -1 2001 2001 "$work/volume" 2>"$work/err"
	is "a volume of no size" 64 $?
	"$build/volume" /var/tmp 4194304 2001 2001 "$work/none" 2>"$work/err"
	is "a volume on no directory" 78 $?
	is "… none is mounted" "" "$(grep "$work/volume" /proc/mounts)"
	"$build/volume" /var/tmp 4194304 2001 2001 "$work/volume" 2>"$work/err"
	is "a volume" 0 $?
	is "… has both halves" "upper 2001 755
work 0 755" "$(cd "$work/volume" && stat -c '%n %u %a' upper work)"
	is "… root's" "0 700" "$(stat -c '%u %a' "$work/volume")"
	has "… without setuid and devices" "nosuid,nodev" "$(grep "$work/volume" /proc/mounts)"
	umount "$work/volume"
}

test_accounts() {
	local users
	hold alice known
	is "an image with users of its own" ready "$said"
	users='root:*:0:0:root:/root:/bin/ash
daemon:*:1:1:daemon:/usr/sbin:/usr/sbin/nologin
_apt:*:42:65534::/nonexistent:/usr/sbin/nologin
root:*:9:9::/:/bin/false
operator:*:37:37:Größe:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin'
	is "passwd: the image's, without what is no line or not the user" \
		"$users
alice:x:2001:2001::$work/home/alice:/bin/zsh" "$(inside alice cat /etc/passwd)"
	is "group: the image's, with the user's own" 'root:*:0:
www-data:*:33:
ssl-cert:*:2100:daemon
nogroup:*:65534:
alice:x:2001:
proj:x:2100:alice' "$(inside alice cat /etc/group)"
	end
	hold alice known --root
	is "passwd with root inside: root is the user" "root:x:0:0:root:$work/home/alice:/bin/zsh
$(grep -v '^root:' <<<"$users")
alice:x:2001:2001::$work/home/alice:/bin/zsh" "$(inside alice cat /etc/passwd)"
	has "… also for programs" "uid=0(root) gid=0(root)" "$(inside alice id)"
	end
	hold alice odd
	is "users in a link and in two MB, groups in a FIFO" ready "$said"
	is "… the first is there" u3000:x:3000:1::/: "$(inside alice cat /etc/passwd | head -n 1)"
	is "… what is behind 1 MiB is not" "" "$(inside alice cat /etc/passwd | grep late)"
	is "… no line is cut" 0 "$(inside alice cat /etc/passwd | grep -cv '.*:.*:.*:.*:.*:.*:')"
	is "… the user is there" "alice:x:2001:2001::$work/home/alice:/bin/sh" \
		"$(inside alice cat /etc/passwd | tail -n 1)"
	is "… and the groups" "root nogroup alice proj " \
		"$(inside alice cat /etc/group | sed 's/:.*//' | tr '\n' ' ')"
	end
}

test_groups() {
	chmod 2770 "$work/proj"
	hold alice full --mount "$work/proj:/data:rw"
	inside alice touch /data/shared
	is "a setgid directory gives its group" "alice:proj" "$(stat -c %U:%G "$work/proj/shared")"
	is "… which is known by name" proj:x:2100:alice "$(inside alice grep ^proj: /etc/group)"
	end
	rm "$work/proj/shared"
	chmod 770 "$work/proj"
}

test_writable_accounts() {
	mount_changed known-alices
	hold alice changed --writable --root --time-zone
	is "a writable image with users" ready "$said"
	is "… knows the user" "root:x:0:0:root:$work/home/alice:/bin/zsh" \
		"$(inside alice cat /etc/passwd | head -n 1)"
	is "… as whose own file" alice:alice:644 "$(stat -c %U:%G:%a "$work/images/changed/etc/passwd")"
	is "… keeps apt root" 'APT::Sandbox::User "root";' \
		"$(inside alice grep ^APT /etc/apt/apt.conf.d/zz-layercake)"
	is "… lets programs replace the file" "" "$(rooted alice sh -c '{ cat /etc/passwd
		echo carol:x:9:9::/:; } >/etc/passwd.new && busybox mv /etc/passwd.new /etc/passwd')"
	end
	hold alice changed --writable --root
	is "… keeps what they have made of it" "alice:x:2001:2001::$work/home/alice:/bin/zsh
carol:x:9:9::/:" "$(inside alice cat /etc/passwd | tail -n 2)"
	end
	rm "$work/images/changed/etc/passwd"
	ln -s "$work/passwd" "$work/images/changed/etc/passwd"
	ln -sf "$work/bobs/group" "$work/images/changed/etc/group"
	hold alice changed --writable
	is "links that lead out, made by a task" "root nobody alice " \
		"$(inside alice cat /etc/passwd | sed 's/:.*//' | tr '\n' ' ')"
	is "… made nothing outside" "$work/bobs/file" "$(echo "$work"/bobs/*)"
	is "… nothing is left over" "" "$(find "$work/images/changed" -name '.layercake*')"
	end
	unmount_changed
}

test_time_zone() {
	mkdir -p "$work/zoneinfo/Test"
	# tzfile(5): one type, an hour east, XYZ.
	python3 -c 'import struct, sys
sys.stdout.buffer.write(struct.pack(">5s15x6l", b"TZif", 0, 0, 0, 0, 1, 4)
    + struct.pack(">lbb", 3600, 0, 0) + b"XYZ\0")' >"$work/zoneinfo/Test/Zone"
	ln -s "$work/zoneinfo/Test/Zone" /etc/localtime
	hold alice known --time-zone
	is "the node's zone, where the image has it" /usr/share/zoneinfo/Test/Zone \
		"$(inside alice readlink /etc/localtime)"
	is "… its name" Test/Zone "$(inside alice cat /etc/timezone)"
	end
	hold alice odd --time-zone
	is "the node's zone, where the image has none" "$(od -c "$work/zoneinfo/Test/Zone")" \
		"$(inside alice /bin/busybox cat /etc/localtime | od -c)"
	is "… is what programs go by" XYZ "$(inside alice /bin/busybox date +%Z)"
	end
	hold alice known
	is "the image's zone, when the site says so" /usr/share/zoneinfo/Etc/UTC \
		"$(inside alice readlink /etc/localtime)"
	end
	mkdir -p "$work/zoneinfo/Etc"
	cp "$work/zoneinfo/Test/Zone" "$work/zoneinfo/Etc/UTC"
	ln -sf "$work/zoneinfo/Etc/UTC" /etc/localtime
	hold alice full --time-zone
	is "nothing is added where both have UTC" 0 "$(grep -c ' / / .* - overlay' "/proc/$holder/mountinfo")"
	end
	rm /etc/localtime
}

# rooted USER COMMAND…: a command as a task runs it in the last container, not as nsenter would
rooted() { as "$1" "$build/test/enter" "$holder" "${@:2}" 2>&1; }

test_pretending() {
	local home="$work/home/alice"
	local -a mount=(--site-mount "$home:$home:rw")
	hold alice known --root "${mount[@]}"
	has "root inside has a filter" "Seccomp:	2" "$(rooted alice cat /proc/self/status)"
	has "… and no_new_privs" "NoNewPrivs:	1" "$(rooted alice cat /proc/self/status)"
	is "root inside changes owners" "" "$(rooted alice touch "$home/x")$(rooted alice chown 33:33 "$home/x")"
	is "… which stay the user's" alice:alice "$(stat -c %U:%G "$home/x")"
	is "root inside makes devices" "" "$(rooted alice mknod "$home/null" c 1 3)"
	is "… which are not there" gone "$(test -e "$home/null" || echo gone)"
	is "root inside makes FIFOs" "fifo" "$(rooted alice mknod "$home/fifo" p; stat -c %F "$home/fifo")"
	is "apt is told to stay root" 'APT::Sandbox::User "root";' \
		"$(rooted alice grep ^APT /etc/apt/apt.conf.d/zz-layercake)"
	end
	hold alice known "${mount[@]}"
	has "the user inside has no filter" "Seccomp:	0" "$(rooted alice cat /proc/self/status)"
	has "… so owners are not changed" "Invalid argument" "$(rooted alice chown 33:33 "$home/x")"
	has "… nor devices made" "Operation not permitted" "$(rooted alice mknod "$home/null" c 1 3)"
	is "… and apt is not told anything" "" "$(rooted alice ls /etc/apt/apt.conf.d)"
	end
	rm "$home/x" "$home/fifo"
}

test_scratch() {
	mkdir -p "$work/src/usual/var/tmp" "$work/src/usual/run/of-the-image"
	cp -a "$work/src/full/." "$work/src/usual"
	make_image usual
	hold alice usual --scratch-size 1m --scratch /run --scratch /var/tmp --scratch /nowhere \
		--site-mount "$work/proj:/run/site/deep:ro" --mount "$work/bobs/file:/run/his:ro"
	is "scratch directories" ready "$said"
	is "… are the user's" "2001 2001:755 2001:1777" \
		"$(stat -c %u "/proc/$holder/root/run") $(stat -c %u:%a "/proc/$holder/root/run" "/proc/$holder/root/var/tmp" | paste -sd' ')"
	inside alice sh -c 'echo new >/run/file && echo new >/var/tmp/file'
	is "… can be written" new "$(inside alice cat /run/file)"
	has "… begin empty" "No such file" "$(inside alice ls /run/of-the-image)"
	has "… are no larger than they may be" "No space left" \
		"$(inside alice /bin/busybox dd if=/dev/zero of=/run/large bs=64k count=32)"
	is "… hold other mounts" "ours his" "$(inside alice cat /run/site/deep/file) $(inside alice cat /run/his)"
	has "… are not where the image has no place" "No such file" "$(inside alice ls /nowhere)"
	has "… leave the rest as it is" "Read-only file system" "$(inside alice touch /etc/x)"
	end
	hold alice full --scratch-size much --scratch /run
	is "a size that is none" 70 "$code"
}

test_root_inside() {
	hold alice full --root
	is "root inside" ready "$said"
	is "… uid" 0 "$(inside alice id -u)"
	is "… owns what alice owns" "root" "$(inside alice stat -L -c %U /proc/self)"
	end
}

test_refusals() {
	hold alice full --mount "$work/nothing:/data:rw"
	refused "missing source" 66 "$work/nothing\": No such file"
	hold alice full --mount "$work/home/bob:/data:rw"
	refused "source of another user" 77 "$work/home/bob\": Permission denied"
	hold alice full --mount "$work/home/bob/x:/data:rw"
	refused "source below another user's directory" 77 "$work/home/bob/x\": Permission denied"
	hold alice full --mount "/etc/shadow:/etc/file:rw"
	refused "file the user may not read" 77 "/etc/shadow\": Permission denied"
	hold bob full --mount "$work/proj:/data:ro"
	refused "source of another group" 77 "$work/proj"
	hold alice full --mount "$work/proj:/etc/file:rw"
	refused "directory on a file" 64 "/etc/file"
	hold alice full --mount "$work/proj/file:/data:rw"
	refused "file on a directory" 64 "/data"
	hold alice full --mount "$work/proj:/etc/file/x:rw"
	refused "destination below a file" 64 "/etc/file/x"
	hold alice full --mount "$work/proj:/data/..:rw"
	refused "destination is the root" 64 "/data/.."
	hold alice full --mount "$work/proj:/proc:rw"
	refused "destination is /proc" 64 "nothing can be mounted on /proc"
	hold alice full --mount "$work/proj:/etc/../proc/self/fd:ro"
	refused "destination is in /proc" 64 "nothing can be mounted on /proc"
	hold zero full
	refused "user with group 0" 77 "zero"
	hold alice full --mount "$work/a%0Ab%1Bc:/data:rw"
	refused "control characters are not echoed" 66 "a?b?c"
	hold alice full --ch-run /nonexistent/ch-run
	refused "no ch-run" 78 "/nonexistent/ch-run"
	hold alice full --mount "$work/proj:/a%2:rw"
	refused "a path badly encoded" 64 "/a%2"
	hold alice full --mount "$work/proj:/a%00:rw"
	refused "a path with NUL" 64 "/a%00"
	for mount in /a:/b:xx /a:/b:r /a:/b:ro: /a:/b /a "" /a%3a:/b:ro "/a b:/c:ro" $'/a\n:/b:ro'; do
		hold alice full --mount "$mount"
		refused "a mount badly written" 64 "ro or rw"
	done
	hold alice full --mount a:/b:ro
	refused "a source that is not absolute" 64 "not absolute"
	hold alice full --site-mount /a:b:ro
	refused "a destination that is not absolute" 64 "not absolute"
}

test_dead_server() {
	hold alice bare
	kill -9 "$bare_server"
	wait "$bare_server" 2>/dev/null
	# cat says why, unless a page of its own is not in the kernel's cache: then SIGBUS ends it.
	is "a container whose server died" failed \
		"$(inside alice /bin/cat /etc/motd >/dev/null 2>&1 && echo read || echo failed)"
	end
	hold alice bare
	is "an image whose server died" 74 "$code"
}

# shellcheck source=container-mounts.sh
source "${0%/*}/container-mounts.sh"

make_users
make_images
make_images_for_mounts
test_image_server
test_plain_container
test_mounts
test_nested_mounts
test_directory
test_closed_directories
test_links
test_links_that_are_replaced
test_new_devices
test_mount_rules
test_devices
test_replaced_libraries
test_images
test_kernel_trees
test_bare_image
test_own_files
for changes_in in memory disk; do
	test_writable
done
test_volume
test_scratch
test_root_inside
test_accounts
test_groups
test_writable_accounts
test_time_zone
test_pretending
test_refusals
test_dead_server
umount -l "$work"/images/*
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
