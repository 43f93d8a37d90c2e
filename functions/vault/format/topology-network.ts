/** The part of a topology that Neutron tells. */

export interface TopologyPort {
  readonly id: string;
  readonly name: string;
  /** Absent for a port that is not in use. */
  readonly server?: string;
  readonly network: string;
  readonly mac: string;
  readonly fixedIps: readonly FixedIp[];
  readonly floatingIps: readonly FloatingIp[];
  /** Ids. */
  readonly securityGroups: readonly string[];
  readonly portSecurity: boolean;
  readonly allowedPairs: readonly AddressPair[];
  readonly vnicType?: string;
  readonly adminUp: boolean;
}

export interface FixedIp {
  readonly subnet: string;
  readonly address: string;
}

export interface FloatingIp {
  readonly id: string;
  readonly address: string;
  /** Id of the external network. */
  readonly network: string;
  /** Which of the port's addresses it leads to. */
  readonly fixedAddress?: string;
}

export interface AddressPair {
  readonly address: string;
  readonly mac?: string;
}

export interface TopologyNetwork {
  readonly id: string;
  readonly name: string;
  readonly description?: string;
  readonly mtu?: number;
  readonly adminUp: boolean;
  readonly shared: boolean;
  readonly external: boolean;
  readonly portSecurity: boolean;
  readonly dnsDomain?: string;
  /** Whether it is the project's own: another's cannot be made again. */
  readonly own: boolean;
}

export interface TopologySubnet {
  readonly id: string;
  readonly name: string;
  readonly network: string;
  readonly ipVersion: number;
  readonly cidr: string;
  readonly gateway?: string;
  readonly dhcp: boolean;
  readonly pools: readonly AddressRange[];
  readonly nameservers: readonly string[];
  readonly routes: readonly Route[];
  readonly ipv6AddressMode?: string;
  readonly ipv6RaMode?: string;
}

export interface AddressRange {
  readonly start: string;
  readonly end: string;
}

export interface Route {
  readonly destination: string;
  readonly nextHop: string;
}

export interface TopologyRouter {
  readonly id: string;
  readonly name: string;
  readonly adminUp: boolean;
  /** Id of the external network that it is connected to. */
  readonly externalNetwork?: string;
  readonly sourceNat?: boolean;
  readonly externalIps: readonly FixedIp[];
  readonly routes: readonly Route[];
  /** Its connections to the networks told. */
  readonly interfaces: readonly RouterInterface[];
}

export interface RouterInterface extends FixedIp {
  readonly port: string;
  readonly network: string;
}

export interface TopologySecurityGroup {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly stateful?: boolean;
  readonly rules: readonly TopologyRule[];
}

export interface TopologyRule {
  readonly id: string;
  readonly direction: 'ingress' | 'egress';
  readonly ethertype: string;
  readonly protocol?: string;
  readonly portMin?: number;
  readonly portMax?: number;
  readonly remoteCidr?: string;
  /** Id of a security group. */
  readonly remoteGroup?: string;
  readonly description?: string;
}
