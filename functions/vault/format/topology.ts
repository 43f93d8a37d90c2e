import type {
  TopologyNetwork,
  TopologyPort,
  TopologyRouter,
  TopologySecurityGroup,
  TopologySubnet,
} from './topology-network.ts';

/**
 * What a group was built of when its restore point was begun: all that is needed to build the application again, beside its disks. Read
 * from the cloud with the rights of the group's owner (`docs/format.md`, "Topologies"). Its texts come from the cloud and its tenants, and are
 * trusted for nothing. Ids are those of the cloud that it was read in. A field that may be left out was not readable or is not there.
 *
 * It can hold secrets (user data, templates): it is shown to who may read the vault, and to nobody else.
 */
export interface Topology {
  /** ISO time at which it was read. */
  readonly readAt: string;
  readonly servers: readonly TopologyServer[];
  readonly ports: readonly TopologyPort[];
  /** Those of the ports, and those that their routers lead to. */
  readonly networks: readonly TopologyNetwork[];
  readonly subnets: readonly TopologySubnet[];
  readonly routers: readonly TopologyRouter[];
  /** Those of the ports, and those that their rules name. */
  readonly securityGroups: readonly TopologySecurityGroup[];
  readonly keyPairs: readonly TopologyKeyPair[];
  /** Attached Cinder volumes, backed up or not. */
  readonly volumes: readonly TopologyVolume[];
  readonly serverGroups: readonly TopologyServerGroup[];
  /** Metadata of the images that servers and volumes were made of. */
  readonly images: readonly TopologyImage[];
  readonly stack?: TopologyStack;
  /** What belongs to the group and is not backed up. */
  readonly unprotected: readonly Unprotected[];
  /** What this topology should hold and does not. */
  readonly omitted: readonly Omission[];
}

/** Texts by name. */
export type Properties = Readonly<Record<string, string>>;

export interface TopologyServer {
  readonly id: string;
  readonly name: string;
  /** `ACTIVE`, `SHUTOFF`, … */
  readonly status: string;
  readonly description?: string;
  readonly hostname?: string;
  readonly flavor?: TopologyFlavor;
  /** Absent where it was booted from a volume. */
  readonly image?: NamedObject;
  readonly keyName?: string;
  readonly availabilityZone?: string;
  readonly configDrive: boolean;
  readonly metadata: Properties;
  readonly tags: readonly string[];
  readonly addresses: readonly ServerAddress[];
  /** By name. */
  readonly securityGroups: readonly string[];
  /** Id of its server group. */
  readonly serverGroup?: string;
  /** As Nova was given it: base64. Only where the cloud shows it. */
  readonly userData?: string;
  readonly disks: readonly TopologyDisk[];
}

export interface NamedObject {
  readonly id: string;
  readonly name?: string;
}

export interface TopologyFlavor {
  /** Absent where the flavor is gone, or hidden from the owner. */
  readonly id?: string;
  readonly name: string;
  readonly vcpus: number;
  readonly ramMiB: number;
  readonly diskGiB: number;
  readonly ephemeralGiB: number;
  readonly swapMiB: number;
  readonly extraSpecs?: Properties;
}

export interface ServerAddress {
  /** Name of the network. */
  readonly network: string;
  readonly address: string;
  readonly kind: 'fixed' | 'floating';
  readonly mac?: string;
}

/** A disk of a server, in the order of devices. */
export interface TopologyDisk {
  /** As in restore points: `<server>/root`, `<server>/<device>` or `<server>/<volume>`. */
  readonly name: string;
  /** Bytes. */
  readonly size?: number;
  /** Id of its Cinder volume; absent for a local disk. */
  readonly volume?: string;
  /** `/dev/vda` */
  readonly device?: string;
  /** 0: the server boots from it. */
  readonly bootIndex?: number;
  readonly deleteOnTermination?: boolean;
  /** Whether the run that read the topology was to back it up. */
  readonly wanted: boolean;
}

export interface TopologyKeyPair {
  readonly name: string;
  /** `ssh` or `x509` */
  readonly type: string;
  readonly publicKey: string;
  readonly fingerprint: string;
}

export interface TopologyVolume {
  readonly id: string;
  readonly name: string;
  readonly description?: string;
  /** Bytes. */
  readonly size: number;
  /** Name of its type. */
  readonly type?: string;
  readonly bootable: boolean;
  readonly encrypted: boolean;
  readonly multiattach: boolean;
  readonly availabilityZone?: string;
  readonly metadata: Properties;
  /** Of the image that it was made of: properties such as `hw_disk_bus`, `image_id`, `min_ram`. */
  readonly imageMetadata: Properties;
}

export interface TopologyServerGroup {
  readonly id: string;
  readonly name: string;
  /** `anti-affinity`, … */
  readonly policy: string;
  /** Members of it that the topology tells of. */
  readonly servers: readonly string[];
}

export interface TopologyImage {
  readonly id: string;
  readonly name: string;
  readonly diskFormat?: string;
  readonly containerFormat?: string;
  /** Bytes. */
  readonly size?: number;
  readonly checksum?: string;
  readonly minDiskGiB: number;
  readonly minRamMiB: number;
  readonly visibility?: string;
  /** All others that it has: `hw_qemu_guest_agent`, `os_distro`, … */
  readonly properties: Properties;
}

/** What hidden parameters are replaced by, as Heat does it. */
export const MASKED = '******';

export interface TopologyStack {
  readonly id: string;
  readonly name: string;
  readonly description?: string;
  /** The template as JSON text. */
  readonly template?: string;
  /** Values that templates call hidden are `MASKED`. */
  readonly parameters: Properties;
  /** The environment as JSON text; hidden values in it are masked too. */
  readonly environment?: string;
  /** Files that the template names, by their URL. */
  readonly files?: Properties;
  readonly resources: readonly StackResource[];
  readonly tags: readonly string[];
}

/** A resource of the stack, or of one nested in it. */
export interface StackResource {
  /** Its name in the template. */
  readonly name: string;
  /** Names of the resources that it is nested in, outermost first. */
  readonly path: readonly string[];
  readonly type: string;
  /** Absent where it has not been made. */
  readonly id?: string;
  readonly status: string;
}

export interface Unprotected {
  readonly server: string;
  /** The server's name. */
  readonly name: string;
  /** Id of the volume that is not protected; absent: the whole server. */
  readonly volume?: string;
  /** A sentence for people. */
  readonly why: string;
}

export interface Omission {
  /** What is left out: a list (`volumes`), one of it (`volumes.<id>`), or a field (`stack.files`, `servers.userData`). */
  readonly part: string;
  /** A sentence for people. */
  readonly why: string;
}

/** Nothing of anything. */
export const EMPTY_TOPOLOGY: Omit<Topology, 'readAt'> = {
  ...{ servers: [], ports: [], networks: [], subnets: [], routers: [], securityGroups: [], keyPairs: [], volumes: [] },
  ...{ serverGroups: [], images: [], unprotected: [], omitted: [] },
};
