import { EkkoError } from '#vault/errors.ts';

/** Who calls, as Keystone says. Everything is done with the caller's own token, in the caller's project. */
export interface Caller {
  /** Secret. */
  readonly token: string;
  readonly project: string;
  readonly user: string;
  readonly roles: readonly string[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** What a route asks of its caller. `anyone`: no token. */
export type Right = 'anyone' | 'read' | 'write' | 'register' | 'oversee';

const ROLES: Readonly<Record<Exclude<Right, 'anyone'>, readonly string[]>> = {
  read: ['reader', 'member', 'admin'],
  write: ['member', 'admin'],
  register: ['service'],
  oversee: ['admin', 'service'],
};

/** Whether the caller has one of the roles that the right asks for. */
export function hasRight({ roles }: Caller, right: Exclude<Right, 'anyone'>): boolean {
  return ROLES[right].some((role) => roles.includes(role));
}

/** Throws `forbidden` unless the caller has the right. */
export function checkRight(caller: Caller, right: Exclude<Right, 'anyone'>): void {
  if (hasRight(caller, right)) return;
  const wanted = ROLES[right].join(' or ');
  throw new EkkoError(
    'forbidden',
    `This needs the role ${wanted} in the token's project; it has ${rolesText(caller.roles)}.`,
  );
}

function rolesText(roles: readonly string[]): string {
  return roles.length === 0 ? 'none' : roles.slice(0, 10).join(', ').slice(0, 200);
}
