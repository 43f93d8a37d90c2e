import type { BigIntStats } from 'node:fs';

/** Tells a file from every other, and from what it was before somebody wrote to it. Numbers as text. */
export interface FileIdentity {
  readonly device: string;
  readonly inode: string;
  readonly size: string;
  /** Nanoseconds since 1970. A write changes both; `changed` also a rename, and it cannot be set. */
  readonly modified: string;
  readonly changed: string;
}

export function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileIdentity {
  return {
    ...{ device: String(dev), inode: String(ino), size: String(size) },
    ...{ modified: String(mtimeNs), changed: String(ctimeNs) },
  };
}

export function isSameFile(a: FileIdentity, b: FileIdentity): boolean {
  return (['device', 'inode', 'size', 'modified', 'changed'] as const).every((field) => a[field] === b[field]);
}
