import type { Measured } from './process.ts';

/** What is measured: Ekko and its peers, each with backups of its own in one folder. */
export interface Repository {
  readonly name: 'ekko' | 'restic' | 'borg';
  /** Where everything of it lies. */
  readonly folder: string;
  /** Backs up a raw image; `label` names the backup from then on. */
  backUp(label: string, image: string): Promise<Measured>;
  /** Restores a backup below the folder `target`, which exists and is empty; the image lies at `file` afterwards. */
  restore(label: string, image: string, target: string): Promise<Measured & { readonly file: string }>;
  /** Bytes that all backups take. */
  stored(): Promise<number>;
  remove(): Promise<void>;
}

/** A program that makes repositories. */
export interface Peer {
  readonly name: Repository['name'];
  /** As it says itself. */
  readonly version: string;
  /** Makes an empty repository in a new folder. */
  create(folder: string): Promise<Repository>;
}
