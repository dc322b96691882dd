# shellcheck shell=bash disable=SC2154 # container.sh, which reads this file, has work, said and holder
# Where mounts go.

make_images_for_mounts() {
	local root="$work/src/links"
	mkdir -p "$root"/{bin,dev,proc,sys,etc,run,var,srv/data,usr/lib} "$root/real dir" "$root/root"
	chmod 700 "$root/root"
	cp /bin/busybox "$root/bin/"
	for tool in cat ls sh stat; do
		ln -s busybox "$root/bin/$tool"
	done
	touch "$root"/etc/{passwd,group,hosts}
	ln -s ../run/systemd/resolv.conf "$root/etc/resolv.conf"
	ln -s /var/tmp "$root/tmp"
	mkdir "$root/var/tmp"
	ln -s ../run "$root/var/run"
	ln -s /srv/data "$root/data"
	ln -s "real dir" "$root/relative"
	ln -s /opt/none/yet "$root/dangling"
	ln -s /tmp/../srv/data "$root/round"
	ln -s /etc "$root/dev/xlink"
	make_image links
	serve links links-alices --owner 2001:2001

	root="$work/src/tmp-link"
	mkdir -p "$root"/{bin,var,tmp}
	cp /bin/busybox "$root/bin/"
	ln -s busybox "$root/bin/cat"
	ln -s /tmp "$root/var/tmp"
	# All that is in /etc is elsewhere.
	mkdir -p "$root/usr/etc/conf.d"
	ln -s usr/etc "$root/etc"
	make_image tmp-link
}

test_closed_directories() {
	for options in "" --root; do
		# shellcheck disable=SC2086 # none or one
		hold alice links-alices $options --mount "$work/proj:/root/.cache:rw"
		is "a mount below a directory that is 0700 $options" ready "$said"
		is "… shows its source" ours "$(inside alice cat /root/.cache/file)"
		is "… leaves the directory closed" 700 "$(inside alice stat -c %a /root)"
		end
	done
}

# shows NAME PATH…: the container has the project's file below each path
shows() {
	local name=$1 path
	shift
	for path; do
		is "$name: $path" ours "$(inside alice cat "$path/file")"
	done
}

test_links() {
	hold alice links --mount "$work/proj:/data:rw"
	shows "a mount on an absolute link" /data /srv/data /round
	end
	hold alice links --mount "$work/proj:/data/x/y:rw" --mount "$work/proj:/relative:ro" \
		--mount "$work/proj:/dangling/z:rw" --mount "$work/proj:/var/run/w:rw"
	is "mounts on and below links" ready "$said"
	shows "below an absolute link" /data/x/y /srv/data/x/y
	shows "on a relative link" /relative "/real dir"
	shows "below a dangling link" /dangling/z /opt/none/yet/z
	shows "below a link upwards" /var/run/w /run/w
	end
	hold alice links --scratch-size 1m --scratch /run --scratch /var/tmp \
		--mount "$work/proj:/var/run/w:rw" --mount "$work/proj:/var/tmp/v:rw"
	shows "in a scratch directory" /run/w /var/run/w /var/tmp/v
	end
	hold alice links --mount "$work/proj:/round/x:rw"
	shows "a link that passes through /tmp" /round/x /srv/data/x
	end
}

test_links_that_are_replaced() {
	mkdir /tmp/layercake-here
	hold alice links --mount "$work/proj:/tmp/layercake-here:rw"
	is "a mount in /tmp, which is a link in the image" ready "$said"
	shows "… is where it was asked for" /tmp/layercake-here
	has "… and nowhere else" "No such file" "$(inside alice ls /var/tmp/layercake-here)"
	end
	rmdir /tmp/layercake-here
	hold alice links --mount "$work/proj:/tmp/layercake-here:rw"
	refused "a mount in /tmp that is not there" 64 "/tmp/layercake-here\": No such file or directory (create it there first)"
	hold alice links --mount "$work/proj/file:/etc/resolv.conf:ro"
	is "a mount on what is a link in the image" ours "$(inside alice cat /etc/resolv.conf)"
	has "… is there alone" "No such file" "$(inside alice ls /run/systemd)"
	end
	hold alice tmp-link --scratch-size 1m --scratch /run --scratch /var/tmp
	is "an image whose /var/tmp is /tmp" ready "$said"
	is "… has the node's there" "$(stat -c %d:%i /tmp)" \
		"$(stat -c %d:%i "/proc/$holder/root/tmp")"
	end
	hold alice tmp-link --mount "$work/proj:/etc/conf.d/new:rw" --mount "$work/proj:/usr/etc/x:rw"
	shows "/etc is no link where files are put into it" /etc/conf.d/new /usr/etc/x
	end
}

