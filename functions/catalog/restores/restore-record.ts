import type { ServerBuild } from './server-build.ts';

/** A restore as the registry has it. Whoever works on it says so in `worker`, again and again. */
export interface RestoreRecord {
  /** A UUID: the caller's own, or one that was made for it. */
  readonly restore: string;
  readonly vault: string;
  readonly point: string;
  /** Of the point. */
  readonly takenAt: string;
  /** Id of the server whose disks they are, where one was named. */
  readonly server?: string;
  readonly startedAt: string;
  /** Undefined: nobody does. */
  readonly worker?: RestoreWorker;
  readonly disks: readonly RestoredDisk[];
  /** How they become a server again, where that was asked for. */
  readonly build?: ServerBuild;
  /** Once it has ended. */
  readonly ended?: RestoreEnd;
}

export interface RestoreWorker {
  /** Id of a process, made anew at each start. */
  readonly process: string;
  /** When it was last seen to work. */
  readonly seenAt: string;
}

export interface RestoreEnd {
  readonly outcome: 'complete' | 'failed' | 'cancelled';
  readonly at: string;
}

export interface RestoredDisk {
  /** As in the point. */
  readonly name: string;
  readonly manifest: string;
  /** Bytes of the disk. */
  readonly size: number;
  /** What it is for: an image that stays, or one that is made into a volume. */
  readonly becomes: 'image' | 'volume';
  readonly imageName: string;
  /** Of the image. */
  readonly properties: Readonly<Record<string, string>>;
  /** Of the volume that is made of the image, beside size and image: as Cinder takes them. */
  readonly volume: Readonly<Record<string, unknown>>;
  readonly state: DiskState;
  /** Times that it was begun. */
  readonly attempts: number;
  /** Id of the image that was begun last; it may not be there. */
  readonly image?: string;
  /** Bytes of the image, once they are known, and those that Glance has taken of them. */
  readonly bytesTotal?: number;
  readonly bytesDone: number;
  readonly problem?: string;
}

/** `removed`: it was complete, and was deleted when it was of no use any more. */
export type DiskState = 'waiting' | 'copying' | 'complete' | 'failed' | 'removed';

const GIB = 1024 ** 3;

/** Of the smallest volume or flavor's disk that holds so many bytes. */
export function gibOf(size: number): number {
  return Math.ceil(size / GIB);
}
