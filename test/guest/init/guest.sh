#!/bin/sh
# First process on the root disk: mounts the other disks, starts the guest agent, answers commands from the host.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tmpfs none /run
# Mount points on tmpfs: making them must not write to the root disk.
mount -t tmpfs none /mnt
exec </dev/null >/dev/console 2>&1

port_named() {
  name_file=$(grep -lx "$1" /sys/class/virtio-ports/*/name) && echo "/dev/$(basename "$(dirname "$name_file")")"
}

for disk in /dev/vd[b-z]; do
  [ -b "$disk" ] || continue
  place=/mnt/${disk#/dev/}
  mkdir "$place"
  mount -t ext4 -o noatime "$disk" "$place" 2>/dev/null && echo "ekko: $disk is on $place"
done

if port=$(port_named org.qemu.guest_agent.0); then
  # The state directory lies on tmpfs: a frozen root disk must not block the agent.
  qemu-ga --method virtio-serial --path "$port" --statedir /run &
fi

answer_commands() {
  while read -r id encoded; do
    echo "$encoded" | base64 -d >/run/command
    sh /run/command >/run/output 2>&1 </dev/null 3>&-
    code=$?
    { printf '%s %s ' "$id" $code; base64 -w 0 /run/output; echo; } >&3
  done <&3
}

port=$(port_named ekko.commands) && exec 3<>"$port"
echo 'ekko: guest is ready'
# Reading a port whose host end is closed ends at once: try again.
while :; do
  [ -n "$port" ] && answer_commands
  sleep 0.2
done