test_new_devices() {
	local before after
	before=$(ls -A /dev)
	hold alice full --mount /dev/null:/dev/layercake-null:rw --mount "$work/proj:/dev/layercake/dir:ro" \
		--mount "$work/proj/file:/dev/layercake-file:ro"
	is "new names in /dev" ready "$said"
	is "… a device" "character special file" "$(inside alice stat -c %F /dev/layercake-null)"
	is "… that works" "" "$(inside alice sh -c 'echo lost >/dev/layercake-null; cat /dev/layercake-null')"
	shows "… a directory" /dev/layercake/dir
	has "… read-only" "Read-only file system" "$(inside alice touch /dev/layercake/dir/x)"
	is "… a file" ours "$(inside alice cat /dev/layercake-file)"
	after=$(inside alice ls -A /dev)
	is "… beside all that the node has" "$(printf '%s\n' "$before" layercake layercake-file layercake-null | LC_ALL=C sort)" \
		"$(LC_ALL=C sort <<<"$after")"
	is "… which is the node's" "$(stat -c %d:%i:%t:%T /dev/null /dev/shm)" \
		"$(stat -c %d:%i:%t:%T "/proc/$holder/root/dev/null" "/proc/$holder/root/dev/shm")"
	is "… links, too" "$(readlink /dev/fd)" "$(inside alice readlink /dev/fd)"
	is "… terminals can be opened" terminal "$(python3 -c 'import os, sys
os.open(sys.argv[1], os.O_RDWR)' "/proc/$holder/root/dev/ptmx" 2>&1 && echo terminal)"
	has "… nothing can be made in it" "Permission denied" "$(inside alice touch /dev/x)"
	is "… nothing was made in the node's" "$before" "$(ls -A /dev)"
	end
	hold alice full --mount /dev/null:/dev/null:rw
	is "without new names /dev is the node's" "$(stat -c %d:%i /dev)" \
		"$(stat -c %d:%i "/proc/$holder/root/dev")"
	end
	hold alice links --mount "$work/proj:/dev/xlink:rw"
	shows "a link in the image's /dev is not seen" /dev/xlink
	end
	hold alice full --mount /dev/null:/dev/shm/layercake-none:rw
	refused "a new name below a directory of /dev" 64 "/dev/shm/layercake-none\": No such file"
	hold alice full --mount /dev/null:/dev/layercake:rw --site-mount "$work/proj:/dev/layercake:rw"
	is "a site's directory on a user's new file is left out" ready "$said"
	end
}

