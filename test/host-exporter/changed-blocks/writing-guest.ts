import { open } from 'node:fs/promises';
import type { RunningQemu } from './running-qemu.ts';

const SECTOR = 512;
const FIRST_SECTOR = 2048;
const SECTORS_A_WRITE = 64;
const LAST_SECTOR = 0xc000;

/** Bytes a disk needs for the guest of `writeGuest`. */
export const GUEST_DISK_SIZE = 32 * 1024 * 1024;

/**
 * A whole guest in one boot sector: it writes 1 MiB to 24 MiB of its disk over and over, 32 KiB at a time, by the firmware's int 13h, so
 * that writes come from a real device with a real error policy. The disk is full of data, or there would be nothing to keep.
 */
export async function writeGuest(path: string): Promise<void> {
  const file = await open(path, 'w');
  await file.write(Buffer.alloc(GUEST_DISK_SIZE, 0x99));
  await file.write(bootSector(), 0, SECTOR, 0);
  await file.close();
}

function bootSector(): Buffer {
  const sector = Buffer.alloc(SECTOR);
  const packet = 0x7c00 + 0x40;
  const [low, high] = [packet & 0xff, packet >>> 8];
  const lba = low + 8;
  const code = [
    ...[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c], // ds = ss = 0, stack below
    ...[0xc7, 0x06, lba, high, FIRST_SECTOR & 0xff, FIRST_SECTOR >>> 8], // again: lba = first
    ...[0xbe, low, high, 0xb8, 0x00, 0x43, 0xcd, 0x13], // next: write by the packet
    ...[0x83, 0x06, lba, high, SECTORS_A_WRITE], // lba += 64
    ...[0x81, 0x3e, lba, high, LAST_SECTOR & 0xff, LAST_SECTOR >>> 8], // lba < last?
    ...[0x72, 0xeb, 0xeb, 0xe3], // then next, else again
  ];
  Buffer.from(code).copy(sector);
  // Disk address packet: size, count, buffer at 0000:8000, 64-bit sector number.
  Buffer.from([16, 0, SECTORS_A_WRITE, 0, 0x00, 0x80, 0, 0]).copy(sector, 0x40);
  sector.writeUInt16LE(0xaa55, SECTOR - 2);
  return sector;
}

/** How many writes the guest's disk has done. */
export async function guestWrites(qemu: RunningQemu): Promise<number> {
  const answer = await qemu.control.execute('query-blockstats');
  const [first] = answer as { stats: { wr_operations: number } }[];
  return first?.stats.wr_operations ?? 0;
}
