import { type MeasuredImages, openMeasuredImages } from '../changed-blocks/measured-images.ts';
import type { ThawLimits } from '../qemu/must-thaw.ts';
import type { LibvirtConnection } from './virsh.ts';

export interface LibvirtSourceOptions {
  readonly connection: LibvirtConnection;
  /** The domain's uuid: the server's id. */
  readonly domain: string;
  /** Absolute path of a directory that QEMU may write; holds what the guest overwrites during a moment. */
  readonly scratchDirectory: string;
  /** Directory for the record that a guest must be thawed; has to survive a restart of the host, and nobody else may write it. */
  readonly stateDirectory: string;
  /** Names of the disks to protect; by default all writable ones. */
  readonly disks?: readonly string[];
  /** Bytes that stay free in the scratch directory: below, the export is given up so that the guest goes on. Default 1 GiB. */
  readonly scratchLowWater?: number;
  /** Milliseconds between looks at the scratch directory. Default 1000. */
  readonly scratchLookMs?: number;
  /** Milliseconds for the freeze, hooks in the guest included. Default 10 s. */
  readonly freezeMs?: number;
  /** Milliseconds from the freeze's begin after which the guest is thawed whatever its exporter does. Default 10 s and the freeze's own. */
  readonly watchdogMs?: number;
  readonly thaw?: ThawLimits;
  /** The watchdog's program and first arguments, where the exporter is a bundle. */
  readonly watchdogCommand?: readonly string[];
  /** Most clean segments that a moment's audit reads of one disk. Default 256. */
  readonly mostAuditSegments?: number;
  /** 0 to 1; chooses the segments to audit. Default Math.random. */
  readonly random?: () => number;
  /** Digests of the host's base images; by default its own, kept in the state directory. */
  readonly images?: MeasuredImages;
}

type Optional = 'disks' | 'watchdogCommand';

/** The options with every default filled in. */
export type LibvirtSettings = Required<Omit<LibvirtSourceOptions, Optional>> & Pick<LibvirtSourceOptions, Optional>;

export function completeLibvirtSettings(options: LibvirtSourceOptions): LibvirtSettings {
  const { freezeMs = 10_000 } = options;
  return {
    freezeMs,
    scratchLowWater: 1024 ** 3,
    scratchLookMs: 1_000,
    watchdogMs: freezeMs + 10_000,
    thaw: { answerMs: 5_000, pauseMs: 500, patienceMs: 60_000 },
    mostAuditSegments: 256,
    random: Math.random,
    images: openMeasuredImages(options.stateDirectory),
    ...options,
  };
}