test_mount_rules() {
	local secret="$work/proj/secret"
	mkdir -p "$secret/deep" "$work/proj/secrets"
	ln -sfn "$secret/deep" "$work/proj/way"
	chmod 755 "$secret" "$secret/deep" "$work/proj/secrets"
	local deny="--mount-rule deny:not%20that:$secret"

	# shellcheck disable=SC2086 # two words
	for source in secret secret/deep way; do
		hold alice links $deny --mount "$work/proj/$source:/data:ro"
		is "a rule refuses $source" 77 "$code"
		has "… and says what it is" "cannot mount \"$secret" "$words"
		has "… and why" ": not that" "$words"
	done
	# shellcheck disable=SC2086
	hold alice links $deny --mount "$work/proj:/data:ro"
	is "a rule refuses what is above" 77 "$code"
	# shellcheck disable=SC2086
	hold alice links $deny --mount "$work/proj/secrets:/data:ro"
	is "a name that only begins alike is another" ready "$said"
	end
	# shellcheck disable=SC2086
	hold alice links --mount-rule "allow:x:$secret/deep" $deny --mount "$work/proj/way:/data:ro"
	is "the first rule decides" ready "$said"
	end
	hold alice links --mount-rule "deny-others:only%20there:$work/proj:/srv" \
		--mount "$work/home/alice:/data:ro"
	is "a rule refuses what is elsewhere" 77 "$code"
	hold alice links --mount-rule "deny-others:only%20there:/srv:$work/proj" --mount "$work/proj:/data:ro" \
		--site-mount "$work/home/alice:/srv/data:ro"
	is "the site's own mounts are free" ready "$said"
	end
	hold alice links --mount-rule "allow-others:x:$secret" --mount-rule deny:no:/ \
		--mount "$work/proj:/data:ro"
	is "what is above is not elsewhere" 77 "$code"
	# shellcheck disable=SC2086
	hold alice links $deny --directory "$secret:$secret:rw"
	is "a directory to start in that is refused is left out" ready "$said"
	has "… so it is not there" "No such file" "$(inside alice ls "$secret")"
	end
	hold alice links --mount-rule "deny:half" --mount "$work/proj:/data:ro"
	is "a rule without a path is no rule" 64 "$code"
}

test_devices() {
	hold alice links --mount-rule deny:no:/ --needed-mount "$work/proj:/.layercake/lib:ro" \
		--needed-mount "$work/proj/file:/etc/hosts:ro" --needed-mount /dev/null:/dev/layercake-gpu:rw
	is "what belongs to devices is mounted whatever the rules" ready "$said"
	is "… on a new directory" ours "$(inside alice cat /.layercake/lib/file)"
	is "… over a file of the image" ours "$(inside alice cat /etc/hosts)"
	is "… as a device of another name" "" "$(inside alice cat /dev/layercake-gpu)"
	end
	hold alice links --needed-mount /none:/data:ro
	is "what is missing of a device is the site's to mend" 78 "$code"
}

test_replaced_libraries() {
	local root="$work/src/libraries" options
	mkdir -p "$root"/{bin,dev,proc,sys,etc,run,usr/lib/x,opt/lib,tmp}
	cp /bin/busybox "$root/bin/"
	ln -s busybox "$root/bin/cat"
	ln -s usr/lib "$root/lib"
	echo old | tee "$root/usr/lib/liba.so.1.2" "$root/opt/lib/liba.so.1" "$root/opt/lib/libb.so" >/dev/null
	ln -s liba.so.1.2 "$root/usr/lib/liba.so.1"
	ln -s /opt/lib/libb.so "$root/usr/lib/x/libb.so"
	mkdir "$root/usr/lib/x/liba.so.1"
	printf 'root:x:0:0::/:/bin/sh\nhttpd:x:77:77::/:/bin/sh\nbob:x:9:9::/:/bin/sh\n' >"$root/etc/passwd"
	make_image libraries
	serve libraries libraries-alices --owner 2001:2001
	set -- --replace "$work/proj/file:/liba.so.1:ro" --replace "$work/proj/file:/libb.so:ro" \
		--library-directory /lib --library-directory /usr/lib --library-directory /usr/lib/x \
		--library-directory /opt/lib --library-directory /none --user bob --user nobody-here --user zero
	for options in "" --root; do
		# shellcheck disable=SC2086 # none or one
		hold alice libraries-alices $options "$@"
		is "libraries are replaced $options" ready "$said"
		is "… where a link leads" ours "$(inside alice cat /usr/lib/liba.so.1.2)"
		is "… by the link, too" ours "$(inside alice cat /lib/liba.so.1)"
		is "… in each directory" ours "$(inside alice cat /opt/lib/liba.so.1)"
		is "… once" 1 "$(inside alice cat /proc/self/mountinfo | grep -c libb.so)"
		is "users of the node are known by its ids" "bob:x:2002:2002::$work/home/bob:/usr/sbin/nologin" \
			"$(inside alice cat /etc/passwd | grep ^bob)"
		is "… as well as the image's" "httpd:x:77:77::/:/bin/sh" "$(inside alice cat /etc/passwd | grep ^httpd)"
		is "… but for those that nobody knows" "" "$(inside alice cat /etc/passwd | grep nobody-here)"
		end
	done
	hold alice libraries-alices "$@" --mount "$work/bobs/file:/opt/lib/libb.so:ro" \
		--mount "$work/bobs/file:/lib/liba.so.1.2:ro"
	is "what the user mounts stays" his "$(inside alice cat /opt/lib/libb.so)"
	is "… by another name, too" his "$(inside alice cat /usr/lib/liba.so.1.2)"
	end
	hold alice libraries-alices --replace "$work/proj/file:/x/libb.so:ro"
	is "a name with a slash is none" 64 "$code"
}

