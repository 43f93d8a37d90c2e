#!/bin/busybox sh
# First process of the initramfs: loads the drivers, then hands over to the root disk.
busybox=/bin/busybox
$busybox mount -t devtmpfs none /dev
exec >/dev/console 2>&1 </dev/console
echo 'ekko: kernel is up'
for module in $($busybox cat /modules/order); do $busybox insmod "/modules/$module.ko"; done
tries=0
until [ -b /dev/vda ] || [ $tries -ge 200 ]; do
  tries=$((tries + 1))
  $busybox sleep 0.05
done
# noatime: reading must not make a block dirty, tests count dirty blocks.
$busybox mount -t ext4 -o noatime /dev/vda /root || { echo 'ekko: root disk cannot be mounted'; $busybox poweroff -f; }
$busybox mount --move /dev /root/dev
exec $busybox switch_root /root /sbin/init
