import type { ThawLimits } from '../qemu/must-thaw.ts';

/** Picks one disk of a guest. */
export interface DiskChoice {
  /** Any name of the disk: its device id (`virtio-disk0`), serial number, drive id, or node name. */
  readonly device: string;
  /** What to call it from now on (`root`); decides lineage. By default the most stable of its own names. */
  readonly name?: string;
}

export interface QemuSourceOptions {
  /** Path of QEMU's monitor socket (`-qmp unix:PATH,server=on,wait=off`); must not be in use by anybody else. */
  readonly qmpSocket: string;
  /** Path of the guest agent's socket; without it nothing can be quiesced. */
  readonly agentSocket?: string;
  /** Absolute path of a directory that QEMU may write; holds what the guest overwrites during a moment. */
  readonly scratchDirectory: string;
  /** Directory for the record that a guest must be thawed; has to survive a restart of the host. */
  readonly stateDirectory: string;
  /** The disks to protect; by default all writable ones. */
  readonly disks?: readonly DiskChoice[];
  /** Bytes that stay free in the scratch directory: below, the export is given up so that the guest goes on. Default 1 GiB. */
  readonly scratchLowWater?: number;
  /** Milliseconds between looks at the scratch directory. Default 1000. */
  readonly scratchLookMs?: number;
  /** Milliseconds for the freeze, hooks in the guest included. Default 10 s. */
  readonly freezeMs?: number;
  readonly thaw?: ThawLimits;
  /** The watchdog's program and first arguments, where the exporter is a bundle. */
  readonly watchdogCommand?: readonly string[];
  /** Most clean segments that a moment's audit reads of one disk. Default 256. */
  readonly mostAuditSegments?: number;
  /** 0 to 1; chooses the segments to audit. Default Math.random. */
  readonly random?: () => number;
}

type Optional = 'agentSocket' | 'disks' | 'watchdogCommand';

/** The options with every default filled in. */
export type QemuSettings = Required<Omit<QemuSourceOptions, Optional>> & Pick<QemuSourceOptions, Optional>;

export function completeSettings(options: QemuSourceOptions): QemuSettings {
  return {
    scratchLowWater: 1024 ** 3,
    scratchLookMs: 1_000,
    freezeMs: 10_000,
    thaw: { answerMs: 5_000, pauseMs: 500, patienceMs: 60_000 },
    mostAuditSegments: 256,
    random: Math.random,
    ...options,
  };
}