test_images() {
	local options
	for options in "" --root; do
		# shellcheck disable=SC2086 # none or one
		hold alice bare $options --image-mount "$work/images/full:/data:ro" \
			--image-mount "$work/images/links-alices:/new/deep:ro" \
			--image-mount "$work/images/full:/dev/layercake-data:ro" \
			--mount "$work/proj:/new/deep/srv/data:rw"
		is "images as mounts $options" ready "$said"
		is "… on new mount points" secret "$(inside alice cat /data/etc/shadow)"
		is "… with files of its owner" secret "$(inside alice cat /dev/layercake-data/etc/shadow)"
		shows "… with another mount in it" /new/deep/srv/data
		has "… which nobody can write to" "Read-only file system" \
			"$(inside alice /data/bin/touch /data/x)"
		has "… nor make writable" "refused" "$(inside alice /data/bin/unshare -r -m /data/bin/sh -c \
			'/data/bin/mount -o remount,bind,rw /data || echo refused')"
		is "… and of which nothing else is to be seen" "" "$(grep "$work/images" "/proc/$holder/mounts")"
		is "… nor any descriptor" "0 1 2 " "$(find "/proc/$holder/fd" -type l -printf '%f ')"
		end
	done
	hold alice full --mount "$work/proj:/real:rw" \
		--image-mount "$work/images/bare:/link/none:ro"
	refused "an image below another mount, where it has no place" 64 "/link/none"
	hold alice full --image-mount "$work/images/bare:/etc/file:ro"
	refused "an image on a file" 64 "the source is a directory, this is none"
	hold alice full --image-mount "$work/images/none:/data:ro"
	refused "an image whose mount is gone" 74 "cannot mount an image on \"/data\""
	hold alice full --site-image-mount "$work/images/none:/data:ro" \
		--site-image-mount "$work/images/bare:/etc/file:ro" \
		--site-image-mount "$work/images/bare:/real:ro"
	is "images of the site that cannot be there are left out" ready "$said"
	is "… and others are there" secret "$(inside alice cat /real/shadow)"
	end
	hold alice full --mount-rule deny:no:/ --image-mount "$work/images/bare:/data:ro"
	is "rules about paths are not about images" ready "$said"
	end
	hold alice full --image-mount "$work/images/bare:/data:rw"
	refused "an image to be written to" 64 "to be written to"
}

test_kernel_trees() {
	hold alice full --mount "$work/proj:/sys/layercake:rw"
	refused "a new name in /sys" 64 "/sys/layercake\": No such file or directory (this is the node's, where nothing can be made)"
	hold alice full --mount "$work/proj:/sys/kernel:ro"
	is "a mount on what /sys has" ready "$said"
	shows "… is shown there" /sys/kernel
	end
	for path in /proc /proc/1/x /proc/sys/kernel; do
		hold alice full --mount "$work/proj:$path:rw"
		refused "a mount on $path" 64 "cannot mount on \"$path\": nothing can be mounted on /proc"
	done
}
